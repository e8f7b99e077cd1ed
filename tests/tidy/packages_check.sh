#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# packages.txt names each package once, in a known section, and nothing else names packages to install.
set -eu
cd "$(dirname "$0")/../.."
awk '
  /^ *(#|$)/ { next }
  /^\[(build|run|test|bench)\]$/ { section = $0; next }
  !/^[a-z0-9][a-z0-9.+-]+$/ { print "packages.txt:" FNR ": not a package or a known section: " $0; bad = 1; next }
  section == "" { print "packages.txt:" FNR ": before the first section"; bad = 1 }
  $1 in line { print "packages.txt:" FNR ": " $1 " is already in line " line[$1]; bad = 1 }
  { line[$1] = FNR; ++count[section] }
  END {
    for (s = 1; s <= split("[build] [run] [test] [bench]", all, " "); ++s)
      if (!count[all[s]]) { print "packages.txt: nothing in " all[s]; bad = 1 }
    exit bad
  }' packages.txt
if grep -nE 'apt(-get)? .*install +[a-z]' Dockerfile run test scripts/*.sh .ci/run; then
  echo "packages belong into packages.txt"
  exit 1
fi
