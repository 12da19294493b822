#!/usr/bin/env bash
# The site that `make guide` made, as a browser has it: drawings are drawn, and what is asked for is found, in both languages.
set -euo pipefail
cd "$(dirname "$0")/.."
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
  echo "no Chromium is there (Debian: apt-get install chromium)"
  exit 1
}
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT

# What stands on a page when its scripts are done: the time that they wait for passes at once.
page() {
  timeout 60 "$browser" --headless --no-sandbox --user-data-dir="$profile" --virtual-time-budget=20000 \
    --dump-dom "file://$PWD/target/guide/$1" 2>/dev/null
}

failed=0
say() { # what, whether
  echo "$2: $1"
  [[ $2 == ok ]] || failed=1
}

for file in target/guide/{en,zh}/notes/*.html; do
  name=${file#target/guide/}
  drawings=$(grep -c '<pre class="mermaid"' "$file" || true)
  drawn=$(page "$name" | grep -o '<pre class="mermaid"[^>]*data-processed="true"[^>]*><svg[^>]*aria-roledescription="[^"]*"' | grep -vc 'roledescription="error"' || true)
  say "$name has $drawn of $drawings drawings" "$( ((drawn == drawings && drawings > 0)) && echo ok || echo FAILED)"
done

finds() { # language, what is asked for, the page that has it
  local found
  found=$(page "$1/index.html?search=$2" | grep -o 'href="[^"]*?highlight=' | grep -c "$3" || true)
  say "$1: $2 is found $found times in $3" "$( ((found > 0)) && echo ok || echo FAILED)"
}
finds en stampede notes/01_redis_cache
finds zh stampede notes/01_redis_cache
finds zh 缓存 notes/01_redis_cache
finds zh 死信队列 notes/02_message_queue
# Nowhere as it stands: its pairs of signs are.
finds zh 缓存雪崩怎么处理 notes/01_redis_cache
exit "$failed"
