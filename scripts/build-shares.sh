#!/usr/bin/env bash
# A release build of the five programs from an empty folder, without Kafka's client: how long it takes, and how long each
# crate of it. A crate is counted with its build script.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly MOST=25

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
began=$SECONDS
CARGO_TARGET_DIR=$folder CARGO_INCREMENTAL=0 cargo build --release --locked --bins --timings --package user-api \
  --package email-worker --package notification-gateway --package provider-sandbox --package waypost
echo "a release build of the programs from an empty folder: $((SECONDS - began)) s on $(nproc) cores"
echo "time by crate (s, share of all):"
# Cargo's report has its figures as JSON, one field a line.
awk -v most=$MOST '
  /^const UNIT_DATA/ { within = 1 }
  /^\];/ { within = 0 }
  within && $1 == "\"name\":" { gsub(/[",]/, "", $2); name = $2 }
  within && $1 == "\"duration\":" { sub(/,/, "", $2); took[name] += $2; all += $2 }
  END {
    for (name in took) printf "%8.1f %5.1f%%  %s\n", took[name], 100 * took[name] / all, name | "sort -rn | head -" most
    close("sort -rn | head -" most)
    printf "%8.1f 100.0%%  all\n", all
  }' "$folder/cargo-timings/cargo-timing.html"
