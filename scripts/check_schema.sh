#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_schema.sh SCHEMA_COMPARE BASELINE_FOLDER CURRENT_FOLDER: whether events written with the one event.fbs can be read
# with the other.  `flatc --conform` and, for what that lets pass, tests/tidy/schema_compare.cc.
set -eu
compare=$1 baseline=$2 current=$3
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

binary() { flatc --binary --schema --bfbs-builtins -I "$1" -o "$room/$2" "$1/event.fbs"; }

binary "$baseline" before
binary "$current" now
code=0
flatc --conform "$baseline/event.fbs" --conform-includes "$baseline" -I "$current" "$current/event.fbs" || code=1
"$compare" "$room/before/event.bfbs" "$room/now/event.bfbs" || code=1
exit "$code"
