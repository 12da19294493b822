#!/usr/bin/env bash
# Gets wrk for `make bench` where that is easy. Without it the bench loads the servers by itself.
set -euo pipefail
if command -v wrk >/dev/null; then exit 0; fi
if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null &&
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends wrk >/dev/null 2>&1; then
  echo "bench: installed wrk"
else
  echo "bench: no wrk here; the load comes from the bench itself, which costs its core more"
fi
