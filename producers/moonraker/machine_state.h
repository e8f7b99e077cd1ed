// SPDX-License-Identifier: Apache-2.0
// What a machine is doing as one word, from what Moonraker and Klipper say.  Pure.
#pragma once

#include <string_view>

#include "bus/events.h"

namespace millrace {

struct MachineSigns {
  bool link_up = false;            // identified at Moonraker
  std::string_view klipper_state;  // webhooks.state or, where there is none, server.info's klippy_state
  std::string_view print_state;    // print_stats.state
};

// Klipper's state wins over print_stats, which goes on saying "paused" or "printing" after a shutdown.
schema::MachineState machine_state(const MachineSigns& signs);

inline bool is_active(std::string_view print_state) { return print_state == "printing" || print_state == "paused"; }

}  // namespace millrace
