#!/usr/bin/env bash
# Brings up PostgreSQL, Redis and RabbitMQ, or those that are named: `services.sh postgres redis`. Run it as often
# as you like. `rabbitmq-program` only sees to it that RabbitMQ is installed, for scripts/with-broker.sh; `redis-program`
# and `prometheus-program` the same, for who starts one of their own.
#
# For each server, in this order: the address in WAYPOST_TEST_{POSTGRES,REDIS,AMQP}_URL, when it is set;
# what answers on the standard port; what is installed, started here with data of its own; what root can
# install from Debian. Nothing that was there before is reconfigured. What the tests need to know beyond
# the standard addresses is written to .waypost/services/env.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres-address.sh
source scripts/postgres-address.sh

readonly DEADLINE_S=60
# Parallel tests hold a small pool each; Debian's default of 100 connections is too few.
readonly PG_CONNECTIONS=300
readonly PG_CONNECTIONS_LEAST=200
# Where our PostgreSQL listens when the standard port belongs to one that we can't use.
readonly PG_SPARE_PORT=54329

readonly local_dir="$PWD/.waypost/services"
mkdir -p "$local_dir"
: >"$local_dir/env"
if [[ $EUID -eq 0 ]]; then
  # The servers run as their own users, who may not be able to enter the folder of the clone.
  readonly data_dir=/var/lib/waypost-services
else
  readonly data_dir="$local_dir"
fi
mkdir -p "$data_dir"
chmod 755 "$data_dir"

say() { printf 'services: %s\n' "$*"; }
fail() { printf 'services: %s\n' "$*" >&2; exit 1; }

# One bring-up at a time.
exec 9>"$data_dir/lock"
flock -w 300 9 || fail "another bring-up holds $data_dir/lock"

answers() { timeout 2 bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null; }

await() { # what, command...
  local what=$1 end=$((SECONDS + DEADLINE_S))
  shift
  until "$@"; do
    ((SECONDS < end)) || fail "$what did not answer within ${DEADLINE_S} s; its log is under $data_dir"
    sleep 0.2
  done
}

# Runs a command as a server's own user when we are root, and as ourselves otherwise.
as_user() {
  local user=$1
  shift
  if [[ $EUID -eq 0 ]]; then runuser -u "$user" -- "$@"; else "$@"; fi
}

# Starts a server that outlives this script and holds none of its files.
daemon() { # user, log, command...
  local user=$1 log=$2
  shift 2
  (cd / && as_user "$user" setsid -f "$@" >>"$log" 2>&1 </dev/null 9>&-)
}

own_dir() { # user, folder
  mkdir -p "$2"
  if [[ $EUID -eq 0 ]]; then chown "$1": "$2"; fi
}

# What holds the servers of a package back while it is installed: gone afterwards, or none would ever start here. Who is killed
# removes nothing; so the policy holds only while somebody has the lock, which goes with apt-get, and the next run takes it away.
readonly policy=/usr/sbin/policy-rc.d cluster=/etc/postgresql-common/createcluster.d/waypost.conf
readonly apt_lock="$data_dir/apt.lock" MARK="# Waypost's scripts/services.sh installs a server; left behind, this may be removed."
held_back=()
trap 'rm -f "${held_back[@]}"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
for left in "$policy" "$cluster"; do
  if [[ $EUID -eq 0 ]] && grep -qsF "$MARK" "$left" && flock --nonblock "$apt_lock" true; then rm -f "$left"; fi
done

