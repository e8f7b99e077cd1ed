// SPDX-License-Identifier: Apache-2.0
// The view "machine_state": what each machine was last known to be doing.  Values stay when the link goes: they carry
// their time, and readers show their age.
//
// Key: the machine's id.  Value: schema::MachineView.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "projections/projection.h"
#include "schemas/view_generated.h"

namespace millrace {

inline constexpr std::string_view kMachineStateView = "machine_state";

std::unique_ptr<const Projection> make_machine_state();

// Every machine by its id.  kCorrupt when a record cannot be read.
Result<std::map<std::string, schema::MachineViewT>> read_machines(const ViewReader& reader);

// One of them; nullopt where there never was one of that id.  kCorrupt.
Result<std::optional<schema::MachineViewT>> find_machine(const ViewReader& reader, std::string_view id);

// "connected", "klipper_away" (Moonraker answers, Klipper does not) or "disconnected".
std::string_view connection_of(const schema::MachineViewT& machine);
// Whether the adapter is subscribed to what Klipper says, as far as the events tell.
bool is_subscribed(const schema::MachineViewT& machine);
// When Klipper's values were last seen to hold, by the hub's clock: with the last sample of the adapter, which says of
// every value that it has not that it did not change; while there is no subscription, Moonraker's own load says nothing
// of them.  0: nothing was told of any, or it is no longer kept.
int64_t values_confirmed_us(const schema::MachineViewT& machine);
// The state as it is shown: offline while the link is down.
schema::MachineState shown_state(const schema::MachineViewT& machine);

}  // namespace millrace
