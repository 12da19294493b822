#!/usr/bin/env bash
# Has Prometheus itself read what deploy/ gives it: the configuration, the rules with their tests, and every expression of
# the dashboards as if it were a rule. Needs promtool (Debian: apt-get install prometheus). That their metrics and
# labels exist is a test of the crate common, that each alert has its runbook one of the crate waypost. The compose file is
# read by Compose, where that is installed. What the expressions give and whether alerts fire is seen by check-deploy-live.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v promtool >/dev/null; then
  echo "check-deploy: promtool is not installed (Debian: apt-get install prometheus)" >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# With the rules that it names.
promtool check config deploy/prometheus/prometheus.yml
promtool test rules deploy/prometheus/tests/*.yml
for dashboard in deploy/grafana/dashboards/*.json; do
  rules="$work/$(basename "$dashboard" .json).yml"
  # A JSON string is a YAML string too. Grafana puts a duration in for its own variable, which the shell must leave alone.
  # shellcheck disable=SC2016
  {
    printf 'groups:\n  - name: dashboard\n    rules:\n'
    sed -n 's/^ *"expr": \("\(\\.\|[^"\\]\)*"\),\{0,1\}$/\1/p' "$dashboard" | sed 's/\$__rate_interval/5m/g' |
      awk '{ printf "      - record: dashboard:expression:%d\n        expr: %s\n", NR, $0 }'
  } >"$rules"
  written=$(grep -c '"expr"' "$dashboard")
  read=$(grep -c 'expr:' "$rules")
  if ((written != read)); then
    echo "check-deploy: $dashboard has $written expressions, $read were read" >&2
    exit 1
  fi
  promtool check rules "$rules"
done

if docker compose version >/dev/null 2>&1; then
  docker compose config --quiet
  echo "check-deploy: Compose accepts docker-compose.yml"
else
  echo "check-deploy: docker-compose.yml was not checked: docker compose is not installed"
fi
