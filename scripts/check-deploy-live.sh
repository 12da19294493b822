#!/usr/bin/env bash
# Has what deploy/ gives Prometheus and Grafana answer over a Waypost that lives: the native stack, what demo-load does with
# it, and a Prometheus. In calm life every expression of every dashboard gives a number. Then the database's pool is
# full, Redis is slow, and one endpoint fails, one after another: each time a panel of the first row shows it and comes back,
# and its alert fires and clears. `make check-deploy` calls it; it takes some five minutes.
#
# It is no test in Rust, since all that it does is to start programs and to ask promtool.
#
# What is not as it is in production:
# - Each duration of the rules is a sixth of itself (a minute is ten seconds), and Prometheus scrapes and evaluates every second:
#   an alert takes seconds then. Expressions and thresholds stay as they are.
# - A service has 8 connections to its database instead of 16, the adaptive limits end at 64 requests, and anybody may log in and
#   sign up as often as they like. Else the services would not let the few clients of this check fill the pool.
#
# Ports, database, Redis and, by with-broker.sh, the broker are its own, so that what it breaks is nobody else's. Of
# the PostgreSQL that it finds it uses no more than a database that it makes and drops.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres-address.sh
source scripts/postgres-address.sh

export WAYPOST_NATIVE_NAME=check WAYPOST_NATIVE_PORTS_UP=10000
readonly USERS=http://127.0.0.1:18080
readonly OPERATIONS=(user-api:19080 notification-gateway:19081 email-worker:19082)
readonly REDIS_PORT=16379 PROMETHEUS=127.0.0.1:19090
# What Grafana puts in where Prometheus scrapes every 5 s.
readonly RATE_INTERVAL=20s
readonly target="${CARGO_TARGET_DIR:-$PWD/target}/debug" work="$PWD/.waypost/check-deploy"

say() { printf 'check-deploy: %s\n' "$*"; }
fail() {
  say "$*" >&2
  exit 1
}

# --- asking Prometheus

samples=''
query() { # expression; its samples that are numbers, each as `value {labels}`
  local answer
  answer=$(promtool query instant "http://$PROMETHEUS" "$1" 2>&1) || fail "Prometheus does not take $1: $answer"
  samples=$(sed -n 's/^\(.*\) => \(.*\) @\[[0-9.]*\]$/\2 \1/p' <<<"$answer" | grep -v '^NaN ' || true)
}

