// SPDX-License-Identifier: Apache-2.0
// Telemetry as JSON: columns of numbers of at most 7 significant digits, null where nothing is known.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bus/json_writer.h"
#include "projections/telemetry_history.h"
#include "projections/telemetry_samples.h"

namespace millrace {

struct SignalName {
  std::string object;
  std::string field;
  std::string unit;  // empty: not known
  std::string text() const { return object + "." + field; }
};

// {machine, from, to, resolution, count, signals:[{name, object, field, unit, min:[], mean:[], max:[]}]}.  Bucket i of
// a signal begins at from + i * resolution.  Large answers are made by two threads, the caller's and another one.
Result<std::string> telemetry_answer(const ViewReader& reader, const std::string& machine, const TelemetryRange& range,
                                     std::span<const SignalName> signals);

// The same of what was read from samples; `columns` are those of `signals`.
std::string samples_answer(const std::string& machine, const SampleRange& range, std::span<const SignalName> signals,
                           const std::vector<SignalColumns>& columns);

}  // namespace millrace
