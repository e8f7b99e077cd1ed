// SPDX-License-Identifier: Apache-2.0
// Pieces of JSON text byte for byte, so that a replay repeats numbers and escapes exactly as they were recorded.  The
// text must have been parsed as JSON before; for anything else the answers are empty.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bus/json_reader.h"

namespace millrace {

struct JsonSlice {
  std::string key;         // without its escapes
  std::string_view value;  // into the text
};

// The members of an object, in order.
std::vector<JsonSlice> object_slices(std::string_view text);
// The elements of an array, in order.
std::vector<std::string_view> array_slices(std::string_view text);

// The value with the members of every object sorted: equal for equal values.
std::string canonical_json(const Json& value);

// Adds `shift_s` to the members that hold Unix times (start_time, time, modified, ...), at any depth.
std::string shift_wall_times(const Json& value, double shift_s);

}  // namespace millrace
