#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What ./run and ./test refuse before they build anything: one line, exit code 2.  And what they read from a configuration.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/common.sh
room=$(mktemp -d)
listener=
trap '[[ -z $listener ]] || kill "$listener"; rm -rf "$room"' EXIT
failures=0

wrong() {
  say "$*"
  failures=$((failures + 1))
}

# refused TEXT COMMAND...: exit code 2 and one line on stderr that holds TEXT.
refused() {
  local text=$1 code=0
  shift
  timeout 20 "$@" >"$room/out" 2>"$room/err" </dev/null || code=$?
  ((code == 2)) || wrong "$*: exit code $code"
  [[ $(wc -l <"$room/err") == 1 ]] || wrong "$*: not one line: $(cat "$room/err")"
  grep -qF -- "$text" "$room/err" || wrong "$*: lacks '$text': $(cat "$room/err")"
  [[ ! -s $room/out ]] || wrong "$*: said something on stdout"
}

node -e 'require("net").createServer().listen(0, "127.0.0.1", function () { console.log(this.address().port) })' \
  >"$room/port" &
listener=$!
until [[ -s $room/port ]]; do kill -0 "$listener" && sleep 0.05; done
busy=$(<"$room/port")

refused "unknown option '--htpp'" ./run --htpp 127.0.0.1:1
refused '--data needs a value' ./run --data
refused 'expected HOST:PORT' ./run --http 8080
refused "'99999' is not a port" ./run --http 127.0.0.1:99999
refused "'0' is not a port" ./run --mqtt-port 0
refused 'no such file' ./run --config "$room/none.toml"
refused 'cannot make the folder' ./run --data /dev/null/data
refused "127.0.0.1:$busy is taken" ./run --data "$room/data" --http "127.0.0.1:$busy"
refused "port $busy is taken" ./run --data "$room/data" --http 127.0.0.1:1 --mqtt-port "$busy"
refused "127.0.0.1:$busy is taken" env MILLRACE_HTTP_LISTEN="127.0.0.1:$busy" ./run --data "$room/data"
refused "unknown label 'unti'" ./test unti

cat >"$room/shop.toml" <<END
# listen = "commented out"
[site]
listen = "not this"
[ http ]   # the page
  listen = "127.0.0.1:$busy" # inside
[hub]
data_dir = "$room/data"
telemetry_days = 30 # days
[mqtt]
url = "mqtt://127.0.0.1:$busy"
END
refused "127.0.0.1:$busy is taken" ./run --config "$room/shop.toml"
refused "port $busy is taken" ./run --config "$room/shop.toml" --http 127.0.0.1:1
exec 8>"$room/data/run/lock"
flock 8
refused "another ./run uses $room/data" ./run --data "$room/data" --http 127.0.0.1:1

[[ $(value_of "$room/shop.toml" http listen) == "127.0.0.1:$busy" ]] || wrong "value_of http listen"
[[ $(value_of "$room/shop.toml" hub telemetry_days) == 30 ]] || wrong "value_of hub telemetry_days"
[[ -z $(value_of "$room/shop.toml" hub listen) ]] || wrong "value_of of a key that is not there"
((failures == 0))
