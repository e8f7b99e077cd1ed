#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_sources.sh includes|rules [ROOT]: applies includes.awk or source_rules.awk to the project.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "${2:-$here/../..}"
case $1 in
  includes) wanted='\.(cc|h)$' ;;
  # Recorded traffic, lock files and pictures are not written by hand.
  rules) wanted='(^|/)[^/.]+$|\.(cc|h|fbs|cmake|awk|sh|ts|mts|vue|js|mjs|css|html|json|toml|yaml|yml|txt|md|conf)$|^\.' ;;
  *) echo "usage: check_sources.sh includes|rules [ROOT]" >&2; exit 2 ;;
esac
script=$here/includes.awk
[ "$1" = includes ] || script=$here/source_rules.awk
files=$(sh "$here/list_sources.sh" . | grep -E "$wanted" | grep -vE '(^|/)(package-lock\.json|LICENSE)$|^tests/fuzz/corpus/')
count=$(printf '%s\n' "$files" | wc -l)
[ "$count" -ge "${MILLRACE_TIDY_LEAST:-1}" ] || { echo "only $count files found below $(pwd)"; exit 1; }
# File names with blanks do not occur; the split is wanted.
# shellcheck disable=SC2086
awk -f "$script" $files
echo "$count files checked ($1)"
