#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build.sh PRESET TARGET [CMAKE OPTION...]: configures build/PRESET where needed and builds TARGET ("-" = configure only).
# The caller holds the build lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/common.sh
trap 'end_step; exit 143' TERM INT HUP

preset=$1 target=$2
shift 2
folder=build/$preset

# CMake itself notices changed lists and folders; what it was told by the presets and by these options, it does not.
# Without options those of the last time stay.
presets=$(sha256sum <CMakePresets.json)
options=${*:-$(cat "$folder/told_options" 2>/dev/null || true)}
if [[ ! -e $folder/build.ninja || $presets != "$(cat "$folder/told_presets" 2>/dev/null)" ||
  $options != "$(cat "$folder/told_options" 2>/dev/null)" ]]; then
  # Another compiler would make CMake begin anew by itself, and forget the options.
  again=()
  [[ $presets == "$(cat "$folder/told_presets" 2>/dev/null)" ]] || again=(--fresh)
  step "Configuring the $preset build" cmake --preset "$preset" "${again[@]}" "$@"
  echo "$presets" >"$folder/told_presets"
  echo "$options" >"$folder/told_options"
fi
[[ $target == - ]] || step "Building ($preset)" cmake --build "$folder" --target "$target" --parallel "$(build_jobs)"
