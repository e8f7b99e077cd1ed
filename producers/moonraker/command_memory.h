// SPDX-License-Identifier: Apache-2.0
// What an adapter remembers of commands over its end, as a part of its state.
#pragma once

#include <string>

namespace millrace {

// Something that was handed to Moonraker and has not ended: a new adapter says that its end is not known.
struct UnderWay {
  std::string id;
  std::string command;
  std::string actor;
};

}  // namespace millrace
