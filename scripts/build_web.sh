#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds web/app/dist if a source is newer than the last build, after `npm ci` if the lock file has changed.  The caller
# holds the build lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/common.sh
trap 'end_step; exit 143' TERM INT HUP

app=web/app
installed_lock=$app/node_modules/.installed-lock.json
stamp=build/web.stamp

node_serves || fail 1 "Node.js 18 or later with npm is needed to build the web app"
if ! cmp -s "$app/package-lock.json" "$installed_lock"; then
  rm -f "$stamp"
  step "Fetching the web app's packages" env -C "$app" npm ci --no-audit --no-fund
  cp "$app/package-lock.json" "$installed_lock"
fi
[[ ${1:-} != --packages-only ]] || exit 0

newer=$(find "$app" -mindepth 1 \( -path "$app/node_modules" -o -path "$app/dist" \) -prune -o -newer "$stamp" -print -quit 2>/dev/null || true)
if [[ ! -e $stamp || ! -e $app/dist/index.html || -n $newer ]]; then
  # The time of the stamp is that of the start, so that an edit during the build is not missed.
  mkdir -p build
  touch build/web.begun
  step "Building the web app" env -C "$app" npm run build
  touch -r build/web.begun "$stamp"
fi
