#!/usr/bin/env bash
# The three services and the sandbox provider as processes of their own, over the local PostgreSQL, Redis
# and RabbitMQ, with mail into a folder that has a page. `native.sh up` starts them, `native.sh down` ends them,
# `native.sh env` prints their settings for other commands, and nothing when they are down.
#
# A second one beside it has a name and ports of its own: WAYPOST_NATIVE_NAME=other WAYPOST_NATIVE_PORTS_UP=100 is on 8180,
# 9180 and so on.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres-address.sh
source scripts/postgres-address.sh

readonly stack="${WAYPOST_NATIVE_NAME:-native}" ports_up="${WAYPOST_NATIVE_PORTS_UP:-0}"
readonly folder="$PWD/.waypost/$stack"
readonly target="${CARGO_TARGET_DIR:-$PWD/target}/debug"
readonly programs=(provider-sandbox user-api notification-gateway email-worker page)
readonly -A public=([provider-sandbox]=$((8090 + ports_up)) [user-api]=$((8080 + ports_up)) [notification-gateway]=$((8081 + ports_up))
  [page]=$((8025 + ports_up)))
readonly -A operations=([user-api]=$((9080 + ports_up)) [notification-gateway]=$((9081 + ports_up)) [email-worker]=$((9082 + ports_up)))
# Of our own, so that neither a test nor another program of the server's meets our tables and queues.
readonly DATABASE="waypost_$stack" NAMESPACE="$stack"
readonly PATIENCE_S=30

say() { printf 'native: %s\n' "$*"; }

up() {
  mkdir -p "$folder"
  settings
  "$target/waypost" migrate
  local name
  for name in "${programs[@]}"; do
    if [[ $name == page ]]; then start page "$target/waypost" page; else start "$name" "$target/$name"; fi
  done
  for name in "${programs[@]}"; do await "$name"; done
  say "up. user-api http://127.0.0.1:${public[user-api]}/docs, gateway http://127.0.0.1:${public[notification-gateway]}/docs, mails http://127.0.0.1:${public[page]}/"
  say "logs and settings in ${folder#"$PWD"/}, end with: ${WAYPOST_NATIVE_NAME:+WAYPOST_NATIVE_NAME=$stack }make down-native"
}

down() {
  local name n
  for name in "${programs[@]}"; do send TERM "$name"; done
  for name in "${programs[@]}"; do
    for ((n = 0; n < 120; n++)); do
      running "$name" || break
      sleep 0.1
    done
    if running "$name"; then
      say "$name did not end within 12 s and is killed"
      send KILL "$name"
    fi
    rm -f "$folder/$name.pid"
  done
  rm -f "$folder/env"
  say "down"
}

print_env() {
  if running user-api; then cat "$folder/env"; fi
}

# --- settings

# What runs keeps its settings, and what is started again beside it gets the same. When nothing runs, the
# environment wins over what stands here.
settings() {
  local name
  for name in "${programs[@]}"; do
    if running "$name"; then
      # shellcheck source=/dev/null
      source "$folder/env"
      return
    fi
  done
  # Addresses of servers that are not on the standard ports.
  # shellcheck source=/dev/null
  source .waypost/services/env
  if [[ -z ${WAYPOST__DATABASE__URL:-} ]]; then
    WAYPOST__DATABASE__URL=$(database "${WAYPOST_TEST_POSTGRES_URL:-postgres://postgres@127.0.0.1:5432/postgres}")
  fi
  export WAYPOST__DATABASE__URL
  export WAYPOST__STORE__URL="${WAYPOST__STORE__URL:-${WAYPOST_TEST_REDIS_URL:-redis://127.0.0.1:6379}}"
  export WAYPOST__BROKER__URL="${WAYPOST__BROKER__URL:-${WAYPOST_TEST_AMQP_URL:-amqp://guest:guest@127.0.0.1:5672/%2f}}"
  export WAYPOST__BROKER__NAMESPACE="${WAYPOST__BROKER__NAMESPACE:-$NAMESPACE}"
  export WAYPOST__MAIL__URL="${WAYPOST__MAIL__URL:-file://$folder/mail}"
  addresses
  # The addresses may hold passwords.
  (
    umask 077
    for name in "${!WAYPOST__@}"; do printf 'export %s=%q\n' "$name" "${!name}"; done >"$folder/env"
  )
}

