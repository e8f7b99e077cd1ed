#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# schema_conform.sh SCHEMA_COMPARE: the event schemas conform to the accepted ones, and a change has been accepted.
set -eu
cd "$(dirname "$0")/../.."
sh scripts/check_schema.sh "$1" schemas/baseline schemas
for file in schemas/*.fbs; do
  [ "$file" != schemas/view.fbs ] || continue
  cmp -s "$file" "schemas/baseline/${file##*/}" || {
    echo "$file has changed, compatibly: run scripts/accept-schema and commit the baseline with it"
    exit 1
  }
done
for file in schemas/baseline/*.fbs; do
  [ -e "schemas/${file##*/}" ] || { echo "$file: its schema is gone; run scripts/accept-schema"; exit 1; }
done
echo "the event schemas are those of schemas/baseline"
