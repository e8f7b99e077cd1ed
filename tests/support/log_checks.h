// SPDX-License-Identifier: Apache-2.0
// What must hold for every log, whatever happened while it was written.
#pragma once

#include <map>
#include <string>

#include "bus/event_log.h"

namespace millrace::testing {

// Positions are dense from 1; each producer's epochs rise, and each epoch's sequences are 1, 2, 3, ... without a gap or
// a repetition.  Gives the last order of each producer; a breach fails the test and ends the walk.
std::map<std::string, EventOrder> check_order(const EventLog& log);

// How many events of a type the log holds.
uint64_t count_of(const EventLog& log, EventType type);

}  // namespace millrace::testing
