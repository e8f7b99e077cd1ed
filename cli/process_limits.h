// SPDX-License-Identifier: Apache-2.0
// What the system grants this process, and what it does when that is not enough.
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace {

// A line for people, when the system refuses a thread (std::errc::resource_unavailable_try_again).
inline constexpr std::string_view kLackOfThreads =
    "millrace: a thread could not be started: the process ends now; nothing confirmed is lost. Start it again with "
    "more memory or tasks (MemoryMax= and TasksMax= of its service, ulimit -v and -u, the container's limits)\n";

// How many of `wanted` HTTP connections fit into `files` open files beside what log, views, outboxes and broker need.
// Never below a few, so that readiness can be asked for.
size_t connections_within(size_t files, size_t wanted);

// Raises the limit of open files as far as the system allows.  Gives that limit.
size_t raise_open_files_limit();

// From now on memory or a thread that cannot be had ends the process with one line on stderr and exit code 1, as if it
// had been killed: what was confirmed is on the disk, and a supervisor starts it again.
void end_when_out_of_memory();

}  // namespace millrace
