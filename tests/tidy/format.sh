#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fails where a C++ file is not as clang-format 14 would write it.  `clang-format-14 -i FILE` mends it.
set -eu
cd "$(dirname "$0")/../.."
sh tests/tidy/list_sources.sh | grep -E '\.(cc|h)$' | xargs -P "$(nproc)" -n 20 clang-format-14 --dry-run -Werror
