#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Proves that check_sources.sh catches what it is there to catch: each breach is planted alone in a small clean tree.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0
cases=0
mark='// SPDX-License-Identifier: Apache-2.0'

# file PATH LINE...: writes a marked source file into the tree.
file() {
  path=$tree/$1
  mkdir -p "$(dirname "$path")"
  shift
  printf '%s\n' "$mark" "$@" >"$path"
}

clean_tree() {
  rm -rf "${tree:?}"/*
  file bus/clock.cc '#include "bus/clock.h"' 'auto now() { return std::chrono::system_clock::now(); }'
  file bus/clock.h 'struct Clock;'
  file bus/rocksdb_store.h '#include <rocksdb/db.h>'
  file bus/rocksdb_log.cc '#include "bus/rocksdb_store.h"'
  file net/stream.h '#include <boost/asio/ip/tcp.hpp>'
  file net/server.cc '#include "bus/clock.h"' '#include "net/stream.h"'
  file producers/adapter.cc '#include "safety/limits.h"' 'int at = view.time(0);  // not time(nullptr)' 'auto s = "rand()";' 'SeededRandom random(1);'
  file projections/jobs.cc '#include "schemas/event_generated.h"' '/* sleep_for is' 'usleep(1) */ int a;'
  file web/edge/edge.cc '#include "projections/registry.h"'
  file cli/main.cc '#include "consumers/recorder.h"' '#include "producers/adapter.h"'
  file tests/unit/bus/log_test.cc '#include <nlohmann/json.hpp>' '#include "fixture.h"' 'usleep(1);'
}

check() { sh "$here/check_sources.sh" "$1" "$tree" >"$tree.out" 2>&1; }

expect_clean() {
  clean_tree
  cases=$((cases + 1))
  check "$1" && return
  echo "a clean tree is refused ($1):"
  cat "$tree.out"
  failures=$((failures + 1))
}

# refuse includes|rules TEXT PATH LINE...: with this file added, the check must fail and its message must hold TEXT.
refuse() {
  clean_tree
  cases=$((cases + 1))
  rule=$1 text=$2
  shift 2
  file "$@"
  if check "$rule" || ! grep -F -q "$text" "$tree.out"; then
    echo "not caught ($rule): $*"
    cat "$tree.out"
    failures=$((failures + 1))
  fi
}

expect_clean includes
expect_clean rules

refuse includes 'bus/ must not include from net/' bus/up.cc '#include "net/http_server.h"'
refuse includes 'bus/ must not include from projections/' bus/up.h '#  include "projections/registry.h"'
refuse includes 'net/ must not include from safety/' net/side.cc '#include "safety/limits.h"'
refuse includes 'producers/ must not include from consumers/' producers/side.cc '#include "consumers/recorder.h"'
refuse includes 'consumers/ must not include from projections/' consumers/side.cc '#include "projections/registry.h"'
refuse includes 'projections/ must not include from net/' projections/side.cc '#include "net/url.h"'
refuse includes 'gcode/ must not include from net/' gcode/side.cc '#include "net/url.h"'
refuse includes 'safety/ must not include from producers/' safety/up.h '#include "producers/event_sink.h"'
refuse includes 'web/ must not include from producers/' web/edge/side.cc '#include "producers/event_sink.h"'
refuse includes 'cli/ must not include from tests/' cli/down.cc '#include "tests/support/paths.h"'
refuse includes "from the project's root" producers/near.cc '#include "adapter.h"'
refuse includes "from the project's root" producers/dots.cc '#include "../net/url.h"'
refuse includes 'RocksDB stays behind' bus/log.cc '#include <rocksdb/db.h>'
refuse includes 'shows RocksDB outside' bus/log.cc '#include "bus/rocksdb_store.h"'
refuse includes 'Beast and Asio stays behind' web/edge/socket.cc '#include <boost/beast/core.hpp>'
refuse includes 'shows Beast and Asio outside' producers/link.cc '#include "net/stream.h"'
refuse includes 'libcurl stays behind' net/other.cc '#include <curl/curl.h>'
refuse includes 'spdlog stays behind' bus/words.cc '#include <spdlog/spdlog.h>'
refuse includes 'nlohmann/json stays behind' cli/json.cc '#include <nlohmann/json.hpp>'
clean_tree
file bus/mqtt_client.cc '#include <mqtt/async_client.h>'
cases=$((cases + 1))
file bus/mqtt_second.cc '#include <mqtt/message.h>'
if check includes || ! grep -q 'already has a wrapper' "$tree.out"; then
  echo 'not caught: a second wrapper of Paho'
  failures=$((failures + 1))
fi

refuse rules 'injected Clock' consumers/now.cc 'auto t = std::chrono::steady_clock::now();'
refuse rules 'injected Clock' consumers/now.cc 'auto t = std::time(nullptr);'
refuse rules 'injected Clock' consumers/now.cc 'auto t = time(0);'
refuse rules 'injected Random' net/dice.cc 'std::random_device seed;'
refuse rules 'injected Random' net/dice.cc 'int n = rand();'
refuse rules 'injected Random' net/dice.cc 'long n = random();'
refuse rules 'no sleeping' net/nap.cc 'std::this_thread::sleep_for(1s);'
refuse rules 'no sleeping' net/nap.cc '/* short */ usleep(5);'
refuse rules 'coroutines' net/wait.cc 'co_await read();'
refuse rules 'one particular machine' tests/e2e/paths.sh 'cd "/wor''k/main"'
refuse rules 'one particular machine' docs/notes.md 'see /roo''t/.cache'
refuse rules 'a blank at the end' net/blank.cc 'int a; '
# The mark is missing from all of these.
mark=
refuse rules 'no SPDX' bus/bare.cc 'int a;'
mark='// SPDX-License-Identifier: Apache-2.0'
# shellcheck disable=SC2046
refuse rules '702 lines' bus/long.cc $(seq 701)

rm -f "$tree.out"
echo "$cases cases, $failures failures"
[ "$failures" -eq 0 ]
