#!/usr/bin/env bash
# The three services and the sandbox provider as processes of their own, over the local PostgreSQL, Redis
# and RabbitMQ, with mail into a folder that has a page. `native.sh up` starts them, `native.sh down` ends them.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly folder="$PWD/.waypost/native"
readonly target="${CARGO_TARGET_DIR:-$PWD/target}/debug"
readonly programs=(provider-sandbox user-api notification-gateway email-worker)
readonly PATIENCE_S=30

say() { printf 'native: %s\n' "$*"; }

up() {
  mkdir -p "$folder"
  # Addresses of servers that are not on the standard ports.
  # shellcheck source=/dev/null
  source .waypost/services/env
  export WAYPOST__DATABASE__URL="${WAYPOST__DATABASE__URL:-${WAYPOST_TEST_POSTGRES_URL:-postgres://postgres@127.0.0.1:5432/postgres}}"
  export WAYPOST__STORE__URL="${WAYPOST__STORE__URL:-${WAYPOST_TEST_REDIS_URL:-redis://127.0.0.1:6379}}"
  export WAYPOST__STORE__PREFIX="${WAYPOST__STORE__PREFIX:-native}"
  export WAYPOST__BROKER__URL="${WAYPOST__BROKER__URL:-${WAYPOST_TEST_AMQP_URL:-amqp://guest:guest@127.0.0.1:5672/%2f}}"
  export WAYPOST__MAIL__URL="${WAYPOST__MAIL__URL:-file://$folder/mail}"
  "$target/waypost" migrate
  local program
  for program in "${programs[@]}"; do start "$program" "$target/$program"; done
  start page "$target/waypost" page
  local operations
  for operations in 127.0.0.1:9080 127.0.0.1:9081 127.0.0.1:9082; do await "$operations"; done
  say "up. user-api http://127.0.0.1:8080/docs, gateway http://127.0.0.1:8081/docs, mails http://127.0.0.1:8025/"
  say "logs in ${folder#"$PWD"/}, end with: make down-native"
}

start() { # name, command...
  local name=$1
  shift
  if running "$name"; then
    say "$name runs already"
    return
  fi
  setsid -f bash -c 'echo $$ >"$0"; exec "${@:2}" >>"$1" 2>&1 </dev/null' "$folder/$name.pid" "$folder/$name.log" "$@"
}

running() { [[ -s $folder/$1.pid ]] && kill -0 "$(<"$folder/$1.pid")" 2>/dev/null; }

await() {
  local end=$((SECONDS + PATIENCE_S))
  until "$target/waypost" ready "$1" >/dev/null 2>&1; do
    if ((SECONDS >= end)); then
      say "what has its operations port at $1 is not ready; the last lines of the logs:"
      tail -n 5 "$folder"/*.log
      exit 1
    fi
    sleep 0.2
  done
}

down() {
  local pids=() name pid
  for name in "${programs[@]}" page; do
    if running "$name"; then
      pid=$(<"$folder/$name.pid")
      kill -TERM "$pid"
      pids+=("$pid")
    fi
    rm -f "$folder/$name.pid"
  done
  for pid in "${pids[@]}"; do
    for ((n = 0; n < 120; n++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    if kill -0 "$pid" 2>/dev/null; then
      say "process $pid did not end within 12 s and is killed"
      kill -KILL "$pid"
    fi
  done
  say "down"
}

case "${1:-}" in
  up) up ;;
  down) down ;;
  *) echo "usage: native.sh up|down" >&2; exit 2 ;;
esac
