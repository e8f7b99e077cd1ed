// SPDX-License-Identifier: Apache-2.0
// What the [[sensor]] entries are called in events.
#pragma once

#include <string_view>

namespace millrace {

inline constexpr std::string_view kSensorsProducer = "sensors";

// How the objects of their signals begin: "sensor shelf".
inline constexpr std::string_view kSensorObjectPrefix = "sensor ";
inline bool is_sensor_object(std::string_view object) { return object.starts_with(kSensorObjectPrefix); }

}  // namespace millrace
