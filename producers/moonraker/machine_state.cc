// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/machine_state.h"

namespace millrace {

schema::MachineState machine_state(const MachineSigns& signs) {
  using schema::MachineState;
  if (!signs.link_up || signs.klipper_state == "disconnected") return MachineState::offline;
  if (signs.klipper_state == "startup" || signs.klipper_state.empty()) return MachineState::starting;
  if (signs.klipper_state == "error") return MachineState::error;
  if (signs.klipper_state == "shutdown") return MachineState::shutdown;
  if (signs.klipper_state != "ready") return MachineState::unknown;
  if (signs.print_state == "printing") return MachineState::printing;
  if (signs.print_state == "paused") return MachineState::paused;
  return MachineState::ready;
}

}  // namespace millrace
