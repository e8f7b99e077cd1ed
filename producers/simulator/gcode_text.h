// SPDX-License-Identifier: Apache-2.0
// The bytes of a simulated machine's file, as its slicer would have written them: summary and picture in front,
// settings at the end, moves in between.  Made when they are asked for; the same file always has the same bytes.
#pragma once

#include <cstdint>
#include <string>

#include "producers/simulator/files.h"

namespace millrace {

// `file.size` bytes in all; fewer than `length` at its end.
std::string gcode_bytes(const SimulatedFile& file, uint64_t offset, uint64_t length);

}  // namespace millrace
