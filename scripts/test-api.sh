#!/usr/bin/env bash
# Has schemathesis judge both APIs by their own descriptions, as schemathesis.toml says: everything they answer,
# to data that the descriptions allow and to data that they forbid. Needs no servers: it starts Waypost in one
# process, over SQLite and memory, on ports that are free.
#
# SEED=.. tries other cases. What schemathesis said is kept in .waypost/test-api/<service>.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

# Those that make the cases and judge the answers: with others the same seed makes other cases.
readonly PINNED="schemathesis==4.32.5 hypothesis==6.170.17 jsonschema-rs==0.60.3"
readonly PATIENCE_S=60

readonly folder="$PWD/.waypost/test-api"
readonly config="$PWD/schemathesis.toml"
readonly program="${CARGO_TARGET_DIR:-$PWD/target}/debug/waypost"
readonly python="$folder/venv/bin/python"
readonly seed="${SEED:-}"
pid='' asking='' run=''

say() { printf 'test-api: %s\n' "$*"; }
fail() { printf 'test-api: %s\n' "$*" >&2; exit 1; }

[[ -z $seed || $seed =~ ^[0-9]+$ ]] || fail "SEED must be a number, and is: $seed"

stop() {
  if [[ -n $asking ]]; then kill -TERM "$asking" 2>/dev/null || true; fi
  if [[ -n $pid ]] && kill -TERM "$pid" 2>/dev/null; then
    local n
    for ((n = 0; n < 120; n++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  if [[ -n $pid ]]; then wait "$pid" 2>/dev/null || true; fi
  if [[ -n $run ]]; then rm -rf "$run"; fi
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- schemathesis

has_python() { python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

python_up() {
  has_python && return
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    fail "Python 3.10 or newer with venv and pip is needed. Install it (on Debian, as root: apt-get install python3-venv)."
  fi
  say "installing python3-venv"
  { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv ||
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv; }
  } >"$folder/apt.log" 2>&1 9>&- || fail "apt-get could not install python3-venv; see $folder/apt.log"
  hash -r
  has_python || fail "the Python that is installed here is older than 3.10: $(python3 --version 2>&1)"
}

# Once; again when other versions are pinned, or when the last try broke off.
schemathesis_up() {
  local made="$folder/venv/pinned"
  if [[ -e $made && $(<"$made") == "$PINNED" ]] && "$python" -c 'import schemathesis' 2>/dev/null; then return; fi
  python_up
  say "making the environment of schemathesis"
  local wanted
  read -ra wanted <<<"$PINNED"
  rm -rf "$folder/venv"
  { python3 -m venv "$folder/venv" && "$python" -m pip install --disable-pip-version-check --quiet "${wanted[@]}"; } \
    >"$folder/pip.log" 2>&1 9>&- || { tail -n 20 "$folder/pip.log" >&2; fail "pip could not install $PINNED"; }
  echo "$PINNED" >"$made"
}

# --- Waypost

# Starts it with settings of its own only, and waits until all of it is ready.
waypost_up() {
  local name
  for name in "${!WAYPOST__@}"; do unset "$name"; done
  export WAYPOST__PROFILE=test
  export WAYPOST__DATABASE__URL="sqlite://$run/waypost.db" WAYPOST__MAIL__URL="file://$run/mail"
  # The kernel chooses ports that are free.
  for name in USER_API NOTIFICATION_GATEWAY EMAIL_WORKER PROVIDER_SANDBOX; do
    export "WAYPOST__${name}__HTTP__ADDRESS=127.0.0.1:0" "WAYPOST__${name}__OPERATIONS__ADDRESS=127.0.0.1:0"
  done
  # From there, so that no waypost.toml is read.
  (cd "$run" && exec "$program" run) >"$run/log" 2>&1 </dev/null 9>&- &
  pid=$!
  local end=$((SECONDS + PATIENCE_S))
  until ready; do
    kill -0 "$pid" 2>/dev/null || gave_up "Waypost has ended"
    ((SECONDS < end)) || gave_up "Waypost is not ready after $PATIENCE_S s"
    sleep 0.1
  done
}

ready() {
  local address addresses
  addresses=$(sed -n 's|^  operations  *http://\([0-9.:]*\)/readyz, /metrics; also \([0-9.:]*\) and \([0-9.:]*\)$|\1 \2 \3|p' "$run/log")
  [[ -n $addresses ]] || return 1
  for address in $addresses; do "$program" ready "$address" >/dev/null 2>&1 || return 1; done
}

address_of() { # service
  local address
  address=$(sed -n "s|^  $1  *\(http://[0-9.:]*\) .*|\1|p" "$run/log")
  [[ -n $address ]] || gave_up "the address of $1 is not known"
  echo "$address"
}

gave_up() { # what is wrong
  say "$1; the last lines of its log:" >&2
  tail -n 20 "$run/log" >&2
  fail "$1"
}

# Signs two people up, logs them in, waits for their first notifications, and writes their tokens down, in the form
# of Web Fuzzing Commons. Says the id of the first.
people() { # user-api, notification-gateway, file
  "$python" - "$1" "$2" "$3" "$PATIENCE_S" <<'PYTHON'
import json, sys, time, urllib.request

users, gateway, file, patience = *sys.argv[1:4], float(sys.argv[4])
ids = []


def ask(url, body=None, token=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def arrive(name):
    account = {"email": f"{name}@example.com", "password": "correct horse"}
    ids.append(ask(f"{users}/v1/users", account | {"name": name.title(), "phone": "+15550100"})["id"])
    token = ask(f"{users}/v1/sessions", account)["access_token"]
    end = time.monotonic() + patience
    while not ask(f"{gateway}/v1/notifications", token=token)["items"]:
        if time.monotonic() > end:
            sys.exit(f"{name} got no notification within {patience:.0f} s")
        time.sleep(0.1)
    return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]}


with open(file, "w") as out:
    json.dump({"schema_version": "0.2.0", "auth": [arrive("ada"), arrive("bob")]}, out)
print(ids[0])
PYTHON
}

# --- the judgement

judge() { # service, address
  local status=0 report="$folder/$1.json" said="$folder/$1.txt"
  rm -f "$report"
  (cd "$run" && exec "$folder/venv/bin/schemathesis" --config-file "$config" run "$2/openapi.json" --url "$2" --continue-on-failure \
    --no-color --report json --report-json-path "$report" ${seed:+--seed "$seed"}) >"$said" 2>&1 </dev/null 9>&- &
  # Behind us, so that a signal is heeded at once.
  asking=$!
  wait "$asking" || status=$?
  asking=''
  # Nothing found is nothing worth when nothing was asked.
  "$python" - "$1" "$report" <<'PYTHON' || status=1
import json, sys

report = json.load(open(sys.argv[2]))
operations, cases = report["operations"], report["test_cases"]
failures = cases["unique_failures"] + len(report["errors"])
print(f"test-api: {sys.argv[1]}: {operations['tested']} of {operations['total']} operations, {cases['generated']} cases, "
      f"{failures} failures, {report['running_time']:.0f} s (seed {report['seed']})")
whole = report["complete"] and 0 < operations["tested"] == operations["total"] and cases["generated"] > 0
sys.exit(failures > 0 or not whole)
PYTHON
  if ((status != 0)); then
    cat "$said" >&2
    kill -0 "$pid" 2>/dev/null || gave_up "Waypost has ended"
  fi
  return "$status"
}

mkdir -p "$folder"
exec 9>"$folder/lock"
flock -w 600 9 || fail "another run holds $folder/lock"
schemathesis_up
cargo build ${CI:+--locked} --quiet --bin waypost 9>&-
run=$(mktemp -d "$folder/run.XXXXXX")
waypost_up
users=$(address_of user-api)
gateway=$(address_of notification-gateway)
export WAYPOST_TEST_PEOPLE="$run/people.json"
WAYPOST_TEST_ADA=$(people "$users" "$gateway" "$WAYPOST_TEST_PEOPLE")
export WAYPOST_TEST_ADA

failed=0
judge user-api "$users" || failed=1
judge notification-gateway "$gateway" || failed=1
if ((failed)); then fail "the APIs do not keep to their descriptions; all of it in ${folder#"$PWD"/}/"; fi
say "both APIs keep to their descriptions"
