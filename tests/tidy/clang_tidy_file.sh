#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang_tidy_file.sh BUILD_FOLDER DIGEST FILE: one file of clang_tidy.sh; DIGEST stands for all that it may include.
set -eu
build=$1 file=$3
passed=$build/tidy_passed/$(printf '%s %s ' "$2" "$file" | cat - "$file" | sha256sum | cut -c 1-64)
[ ! -e "$passed" ] || exit 0
report=$(mktemp)
trap 'rm -f "$report"' EXIT
# g++ has already shown its warnings (-w), and clang does not know all of its options.
if ! clang-tidy-14 -p "$build" --quiet --extra-arg=-w "$file" >"$report" 2>&1; then
  grep -vE '^[0-9]+ (warning|error)s? .*generated|^Suppressed|^Use -header-filter' "$report"
  exit 1
fi
: >"$passed"
