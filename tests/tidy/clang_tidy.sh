#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang_tidy.sh BUILD_FOLDER: .clang-tidy over the product's C++ with the compile commands of BUILD_FOLDER, on all
# processors.  A file that passed is not looked at again until it, a header or the list of checks changes.
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
mkdir -p "$build/tidy_passed"

# Only the libraries' own code, compiled here once.
left_out='^net/asio_src\.cc$'

common=$(sh "$here/list_sources.sh" | grep -E '^(.*\.(h|fbs)|\.clang-tidy)$' | xargs cat | sha256sum | cut -c 1-64)
files=$(sh "$here/list_sources.sh" | grep -E '^(bus|net|safety|gcode|producers|consumers|projections|web/edge|cli)/.*\.cc$' |
  grep -vE "$left_out")
printf '%s\n' "$files" | xargs -P "$(nproc)" -n 1 sh "$here/clang_tidy_file.sh" "$build" "$common"
echo "clang-tidy: $(printf '%s\n' "$files" | wc -l) files, nothing found"
