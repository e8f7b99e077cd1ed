# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Words that ./run, ./test and the scripts share; to be sourced by bash in the project's folder.
# Progress goes to stderr, stdout is kept for results.

say() { printf '%s\n' "$*" >&2; }

# fail CODE TEXT: one line, then the end.  1 = it did not work, 2 = wrong usage or surroundings.
fail() {
  local code=$1
  shift
  say "${0##*/}: $*"
  exit "$code"
}

# The process group started last, "" when a step has ended: what a trap has to end.
group=

# start_group COMMAND...: starts COMMAND in the background in a process group of its own, number in $group.
# It is asked to end should this shell be killed.
start_group() {
  setsid setpriv --pdeathsig TERM -- "$@" &
  group=$!
}

# end_group GROUP SECONDS: asks the group to end, and after SECONDS ends it.  False if it had to be forced.
end_group() {
  local tenths=$(($2 * 10))
  kill -TERM -- "-$1" 2>/dev/null || return 0
  while kill -0 -- "-$1" 2>/dev/null; do
    if ((tenths-- <= 0)); then
      kill -KILL -- "-$1" 2>/dev/null
      return 1
    fi
    sleep 0.1
  done
}

# What a script's trap does about the step that runs.
output=
end_step() {
  [[ -z $group ]] || end_group "$group" 20 || true
  [[ -z $output ]] || rm -f "$output"
}

# step TEXT COMMAND...: runs COMMAND quietly, with a line before, a sign of life each 30 s, and the time after.
# On failure the end of its output, and its exit code.
step() {
  local text=$1 began=$SECONDS shown=$SECONDS code=0
  shift
  output=$(mktemp "${TMPDIR:-/tmp}/millrace-step.XXXXXX")
  say "$text ..."
  start_group "$@" >"$output" 2>&1 </dev/null
  while kill -0 "$group" 2>/dev/null; do
    sleep 0.1
    if ((SECONDS - shown >= 30)); then
      shown=$SECONDS
      say "  $((SECONDS - began)) s: $(tail -n 1 "$output" | cut -c 1-100)"
    fi
  done
  wait "$group" || code=$?
  group=
  if ((code != 0)); then
    tail -n 40 "$output" >&2
    say "$text: failed after $((SECONDS - began)) s (exit code $code)"
  elif ((SECONDS - began >= 2)); then
    say "  done in $((SECONDS - began)) s"
  fi
  rm -f "$output"
  return "$code"
}

# The script of ours that runs now, for the traps of the caller.
script=

# run_script COMMAND...: runs one of the scripts, which ends its own steps when asked to.  In the background, because bash
# would let a signal wait for the end of a command in the foreground.
run_script() {
  local code=0
  "$@" &
  script=$!
  wait "$script" || code=$?
  script=
  return "$code"
}

end_script() {
  [[ -n $script ]] || return 0
  kill -TERM "$script" 2>/dev/null || true
  wait "$script" || true
}

# value_of FILE SECTION KEY: the string or number that a TOML file gives to a key of a plain [section]; "" if none.
# Only for what these scripts must know before the program reads the file properly.
value_of() {
  awk -v section="[$2]" -v key="$3" '
    /^[ \t]*\[/ { line = $0; gsub(/[ \t]|#.*/, "", line); inside = (line == section); next }
    inside && $0 ~ "^[ \t]*" key "[ \t]*=" {
      value = $0; sub(/^[^=]*=[ \t]*/, "", value)
      if (value ~ /^"/) { sub(/^"/, "", value); sub(/".*/, "", value) } else sub(/[ \t]*(#.*)?$/, "", value)
      print value; exit
    }' "$1"
}

# taken HOST PORT: whether something listens there.
taken() {
  local host=$1
  [[ $host != 0.0.0.0 && $host != "::" ]] || host=localhost
  (exec 3<>"/dev/tcp/$host/$2") 2>/dev/null
}

# node_serves: whether a Node.js that is new enough, with npm, is at hand.
node_serves() {
  command -v npm >/dev/null && [[ "$(node --version 2>/dev/null)" =~ ^v([0-9]+) ]] && ((BASH_REMATCH[1] >= 18))
}

# build_jobs: how many compilers fit: one per processor, and about a gigabyte of free memory for each.
build_jobs() {
  local processors gigabytes
  processors=$(nproc)
  gigabytes=$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
  ((gigabytes >= 1)) || gigabytes=1
  echo $((processors < gigabytes ? processors : gigabytes))
}

# lock_build: one build at a time in this folder; held until the shell ends or unlock_build.
lock_build() {
  mkdir -p build
  exec 9>build/.lock
  flock -n 9 && return
  say "Waiting for another build in this folder ..."
  flock 9
}

unlock_build() { exec 9>&-; }
