// SPDX-License-Identifier: Apache-2.0
// Names of parts out of the JSON that some slicers write in comments.  What is not of the form is passed over.
#pragma once

#include <string_view>

#include "gcode/facts.h"

namespace millrace {

// SuperSlicer: {"name":"cube","id":"cube id:0 copy 0",...}, one for each part; the id is what the marks name.
void read_listed_object(std::string_view json, GcodeNames& names);

// PrusaSlicer's objects_info: {"objects":[{"name":"cube.stl",...},...]}
void read_objects_info(std::string_view json, GcodeNames& names);

}  // namespace millrace
