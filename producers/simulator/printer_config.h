// SPDX-License-Identifier: Apache-2.0
// The simulated machine's printer.cfg, as Klipper's object configfile tells it.
#pragma once

#include "producers/simulator/status.h"

namespace millrace {

// `config` has each option as the text that was written, `settings` as the type that Klipper made of it.
// Source: Status_Reference.md, "configfile".
const StatusObject& simulated_printer_config(bool has_heaters);

}  // namespace millrace
