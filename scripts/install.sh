#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# install.sh SECTION...: installs what packages.txt names in these sections and this Debian lacks.  Needs neither root nor
# a network when nothing is missing.  `install.sh --list SECTION...` only prints the names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/common.sh

policy=/usr/sbin/policy-rc.d
mark="put here by Millrace's scripts/install.sh while it installs"

names_in() {
  local section
  for section in "$@"; do
    grep -qx "\[$section\]" packages.txt || fail 2 "packages.txt has no section [$section]"
    awk -v section="[$section]" '/^\[/ { inside = ($0 == section); next } inside && !/^ *(#|$)/ { print $1 }' packages.txt
  done
}

# Of the names given, those that are not installed.
missing_of() {
  local name
  declare -A have=()
  while read -r name; do have[$name]=1; done < <(
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p')
  if node_serves; then have[nodejs]=1 have[npm]=1; fi
  for name in "$@"; do [[ -n ${have[$name]:-} ]] || echo "$name"; done
}

# A service that comes with a package (Mosquitto on port 1883, the databases that the tests use) must not start by being
# installed.  A policy that the owner of the machine has set stays as it is; one that a killed run left behind is ours.
hold_services() {
  if [[ -e $policy ]] && ! grep -qs "$mark" "$policy"; then return; fi
  trap release_services EXIT
  trap 'exit 143' TERM INT HUP
  printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" >"$policy"
  chmod 755 "$policy"
}

# Of those services, the ones that are on this machine.
services_here() {
  local name
  for name in mosquitto mariadb postgresql; do
    [[ ! -e /lib/systemd/system/$name.service ]] || echo "$name"
  done
}

release_services() {
  if grep -qs "$mark" "$policy"; then rm -f "$policy"; fi
}

fetch_lists() { apt-get -q update; }

install_now() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 install --no-install-recommends "$@"
}

# As root.  Fresh lists first where there are none of today; where the lists turn out to be old, once more.
install_all() {
  exec 9>/run/lock/millrace-install
  flock 9
  hold_services
  local had name
  had=" $(services_here | tr '\n' ' ')"
  [[ -n $(find /var/lib/apt/lists -name '*_Packages*' -mtime -1 2>/dev/null | head -n 1) ]] || fetch_lists
  install_now "$@" || { fetch_lists && install_now "$@"; }
  # Nor at the next start of the machine: ./run starts a broker of its own, ./test its own databases.
  command -v systemctl >/dev/null || return 0
  for name in $(services_here); do
    [[ $had == *" $name "* ]] || systemctl --quiet disable "$name.service" || true
  done
}

if [[ ${1:-} == --list ]]; then
  shift
  names_in "$@"
  exit
fi
if [[ ${1:-} == --now ]]; then
  shift
  install_all "$@"
  exit
fi

(($#)) || fail 2 "usage: install.sh [--list] SECTION..."
names=$(names_in "$@") || exit
mapfile -t wanted <<<"$names"
command -v dpkg-query >/dev/null || fail 1 "this is not a Debian; please install what corresponds to: ${wanted[*]}"
mapfile -t missing < <(missing_of "${wanted[@]}")
((${#missing[@]})) || exit 0
if ((EUID == 0)); then
  trap 'end_step; exit 143' TERM INT HUP
  step "Installing ${#missing[@]} Debian packages" bash scripts/install.sh --now "${missing[@]}"
elif command -v sudo >/dev/null; then
  # Not as a step: sudo may ask for a password at the terminal.
  say "Installing ${#missing[@]} Debian packages with sudo ..."
  sudo bash scripts/install.sh --now "${missing[@]}" >/dev/null
else
  fail 1 "please run this as root first: apt-get install --no-install-recommends ${missing[*]}"
fi
