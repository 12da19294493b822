# What a page's commands find: programs of this build, and a Waypost that is up after `make run`.
set -e
exec 2>&1

make() {
  case "$1" in
    run) up ;;
    exercise) shift && exercise "$@" ;;
    *) echo "make $1: no page may run that here"; return 1 ;;
  esac
}

exercise() { # E=name [A=answer] [S=1]
  local word arguments=()
  for word; do
    case "$word" in
      E=*) arguments=("${word#E=}" "${arguments[@]}") ;;
      A=*) arguments+=(--answer "${word#A=}") ;;
      S=1) arguments+=(--solution) ;;
      *) echo "make exercise: $word?"; return 1 ;;
    esac
  done
  "$PROGRAMS/guide" exercise "${arguments[@]}" --at "$WAYPOST__USER_API__OPERATIONS__ADDRESS"
}

cargo() { # run [--quiet] --example name [-- ..] | run [--quiet] --bin name [-- ..]
  local kind name
  [[ $1 == run ]] || { echo "cargo $1: no page may run that here"; return 1; }
  shift
  [[ $1 == --quiet ]] && shift
  kind=$1 name=$2
  shift 2
  [[ ${1:-} == -- ]] && shift
  case "$kind" in
    --example) "$PROGRAMS/examples/$name" "$@" ;;
    --bin) "$PROGRAMS/$name" "$@" ;;
    *) echo "cargo run $kind?"; return 1 ;;
  esac
}

redis-cli() { command redis-cli -p "$REDIS_PORT" "$@"; }

# Keeps Waypost up in the background, in the place of the one before.
up() {
  down
  "$PROGRAMS/waypost" run >up.log 2>&1 &
  up_id=$!
  local end=$((SECONDS + 60))
  until grep -qs 'Waypost is up' up.log; do
    if ((SECONDS > end)) || ! kill -0 "$up_id" 2>/dev/null; then cat up.log; return 1; fi
    sleep 0.1
  done
}

down() {
  if [[ -n ${up_id:-} ]]; then
    kill -TERM "$up_id" 2>/dev/null || true
    wait "$up_id" 2>/dev/null || true
    up_id=
  fi
  rm -f up.log
}
trap down EXIT
