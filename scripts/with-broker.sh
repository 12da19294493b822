#!/usr/bin/env bash
# Runs a command beside a RabbitMQ node of its own: `with-broker.sh cargo test`. The command finds the node's address
# in WAYPOST_TEST_AMQP_URL; when that is set already, it is used as it is, and no node is started.
#
# The node has its own name, ports, cookie and data, all on loopback. Node and data go when the command and all that it
# started have ended, however they end: a process that takes them away waits for the end of a pipe which only
# those hold open. What the node wrote is kept in .waypost/test-broker.log.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly DEADLINE_S=90
readonly log="$PWD/.waypost/test-broker.log"

fail() { printf 'with-broker: %s\n' "$*" >&2; exit 1; }

if [[ -n ${WAYPOST_TEST_AMQP_URL:-} ]]; then exec "$@"; fi

# A free port, ours for as long as the file stays locked: tests reserve theirs in the same way.
reserve_port() { # variable
  local locks="${TMPDIR:-/tmp}/waypost-test-ports" number lock
  mkdir -p "$locks"
  chmod 1777 "$locks" 2>/dev/null || true # for other users of the machine, too
  for _ in {1..1000}; do
    number=$((20000 + RANDOM % 12000))
    { exec {lock}>"$locks/$number"; } 2>/dev/null || continue # somebody else's lock file
    if flock -n "$lock" && ! (exec 3<>"/dev/tcp/127.0.0.1/$number") 2>/dev/null; then
      printf -v "$1" %s "$number"
      return
    fi
    exec {lock}>&-
  done
  fail "no free port between 20000 and 32000"
}

speaks_amqp() { # it answers the protocol header with a method frame (1), not with its own header
  # shellcheck disable=SC2016 # the inner shell's variable
  timeout 3 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1"; printf "AMQP\0\0\11\1" >&3; head -c 1 <&3 | od -An -tu1 | grep -q "^ *1$"' - \
    "$port" 2>/dev/null
}

await() { # what, command...
  local what=$1 end=$((SECONDS + DEADLINE_S))
  shift
  until "$@"; do
    if ! kill -0 "$beam" 2>/dev/null || ((SECONDS >= end)); then
      tail -n 20 "$log" >&2
      fail "$what does not answer; see $log"
    fi
    sleep 0.1
  done
}

# Not Debian's wrapper in /usr/sbin, which insists on root.
server=/usr/lib/rabbitmq/bin/rabbitmq-server
[[ -x $server ]] || server=$(command -v rabbitmq-server) || fail "RabbitMQ is not installed; scripts/services.sh rabbitmq-program does that"
mkdir -p .waypost
folder=$(mktemp -d "$PWD/.waypost/test-broker.XXXXXX")

# From here on nothing is left behind.
# shellcheck disable=SC2016 # the inner shell's variables
exec 8> >(
  trap '' INT TERM HUP
  exec setsid bash -c '
    cat >/dev/null
    for id in $(cat "$0"/*.id 2>/dev/null); do kill -KILL -- "-$id" 2>/dev/null; done
    for _ in {1..50}; do rm -rf "$0" 2>/dev/null && exit; sleep 0.1; done' "$folder" >/dev/null 2>&1
)

port='' names_port='' distribution_port=''
reserve_port port
reserve_port names_port
reserve_port distribution_port
echo '[].' >"$folder/enabled_plugins"
echo "listeners.tcp.1 = 127.0.0.1:$port" >"$folder/rabbitmq.conf"
# In a group of its own, which Ctrl-C does not reach, and without the pipe.
own() { # file for the id, command...
  local id_file="$folder/$1"
  shift
  setsid "$@" >>"$log" 2>&1 </dev/null 8>&- &
  echo $! >"$id_file"
}
: >"$log"
own names.id epmd -port "$names_port" -address 127.0.0.1
own node.id env HOME="$folder" RABBITMQ_NODENAME="waypost-test-$port@localhost" RABBITMQ_DIST_PORT="$distribution_port" \
  ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$names_port" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 \
  RABBITMQ_MNESIA_BASE="$folder/data" RABBITMQ_LOG_BASE="$folder/log" RABBITMQ_LOGS=- RABBITMQ_PID_FILE="$folder/pid" \
  RABBITMQ_CONFIG_FILE="$folder/rabbitmq.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$folder/enabled_plugins" \
  RABBITMQ_CONF_ENV_FILE="$folder/rabbitmq-env.conf" RUNNING_UNDER_SYSTEMD=true \
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}" \
  "$server"
beam=$(<"$folder/node.id")
await RabbitMQ speaks_amqp
export WAYPOST_TEST_AMQP_URL="amqp://guest:guest@127.0.0.1:$port/%2f"

exec "$@"
