// SPDX-License-Identifier: Apache-2.0
// What the views say, as the hub's watch over alarms looks at it.
#pragma once

#include "consumers/alarm_watch.h"
#include "projections/view_store.h"

namespace millrace {

// Every alarm that stands and every machine that is looked after.  Silence counts from `began`, when the hub did: what
// machines said while it was away comes only now.  kCorrupt, kIo, kUnavailable.
Result<AlarmSight> alarm_sight(const ViewReader& reader, WallTime now, WallTime began);

}  // namespace millrace
