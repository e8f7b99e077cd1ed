#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Applies shellcheck to every shell script of the project.
set -eu
cd "$(dirname "$0")/../.."
scripts=$(sh tests/tidy/list_sources.sh | while read -r file; do
  case ${file##*/} in
    *.sh) echo "$file" ;;
    *.*) ;;
    *) if head -n 1 "$file" | grep -qE '^#!.*(/| )(ba|da)?sh'; then echo "$file"; fi ;;
  esac
done)
# File names with blanks do not occur; the split is wanted.
# shellcheck disable=SC2086
shellcheck -x $scripts
echo "$scripts"