apt_install() { # package, variable that may name a server instead
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    fail "$1 is not installed. Install it (on Debian, as root: apt-get install $1)${2:+, or set $2 to a server that runs}."
  fi
  say "installing $1"
  # One at a time, that of a run which was killed too. It is apt-get's from here on.
  exec 8>"$apt_lock"
  flock -w 300 8 || fail "another installation holds $apt_lock"
  # The package must neither start its server (it may fail in a container, and would take the port with
  # other settings than ours) nor make a database cluster that a later boot starts.
  if [[ ! -e $policy ]] || grep -qsF "$MARK" "$policy"; then
    held_back+=("$policy")
    # 101 forbids, 0 allows.
    printf '#!/bin/sh\n%s\n[ -e %q ] && ! flock --nonblock %q true && exit 101\nexit 0\n' "$MARK" "$apt_lock" "$apt_lock" >"$policy"
    chmod 755 "$policy"
  fi
  mkdir -p "$(dirname "$cluster")"
  held_back+=("$cluster")
  printf '%s\ncreate_main_cluster = false\n' "$MARK" >"$cluster"
  local status=0
  { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" ||
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1"; }
  } >"$data_dir/apt.log" 2>&1 9>&- || status=$?
  rm -f "${held_back[@]}"
  held_back=()
  exec 8>&-
  ((status == 0)) || fail "apt-get could not install $1; see $data_dir/apt.log"
}

# --- PostgreSQL

