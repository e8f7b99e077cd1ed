// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM and SIGHUP as something to wait for.
#pragma once

#include <chrono>

namespace millrace {

// Before any thread is started: the signals reach only wait_for_stop().
void block_stop_signals();
// Returns the signal's number, or 0 when `timeout` is over (a negative one waits for ever).
int wait_for_stop(std::chrono::milliseconds timeout = std::chrono::milliseconds(-1));

// Likewise SIGHUP, which otherwise ends a process.
void block_reload_signal();
// Whether it came since the last call.  Does not wait.
bool take_reload_signal();

}  // namespace millrace
