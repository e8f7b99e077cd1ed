// SPDX-License-Identifier: Apache-2.0
// The part of a machine's record that says what people made known about it and what it runs and shows: settings,
// conditions, software, printer.cfg, message, filament, queue, clock.
#pragma once

#include "bus/envelope.h"
#include "bus/event_log.h"
#include "schemas/view_generated.h"

namespace millrace {

// False when the event is of another kind.
bool fold_machine_fact(schema::MachineViewT& machine, const RecordedEvent& recorded);

// What the record says now, as an event would: to be changed and said again.
schema::MachineConfiguredT configured_from(const schema::MachineViewT& machine);

}  // namespace millrace
