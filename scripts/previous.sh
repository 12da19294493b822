#!/usr/bin/env bash
# Builds the programs of the version that is in production: the commit that deploy/previous names. Once: they are kept in
# the cache, and found there the next time. Prints their folder. WAYPOST_PREVIOUS_TARGET names a folder of cargo's that has
# the dependencies already; it must be nobody else's meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

commit=$(<deploy/previous)
if [[ ! $commit =~ ^[0-9a-f]{40}$ ]]; then
  echo "previous: deploy/previous is no commit: $commit" >&2
  exit 1
fi
kept="${XDG_CACHE_HOME:-$HOME/.cache}/waypost-previous/$commit"
programs=(user-api email-worker notification-gateway waypost)
# Made whole elsewhere and moved there in one step: what is there is all of it.
if [[ -d $kept/bin ]]; then
  echo "$kept/bin"
  exit
fi
if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
  echo "previous: this clone does not have $commit: fetch it (git fetch --unshallow), or set deploy/previous" >&2
  exit 1
fi
mkdir -p "$kept"
source=$kept/source
trap 'git worktree remove --force "$source" 2>/dev/null || true' EXIT
git worktree prune
if [[ ! -d $source ]]; then
  git worktree add --quiet --detach --force "$source" "$commit"
fi
target=${WAYPOST_PREVIOUS_TARGET:-$kept/target}
echo "previous: building $commit, once; some minutes" >&2
(cd "$source" && CARGO_TARGET_DIR=$target CARGO_INCREMENTAL=0 cargo build --locked --workspace --bins 1>&2)
rm -rf "$kept/new"
mkdir "$kept/new"
for program in "${programs[@]}"; do
  cp "$target/debug/$program" "$kept/new/"
done
mv "$kept/new" "$kept/bin"
# Only the programs are needed from now on.
rm -rf "$kept/target"
echo "$kept/bin"