prometheus_answers() { promtool query instant "http://$PROMETHEUS" up >/dev/null 2>&1; }
is_scraped() { query 'up == 1' && (($(grep -c . <<<"$samples") == ${#OPERATIONS[@]})); }
fires() { query "ALERTS{alertname=\"$1\", alertstate=\"firing\", $2}" && [[ -n $samples ]]; }
# Not even pending.
is_silent() { query "ALERTS{alertname=\"$1\", $2}" && [[ -z $samples ]]; }

# The value that a panel shows of the series with these labels; empty when it shows none.
value=''
look() { # panel, labels
  query "${picture[$1]}"
  value=$(grep -m 1 -F -- "$2" <<<"$samples" | cut -d ' ' -f 1) || value=''
}

exceeds() { [[ -n $1 ]] && awk -v one="$1" -v other="$2" 'BEGIN { exit !(one + 0 > other + 0) }'; }

await() { # seconds, what is expected, command...
  local end=$((SECONDS + $1)) expected=$2 patience=$1
  shift 2
  until "$@"; do
    all_run
    ((SECONDS < end)) || fail "expected within $patience s: $expected. The last value was ${value:-none}"
    sleep 1
  done
}

# --- dashboards and rules

titles=() expressions=()
declare -A picture=()
read_dashboards() {
  local dashboard line title='' expression
  for dashboard in deploy/grafana/dashboards/*.json; do
    while IFS= read -r line; do
      case $line in
        *'"title": "'*) title=${line#*'"title": "'} title=${title%\"*} ;;
        *'"expr": "'*)
          expression=${line#*'"expr": "'} expression=${expression%\"*}
          expression=${expression//\\\"/\"} expression=${expression//\\\\/\\}
          expression=${expression//\$__rate_interval/$RATE_INTERVAL}
          titles+=("$title") expressions+=("$expression")
          : "${picture[$title]:=$expression}"
          ;;
      esac
    done <"$dashboard"
  done
  ((${#expressions[@]} == $(cat deploy/grafana/dashboards/*.json | grep -c '"expr"'))) || fail "not every expression was read"
}

# The rules and the configuration, with what the head of this file says.
configure() {
  local whole_minutes='s/(for: |\[|offset )([0-9]+)m\b/\1\20s/g' whole_hours='s/(for: |\[|offset )([0-9]+)h\b/\1\20m/g' others service
  sed -E -e "$whole_minutes" -e "$whole_hours" deploy/prometheus/alerts.yml >"$work/alerts.yml"
  others=$(grep -oE '(for: |\[|offset )[0-9]+[a-z]+' "$work/alerts.yml" | grep -v '0[sm]$' || true)
  [[ -z $others ]] || fail "only whole minutes and hours can be shortened; the rules have: $others"
  local edits=(-e 's/^\( *scrape_interval:\).*/\1 1s/' -e 's/^\( *evaluation_interval:\).*/\1 1s/')
  for service in "${OPERATIONS[@]}"; do edits+=(-e "s/ ${service%:*}:9080$/ 127.0.0.1:${service#*:}/"); done
  sed "${edits[@]}" deploy/prometheus/prometheus.yml >"$work/prometheus.yml"
}

# --- what runs

# In sessions of their own: Ctrl-C reaches this script alone, which then ends them in order.
declare -A process=()
start() { # name, command...
  local name=$1
  shift
  setsid "$@" >"$work/$name.log" 2>&1 </dev/null &
  process[$name]=$!
}

all_run() {
  local name
  for name in "${!process[@]}"; do
    kill -0 "${process[$name]}" 2>/dev/null || fail "$name has ended: $(tail -n 5 "$work/$name.log")"
  done
}

redis() { redis-cli -p "$REDIS_PORT" "$@"; }
answers_ping() { [[ $(redis PING 2>/dev/null) == PONG ]]; }
# Without the notice that there was nothing to drop.
statement() { PGOPTIONS='--client-min-messages=warning' psql_at "$1" --quiet --command "$2"; }
drop_database() { statement "$server" 'DROP DATABASE IF EXISTS waypost_check WITH (FORCE)'; }

fault=''
clean_up() {
  local status=$?
  trap '' INT TERM
  if [[ -n $fault ]]; then "${fault}_ends" || true; fi
  kill "${process[@]}" 2>/dev/null || true
  scripts/native.sh down >/dev/null
  wait
  drop_database || true
  rm -rf "$work/data"
  if ((status != 0)); then say "logs are in .waypost/check-deploy and .waypost/check" >&2; fi
}

bring_up() {
  local name
  for name in prometheus promtool psql redis-server redis-cli curl; do
    command -v "$name" >/dev/null || fail "$name is not installed (Debian: apt-get install prometheus postgresql redis-server curl)"
  done
  # A setting of the shell's would lead to a database of somebody's.
  for name in "${!WAYPOST__@}"; do unset "$name"; done
  # shellcheck source=/dev/null
  source .waypost/services/env
  server=${WAYPOST_TEST_POSTGRES_URL:-postgres://postgres@127.0.0.1:5432/postgres}
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # What a run left that was killed.
  scripts/native.sh down >/dev/null
  drop_database
  rm -rf "$work" .waypost/check
  mkdir -p "$work"
  read_dashboards
  configure

  # It looks two milliseconds after a pause is over whether it is, and not a hundred.
  start redis redis-server --port "$REDIS_PORT" --bind 127.0.0.1 --dir "$work" --save '' --appendonly no --hz 500
  await 20 "an answer of Redis on $REDIS_PORT" answers_ping
  export WAYPOST__STORE__URL=redis://127.0.0.1:$REDIS_PORT
  export WAYPOST__DATABASE__MAX_CONNECTIONS=8 WAYPOST__OVERLOAD__LEAST=64
  export WAYPOST__LIMITS__LOGIN__RATE=60000 WAYPOST__LIMITS__LOGIN__BURST=10000
  export WAYPOST__LIMITS__SIGN_UP__RATE=60000 WAYPOST__LIMITS__SIGN_UP__BURST=10000
  scripts/native.sh up
  # shellcheck source=/dev/null
  source <(scripts/native.sh env)
  # Longer than all of this lasts.
  start demo-load "$target/waypost" demo-load --seconds 1800
  start prometheus prometheus --config.file "$work/prometheus.yml" --storage.tsdb.path "$work/data" \
    --web.listen-address "$PROMETHEUS" --log.level warn
  await 30 "an answer of Prometheus on $PROMETHEUS" prometheus_answers
  await 20 "all services scraped" is_scraped
}

# --- calm life

# Leaves behind what a replica does that dies while it loads accounts. Where there is one replica, nobody waits for a lock,
# and "Lock waits" has nothing to show.
a_replica_dies() {
  local accounts account
  mapfile -t accounts < <(redis --scan --pattern 'check:user:*')
  for account in "${accounts[@]:0:5}"; do
    redis SET "check:lock:load:${account#check:}" dead PX 60000 >/dev/null
    redis DEL "$account" >/dev/null
  done
}

every_expression_answers() {
  local patience=180 silent=("${!expressions[@]}") n still
  local end=$((SECONDS + patience))
  while ((${#silent[@]} > 0)); do
    all_run
    a_replica_dies
    still=()
    for n in "${silent[@]}"; do
      query "${expressions[n]}"
      [[ -n $samples ]] || still+=("$n")
    done
    silent=("${still[@]}")
    if ((SECONDS >= end && ${#silent[@]} > 0)); then
      for n in "${silent[@]}"; do say "\"${titles[n]}\" shows nothing: ${expressions[n]}" >&2; done
      fail "expected within $patience s of calm life: a number from each of ${#expressions[@]} expressions; ${#silent[@]} gave none"
    fi
    sleep 1
  done
  say "calm life: each of ${#expressions[@]} expressions gives a number, after $SECONDS s"
}

# --- faults

# One panel of the first row, and the alert that belongs to it, through one fault. It begins when the machine gives it a calm
# moment: one that has too much else to do makes commands to Redis slow by itself.
shown() { # fault, panel, labels of what is broken, bound, alert
  local panel=$2 labels=$3 bound=$4 alert=$5 before highest began seen fired ended back
  await 300 "\"$panel\" at $bound at most before the fault, and no $alert" is_calm
  before=$value highest=$value
  fault=$1 began=$SECONDS
  "${fault}_begins"
  await 60 "\"$panel\" above $bound" is_over
  seen=$((SECONDS - began))
  await 90 "$alert for $labels" is_over_and_fires
  fired=$((SECONDS - began))
  "${fault}_ends"
  fault='' ended=$SECONDS
  await 60 "\"$panel\" back at $bound at most" is_back
  back=$((SECONDS - ended))
  await 90 "$alert cleared" is_silent "$alert" "$labels"
  say "$panel, bound $bound: before $(short "$before"), at most $(short "$highest") (above the bound after $seen s), then $(short "$value")" \
    "(back after $back s); $alert fired after $fired s and cleared $((SECONDS - ended)) s after the end"
}

short() { printf '%.3g' "$1"; }
is_back() { look "$panel" "$labels" && [[ -n $value ]] && ! exceeds "$value" "$bound"; }
is_calm() { is_back && is_silent "$alert" "$labels"; }
is_over() { look "$panel" "$labels" && exceeds "$value" "$bound"; }
is_over_and_fires() {
  look "$panel" "$labels"
  if exceeds "$value" "$highest"; then highest=$value; fi
  fires "$alert" "$labels"
}

# Eight requests at a time, for ever.
askers=()
ask() { # path, body
  curl --silent --parallel --parallel-immediate --parallel-max 8 --max-time 10 --output /dev/null \
    --header 'content-type: application/json' --data "$2" "$USERS/v1/$1?[1-1000000]" 2>/dev/null &
  askers+=($!)
}

# Somebody holds a table that sign-ups write to and log-ins read: their statements keep their connections until the server ends them.
pool_begins() {
  # The session ends with this script, however that ends, and the lock with it.
  coproc LOCK {
    without_password "$WAYPOST__DATABASE__URL"
    exec psql --no-password --no-psqlrc --quiet "$address" >/dev/null
  }
  askers=("$LOCK_PID")
  echo 'BEGIN; LOCK TABLE user_api.users;' >&"${LOCK[1]}"
  ask sessions '{"email": "nobody@example.com", "password": "not the password"}'
  ask users '{"email": "somebody@example.com", "name": "Somebody", "password": "a password for the check"}'
}
pool_ends() { end_askers; }

# Redis takes commands for five milliseconds of each fifty.
redis_begins() {
  redis-cli -p "$REDIS_PORT" -r -1 -i 0.005 CLIENT PAUSE 45 >/dev/null &
  askers=($!)
}
redis_ends() { end_askers; }

end_askers() {
  kill "${askers[@]}" 2>/dev/null || true
  wait "${askers[@]}" 2>/dev/null || true
}

# The one table that only log-ins write to is not there. Other endpoints do without it.
endpoint_begins() { statement "$WAYPOST__DATABASE__URL" 'ALTER TABLE user_api.sessions RENAME TO sessions_away'; }
endpoint_ends() { statement "$WAYPOST__DATABASE__URL" 'ALTER TABLE user_api.sessions_away RENAME TO sessions'; }

bring_up
every_expression_answers
shown pool 'Database pool in use' 'service="user-api"' 0.9 DatabasePoolFull
shown redis 'Redis latency p99' 'service="user-api"' 0.025 RedisSlow
shown endpoint 'Errors by endpoint' 'http_request_method="POST", http_route="/v1/sessions", service="user-api"' 0.05 EndpointFails
say "three faults were shown, and their alerts fired and cleared; all of it took $SECONDS s"
