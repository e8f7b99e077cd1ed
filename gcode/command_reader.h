// SPDX-License-Identifier: Apache-2.0
// Commands into facts: temperatures that are asked for, names of parts, and how high the nozzle is when it extrudes.
#pragma once

#include <optional>
#include <string_view>

#include "gcode/facts.h"

namespace millrace {

class CommandReader {
 public:
  explicit CommandReader(GcodeFacts& facts) : facts_(facts) {}

  // A line that is neither empty nor a comment, without its end.
  void read(std::string_view line);

  // What was known of the machine's state is so no more.
  void lose_track() {
    absolute_ = false;
    z_pending_ = false;
  }

 private:
  void read_move(std::string_view line);
  void read_m(std::string_view line);
  void read_temperature(std::string_view line, unsigned command);
  void read_object_definition(std::string_view line);
  void extruded();

  GcodeFacts& facts_;
  double z_ = 0;
  bool z_pending_ = false;  // z_ is new, and nothing was extruded there yet
  bool absolute_ = true;
};

}  // namespace millrace
