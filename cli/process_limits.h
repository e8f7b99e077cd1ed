// SPDX-License-Identifier: Apache-2.0
// What the system grants this process, and what it does when that is not enough.
#pragma once

#include <cstddef>

namespace millrace {

// How many of `wanted` HTTP connections fit into `files` open files beside what log, views, outboxes and broker need.
// Never below a few, so that readiness can be asked for.
size_t connections_within(size_t files, size_t wanted);

// Raises the limit of open files as far as the system allows.  Gives that limit.
size_t raise_open_files_limit();

// From now on memory that cannot be had ends the process with one line on stderr and exit code 1, as if it had been
// killed: what was confirmed is on the disk, and a supervisor starts it again.
void end_when_out_of_memory();

}  // namespace millrace