# Where each listens, and where the gateway finds the others.
addresses() {
  export WAYPOST__USER_API__HTTP__ADDRESS="127.0.0.1:${public[user-api]}"
  export WAYPOST__USER_API__OPERATIONS__ADDRESS="127.0.0.1:${operations[user-api]}"
  export WAYPOST__NOTIFICATION_GATEWAY__HTTP__ADDRESS="127.0.0.1:${public[notification-gateway]}"
  export WAYPOST__NOTIFICATION_GATEWAY__OPERATIONS__ADDRESS="127.0.0.1:${operations[notification-gateway]}"
  export WAYPOST__EMAIL_WORKER__OPERATIONS__ADDRESS="127.0.0.1:${operations[email-worker]}"
  export WAYPOST__PROVIDER_SANDBOX__HTTP__ADDRESS="127.0.0.1:${public[provider-sandbox]}"
  export WAYPOST__MAIL__PAGE_ADDRESS="127.0.0.1:${public[page]}"
  export WAYPOST__AUTH__JWKS_URL="${WAYPOST__AUTH__JWKS_URL:-http://127.0.0.1:${public[user-api]}/.well-known/jwks.json}"
  export WAYPOST__PROVIDERS__SMS__URL="${WAYPOST__PROVIDERS__SMS__URL:-http://127.0.0.1:${public[provider-sandbox]}}"
  # Empty is somebody's word too: nobody is asked then.
  export WAYPOST__PROVIDERS__BREACHED_PASSWORDS__URL="${WAYPOST__PROVIDERS__BREACHED_PASSWORDS__URL-http://127.0.0.1:${public[provider-sandbox]}}"
}

# Makes our database when the server has none, and prints its address.
database() { # the server's address, with any database
  command -v psql >/dev/null || fail "psql is needed to make the database $DATABASE; or set WAYPOST__DATABASE__URL"
  local ask=(psql_at "$1" -qtA -c)
  export PGCONNECT_TIMEOUT=5
  if [[ -z $("${ask[@]}" "select 1 from pg_database where datname = '$DATABASE'") ]]; then
    "${ask[@]}" "create database $DATABASE" >&2
  fi
  local address=${1%%\?*} query=${1#"${1%%\?*}"}
  local server=${address#*://}
  echo "${address%%://*}://${server%%/*}/$DATABASE$query"
}

# --- processes

start() { # name, command...
  local name=$1 port
  shift
  if running "$name"; then
    say "$name runs already"
    return
  fi
  for port in ${public[$name]:-} ${operations[$name]:-}; do
    if answers "$port"; then fail "another program has port $port, which $name needs"; fi
  done
  local bare=()
  # It stands for a stranger: of our settings, which hold passwords, it gets where to listen.
  if [[ $name == provider-sandbox ]]; then bare=(env -i WAYPOST__PROVIDER_SANDBOX__HTTP__ADDRESS="$WAYPOST__PROVIDER_SANDBOX__HTTP__ADDRESS"); fi
  setsid "${bare[@]}" "$@" >>"$folder/$name.log" 2>&1 </dev/null &
  echo "$! $(readlink -f "$1")" >"$folder/$name.pid"
  # For a moment it is still the shell, or setsid, that is about to become the program.
  until running "$name" || ! kill -0 $! 2>/dev/null; do sleep 0.05; done
}

# By the program too: a process that came after a reboot may have the number that one of ours had.
running() { # name
  local pid binary now
  [[ -s $folder/$1.pid ]] && read -r pid binary <"$folder/$1.pid" &&
    now=$(readlink "/proc/$pid/exe") && [[ ${now% (deleted)} == "$binary" ]]
}

send() { # signal, name
  if running "$2"; then kill -s "$1" "$(cut -d ' ' -f 1 "$folder/$2.pid")" 2>/dev/null || true; fi
}

await() { # name
  local end=$((SECONDS + PATIENCE_S))
  until ready "$1"; do
    none_has_ended
    ((SECONDS < end)) || gave_up "$1" "is not ready after $PATIENCE_S s"
    sleep 0.2
  done
  none_has_ended
}

none_has_ended() {
  local name
  for name in "${programs[@]}"; do
    running "$name" || gave_up "$name" "has ended"
  done
}

ready() { # name
  [[ -z ${public[$1]:-} ]] || answers "${public[$1]}" || return 1
  [[ -z ${operations[$1]:-} ]] || "$target/waypost" ready "127.0.0.1:${operations[$1]}" >/dev/null 2>&1
}

answers() { timeout 2 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1" 2>/dev/null; }

gave_up() { # name, what is wrong
  say "$1 $2; the last lines of its log:" >&2
  tail -n 20 "$folder/$1.log" >&2
  fail "$1 $2"
}

# Half a stack is worse than none.
fail() {
  down >&2
  say "$*" >&2
  exit 1
}

case "${1:-}" in
  up) up ;;
  down) down ;;
  env) print_env ;;
  *) echo "usage: native.sh up|down|env" >&2; exit 2 ;;
esac
