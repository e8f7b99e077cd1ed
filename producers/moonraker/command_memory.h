// SPDX-License-Identifier: Apache-2.0
// What an adapter remembers of commands over its end, as a part of its state.
#pragma once

#include <string>
#include <vector>

#include "bus/ids.h"

namespace millrace {

// Something that was handed to Moonraker and has not ended: a new adapter says that its end is not known.
struct UnderWay {
  std::string id;
  std::string command;
  std::string actor;
};

struct CommandMemory {
  std::vector<UnderWay> under_way;
  EventOrder newest;  // of the signed commands that were taken: none up to it is taken again
};

}  // namespace millrace
