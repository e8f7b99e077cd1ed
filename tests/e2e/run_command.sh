#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What ./run promises once it says that it is ready, with MILLRACE_URL from scripts/with_product.sh: the page, the parts in
# order, and the machines of the demo shop connected.
set -euo pipefail

get() { curl -fsS -m 10 "$MILLRACE_URL$1"; }

# eventually TEXT COMMAND...: within a minute the output of COMMAND holds TEXT.
eventually() {
  local deadline=$((SECONDS + 60)) text=$1
  shift
  until "$@" | grep -q -- "$text"; do
    ((SECONDS < deadline)) || { echo "'$*' never showed '$text'; at last: $("$@" | head -c 2000)"; exit 1; }
    sleep 0.2
  done
}

get /health/live >/dev/null
get /health/ready >/dev/null
get / | grep -q '<div id="app"' || { echo "no page at /"; exit 1; }
eventually '"connection":"connected"' get /api/v1/machines
eventually '"state":"printing"' get /api/v1/machines
eventually '^millrace_' get /metrics
[[ $(curl -s -o /dev/null -w '%{http_code}' "$MILLRACE_URL/api/v1/machines/no-such-machine") == 404 ]]
