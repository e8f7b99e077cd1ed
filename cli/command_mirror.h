// SPDX-License-Identifier: Apache-2.0
// The SQL mirror of a configuration: for the hub, and `millrace mirror rebuild`.
#pragma once

#include "cli/config.h"
#include "mirror/mirror.h"

namespace millrace {

// For a configuration with mirror.url.  Reads mirror.password_file; kInvalidArgument when that cannot be done.
Result<MirrorOptions> mirror_options(const Config& config);

// Drops the tables and fills them again from the log: by the hub where one runs on the data folder, else by this
// process.  Returns the exit code.
int run_mirror_rebuild(const Config& config);

}  // namespace millrace
