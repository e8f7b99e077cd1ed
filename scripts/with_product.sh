#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# with_product.sh COMMAND...: starts the demo shop with ./run on free ports and a data folder of its own, runs COMMAND with
# its address in MILLRACE_URL, and stops everything.  Exit code: the command's, or 1 if ./run did not keep its promises.
# shellcheck disable=SC2317  # the trap calls leave and stop_product
set -euo pipefail
called_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/common.sh
room=$(mktemp -d "${TMPDIR:-/tmp}/millrace-product.XXXXXX")
product=''

leave() {
  local code=$?
  trap '' INT TERM HUP
  [[ -z $product ]] || stop_product || code=1
  ((code == 0)) || tail -n 40 "$room/run.err" "$room"/data/run/*.log >&2 || true
  rm -rf "$room"
  exit "$code"
}
trap leave EXIT
trap 'exit 143' INT TERM HUP

free_ports() {
  node -e 'const net = require("net"), held = [1, 2].map(() => net.createServer().listen(0, "127.0.0.1"));
    setImmediate(() => { console.log(...held.map(s => s.address().port)); held.forEach(s => s.close()) })'
}

start_product() {
  local deadline=$((SECONDS + 120))
  : >"$room/run.out"
  read -r http_port mqtt_port < <(free_ports)
  env -u MILLRACE_HUB_DATA_DIR -u MILLRACE_HTTP_LISTEN -u MILLRACE_MQTT_URL \
    ./run --no-install --data "$room/data" --http "127.0.0.1:$http_port" --mqtt-port "$mqtt_port" \
    >"$room/run.out" 2>"$room/run.err" </dev/null &
  product=$!
  until grep -q '^Millrace is ready: ' "$room/run.out"; do
    kill -0 "$product" 2>/dev/null || fail 1 "./run ended before it was ready"
    ((SECONDS < deadline)) || fail 1 "./run was not ready after 120 s"
    sleep 0.1
  done
}

# Asks ./run to end, as Ctrl-C would, and holds it to its word: exit code 0, and nothing of it is left.
stop_product() {
  local code=0
  kill -TERM "$product" 2>/dev/null || true
  wait "$product" || code=$?
  product=''
  ((code == 0)) || { say "./run ended with exit code $code"; return 1; }
  [[ $(<"$room/run.out") == "Millrace is ready: http://127.0.0.1:$http_port" ]] || {
    say "./run said on stdout: $(<"$room/run.out")"
    return 1
  }
  if taken 127.0.0.1 "$http_port" || taken 127.0.0.1 "$mqtt_port"; then
    say "./run left something running"
    return 1
  fi
}

(($#)) || fail 2 "usage: with_product.sh COMMAND..."
start_product
cd "$called_from"
MILLRACE_URL=http://127.0.0.1:$http_port "$@" && code=0 || code=$?
cd "$OLDPWD"
exit "$code"
