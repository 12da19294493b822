#!/usr/bin/env bash
# Builds Jaeger from its Go module into ./.waypost/bin/jaeger, for `make test-jaeger`. Needs Go; what Go's own
# settings say about proxies holds. The first build takes some minutes, later calls find it there.
#
# Built so it has a placeholder instead of its web pages; it takes OTLP and answers its query API all the same.
set -euo pipefail
cd "$(dirname "$0")/.."

# The commit of v2.20.0: its tags of version 2 are no versions of the Go module.
readonly module=github.com/jaegertracing/jaeger/cmd/jaeger revision=798e4b0fcf22
# The last one that is a version of the module; its `replace` directives forbid `go install`.
readonly fallback=github.com/jaegertracing/jaeger fallback_version=v1.76.0
readonly bin="$PWD/.waypost/bin"

say() { printf 'jaeger: %s\n' "$*"; }

if [[ -x $bin/jaeger ]]; then
  say "is there: .waypost/bin/jaeger"
  exit 0
fi
command -v go >/dev/null || { say "Go is not installed; set JAEGER_BIN to a Jaeger 2 binary instead" >&2; exit 1; }
mkdir -p "$bin"
say "building $module@$revision, some minutes"
if GOBIN="$bin" CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath" go install -ldflags='-s -w' "$module@$revision"; then
  say "built .waypost/bin/jaeger"
  exit 0
fi
say "that revision did not resolve; building inside the module of $fallback_version"
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
source_dir=$(go mod download -json "$fallback@$fallback_version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
cp -r "$source_dir/." "$work"
chmod -R u+w "$work"
(cd "$work" && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$bin/jaeger" ./cmd/jaeger)
say "built .waypost/bin/jaeger ($fallback_version)"
