#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# list_sources.sh [ROOT]: the project's own files, one per line, as paths from ROOT.  By find rather than by git, so that
# it also works on an unpacked copy.
cd "${1:-.}" || exit 2
find . \( -name .git -o -name node_modules -o -path ./build -o -path ./data -o -path ./.run -o -path ./web/app/dist \
  -o -path ./tests/browser/out -o -path ./millrace.toml \) -prune -o -type f -print | sed 's|^\./||' | LC_ALL=C sort
