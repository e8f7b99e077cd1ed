// SPDX-License-Identifier: Apache-2.0
// The unit of a telemetry signal.  One table, so that charts, exports and bridges say the same.
#pragma once

#include <string_view>

namespace millrace {

inline constexpr std::string_view kCelsius = "°C";

// "°C", "0..1", "%", "mm", "mm/s", "mm/min", "rpm", "s", "hPa", "V", "A", "W", "kB", "bytes", "g", "Hz", "ohm", "kWh";
// "flag" for 0 or 1; "" where it is not known.  That of a [[sensor]] entry may be said by the configuration instead.
std::string_view unit_of_signal(std::string_view object, std::string_view field);

}  // namespace millrace
