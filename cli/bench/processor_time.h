// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ctime>

namespace millrace {

// Of this process so far, all of its threads, in seconds: what a busy neighbour does not change.
inline double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace millrace
