# shellcheck shell=bash
# For scripts that call psql; to be sourced. Everybody on a machine sees the arguments of a process (`ps`), and an address may hold
# a password: it goes by the environment, which only the process' own user sees.

# Sets `address` to the url without its password, and PGPASSWORD to that. In a subshell, so that nobody else inherits it.
without_password() { # url
  local rest=${1#*://} who host path parameter parameters=() kept=() password
  local authority=${rest%%[/?]*}
  path=${rest#"$authority"}
  if [[ $authority == *@* ]]; then
    who=${authority%@*} host=${authority##*@}
    if [[ $who == *:* ]]; then password=${who#*:}; fi
    authority="${who%%:*}@$host"
  fi
  if [[ $path == *\?* ]]; then
    IFS='&' read -ra parameters <<<"${path#*\?}"
    for parameter in "${parameters[@]}"; do
      if [[ $parameter == password=* ]]; then password=${parameter#*=}; else kept+=("$parameter"); fi
    done
    path=${path%%\?*}
    if ((${#kept[@]} > 0)); then path+="?$(IFS='&'; echo "${kept[*]}")"; fi
  fi
  # shellcheck disable=SC2034 # for who calls
  address="${1%%://*}://$authority$path"
  if [[ -v password ]]; then
    # %40 is an @.
    password=${password//\\/\\\\}
    printf -v PGPASSWORD '%b' "${password//%/\\x}"
    export PGPASSWORD
  fi
}

# Runs psql, or the program in PSQL, with the arguments that follow the url.
psql_at() ( # url, argument...
  without_password "$1"
  shift
  exec "${PSQL:-psql}" --no-password --no-psqlrc "$address" "$@"
)