pg_bin() {
  local dir
  dir=$(find /usr/lib/postgresql/ -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
  if [[ -z $dir ]] && command -v postgres >/dev/null; then dir=$(dirname "$(readlink -f "$(command -v postgres)")"); fi
  [[ -n $dir && -x $dir/initdb ]] && echo "$dir"
}

pg_query() { # url, statement
  local psql
  psql=$(command -v psql || echo "$(pg_bin)/psql")
  PSQL=$psql PGCONNECT_TIMEOUT=3 psql_at "$1" -qtA -c "$2" 2>/dev/null
}

# Has every client of ours find the password of the server that we made, and nobody else's: whoever may be its superuser may run
# programs as the user it runs as. On any port: tests go by way of proxies.
remember_password() { # password
  local file=${PGPASSFILE:-${HOME:-$(getent passwd "$EUID" | cut -d: -f6)}/.pgpass} others=''
  # Ours is the line behind the mark; what else stands there is the user's, goes before it and is asked first.
  local mark="# Waypost's scripts/services.sh"
  if [[ -e $file ]]; then others=$(awk -v mark="$mark" '$0 == mark { getline; next } { print }' "$file"); fi
  # Written into the file that is there: it may be a link.
  (umask 077 && printf '%s%s\n127.0.0.1:*:*:postgres:%s\n' "${others:+$others$'\n'}" "$mark" "$1" >"$file")
  # Or clients pass over it.
  chmod 600 "$file"
}

# What PostgreSQL keeps of a password (RFC 5803), for log-ins of a single round. Each round is hashed by the client too, and the usual
# 4,096 keep a test's program, which is built without optimisation, busy for 25 ms with each connection. They protect passwords that
# somebody may guess; ours is random.
scram_verifier() { # the password is read from standard input
  # shellcheck disable=SC2016 # Perl's variables; it comes with Debian's PostgreSQL
  perl -MDigest::SHA=sha256,hmac_sha256 -MMIME::Base64 -e '
    chomp(my $password = <STDIN>);
    open(my $random, "<:raw", "/dev/urandom") or die;
    read($random, my $salt, 16);
    my $salted = hmac_sha256($salt . pack("N", 1), $password);
    my ($client, $server) = map { hmac_sha256($_, $salted) } "Client Key", "Server Key";
    printf "SCRAM-SHA-256\$1:%s\$%s:%s", map { encode_base64($_, "") } $salt, sha256($client), $server;'
}

pg_usable() { # url: lets us in, with room for parallel tests
  local most
  most=$(pg_query "$1" 'show max_connections') && ((most >= PG_CONNECTIONS_LEAST))
}

postgres_up() {
  local url=${WAYPOST_TEST_POSTGRES_URL:-}
  if [[ -n $url ]]; then
    host_port "$url" 5432 | { read -r host port; answers "$host" "$port"; } ||
      fail "nothing answers at WAYPOST_TEST_POSTGRES_URL"
    say "PostgreSQL: the address in WAYPOST_TEST_POSTGRES_URL"
    return
  fi
  local port=5432
  url=postgres://postgres@127.0.0.1:5432/postgres
  if answers 127.0.0.1 5432; then
    if ! command -v psql >/dev/null && ! pg_bin >/dev/null; then
      say "PostgreSQL: runs on 5432 (without psql here, its access is not checked)"
      return
    fi
    if pg_usable "$url"; then
      say "PostgreSQL: runs on 5432"
      return
    fi
    say "PostgreSQL on 5432 asks user postgres for a password that we do not have or allows fewer than $PG_CONNECTIONS_LEAST connections: left alone, a second one on $PG_SPARE_PORT"
    port=$PG_SPARE_PORT
    url=postgres://postgres@127.0.0.1:$port/postgres
    echo "export WAYPOST_TEST_POSTGRES_URL=$url" >>"$local_dir/env"
    if answers 127.0.0.1 "$port"; then
      pg_usable "$url" || fail "PostgreSQL on $port can't be used either; set WAYPOST_TEST_POSTGRES_URL"
      return
    fi
  fi
  local bin
  bin=$(pg_bin) || { apt_install postgresql WAYPOST_TEST_POSTGRES_URL; bin=$(pg_bin); }
  local dir="$data_dir/postgres"
  own_dir postgres "$dir"
  if [[ ! -e $dir/data/PG_VERSION ]]; then
    (umask 077 && head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$dir/password")
    if [[ $EUID -eq 0 ]]; then chown postgres: "$dir/password"; fi
    as_user postgres "$bin/initdb" -D "$dir/data" -U postgres --pwfile="$dir/password" --auth-local=peer \
      --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8 >"$data_dir/initdb.log" 2>&1 9>&- ||
      fail "initdb failed; see $data_dir/initdb.log"
  fi
  if [[ -e $dir/password ]]; then remember_password "$(<"$dir/password")"; fi
  daemon postgres "$data_dir/postgres.log" "$bin/postgres" -D "$dir/data" -p "$port" \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories="$dir" -c max_connections="$PG_CONNECTIONS"
  await PostgreSQL pg_usable "$url"
  local verifier
  if [[ -e $dir/password ]] && verifier=$(scram_verifier <"$dir/password" 2>/dev/null); then
    pg_query "$url" "ALTER ROLE postgres PASSWORD '$verifier'" || fail "the password of PostgreSQL can't be set"
  fi
  say "PostgreSQL: started on $port"
}

# --- Redis

redis_pong() {
  # shellcheck disable=SC2016 # the inner shell's variable
  timeout 2 bash -c 'exec 3<>/dev/tcp/127.0.0.1/6379; printf "PING\r\n" >&3; read -r line <&3; [[ $line == +PONG* ]]' 2>/dev/null
}

redis_up() {
  if [[ -n ${WAYPOST_TEST_REDIS_URL:-} ]]; then
    host_port "$WAYPOST_TEST_REDIS_URL" 6379 | { read -r host port; answers "$host" "$port"; } ||
      fail "nothing answers at WAYPOST_TEST_REDIS_URL"
    say "Redis: the address in WAYPOST_TEST_REDIS_URL"
    return
  fi
  if answers 127.0.0.1 6379; then
    redis_pong || fail "what runs on 6379 refuses a plain PING; set WAYPOST_TEST_REDIS_URL"
    say "Redis: runs on 6379"
    return
  fi
  redis_program_up
  local dir="$data_dir/redis"
  own_dir redis "$dir"
  daemon redis "$data_dir/redis.log" redis-server --port 6379 --bind 127.0.0.1 --dir "$dir" --save '' --appendonly no
  await Redis redis_pong
  say "Redis: started on 6379"
}

redis_program_up() { command -v redis-server >/dev/null || apt_install redis-server WAYPOST_TEST_REDIS_URL; }

# --- RabbitMQ

rabbit_greets() { # it answers the protocol header with a method frame (1), not with its own header
  timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/5672; printf "AMQP\0\0\11\1" >&3; head -c 1 <&3 | od -An -tu1 | grep -q "^ *1$"' 2>/dev/null
}

rabbit_script() {
  # Not Debian's wrapper in /usr/sbin, which insists on root.
  local script
  for script in /usr/lib/rabbitmq/bin/rabbitmq-server "$(command -v rabbitmq-server || true)"; do
    if [[ -x $script ]]; then echo "$script"; return; fi
  done
  return 1
}

rabbitmq_program_up() {
  if [[ -n ${WAYPOST_TEST_AMQP_URL:-} ]]; then rabbitmq_up; return; fi
  rabbit_script >/dev/null || apt_install rabbitmq-server WAYPOST_TEST_AMQP_URL
}

rabbitmq_up() {
  if [[ -n ${WAYPOST_TEST_AMQP_URL:-} ]]; then
    host_port "$WAYPOST_TEST_AMQP_URL" 5672 | { read -r host port; answers "$host" "$port"; } ||
      fail "nothing answers at WAYPOST_TEST_AMQP_URL"
    say "RabbitMQ: the address in WAYPOST_TEST_AMQP_URL"
    return
  fi
  if answers 127.0.0.1 5672; then
    await "what runs on 5672" rabbit_greets
    say "RabbitMQ: runs on 5672"
    return
  fi
  rabbitmq_program_up
  local script dir="$data_dir/rabbitmq"
  script=$(rabbit_script)
  own_dir rabbitmq "$dir"
  echo '[].' >"$dir/enabled_plugins"
  echo 'listeners.tcp.1 = 127.0.0.1:5672' >"$dir/rabbitmq.conf"
  local node=(env HOME="$dir" RABBITMQ_NODENAME=waypost@localhost RABBITMQ_DIST_PORT=25673
    ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=4370
    RABBITMQ_MNESIA_BASE="$dir/data" RABBITMQ_LOG_BASE="$dir/log" RABBITMQ_PID_FILE="$dir/pid"
    RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$dir/enabled_plugins")
  daemon rabbitmq "$data_dir/rabbitmq.log" "${node[@]}" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}" "$script"
  await RabbitMQ rabbit_greets
  # Tests delete no queue of theirs (see docs/testing.md): what nobody used for an hour goes by itself.
  (cd / && as_user rabbitmq "${node[@]}" "$(dirname "$script")/rabbitmqctl" --quiet -n waypost@localhost set_policy --apply-to queues \
    waypost-test-queues '^t[0-9a-f]{12}\.' '{"expires":3600000}' >>"$data_dir/rabbitmq.log" 2>&1 9>&-) ||
    say "RabbitMQ: could not set the policy for test queues; see $data_dir/rabbitmq.log"
  say "RabbitMQ: started on 5672"
}

# --- Prometheus

prometheus_program_up() {
  if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then apt_install prometheus ''; fi
}

host_port() { # url, default port -> "host port"
  local rest=${1#*://}
  rest=${rest%%[/?]*}
  rest=${rest##*@}
  rest=${rest%%,*}
  if [[ $rest =~ ^\[(.*)\](:(.+))?$ ]]; then
    # IPv6, whose brackets are the URL's alone.
    echo "${BASH_REMATCH[1]} ${BASH_REMATCH[3]:-$2}"
  elif [[ $rest == *:* ]]; then echo "${rest%:*} ${rest##*:}"; else echo "$rest $2"; fi
}

if (($# == 0)); then set -- postgres redis rabbitmq; fi
for server in "$@"; do
  case $server in
    postgres) postgres_up ;;
    redis) redis_up ;;
    rabbitmq) rabbitmq_up ;;
    rabbitmq-program) rabbitmq_program_up ;;
    redis-program) redis_program_up ;;
    prometheus-program) prometheus_program_up ;;
    *) fail "there is no server $server: postgres, redis, rabbitmq, {rabbitmq,redis,prometheus}-program" ;;
  esac
done
