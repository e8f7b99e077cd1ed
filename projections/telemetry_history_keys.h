// SPDX-License-Identifier: Apache-2.0
// The keys of the view telemetry_history, in the order in which they are read; for its own files.  Names hold no zero
// byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::telemetry_keys {

inline constexpr char kSamples = 'r';    // of minutes: what raw samples came to
inline constexpr char kSummaries = 's';  // what TelemetrySummarised told

inline std::string part(char kind, std::string_view name) {
  std::string key(1, kind);
  key.append(name).push_back('\0');
  return key;
}

inline void append_hour(std::string& key, int64_t hour) {
  const auto number = static_cast<uint32_t>(hour);
  for (int shift = 24; shift >= 0; shift -= 8) key.push_back(static_cast<char>(number >> shift & 0xff));
}

// The last four bytes before `behind` others.
inline int64_t hour_in(std::string_view key, size_t behind) {
  uint32_t number = 0;
  for (size_t i = key.size() - behind - 4; i < key.size() - behind; ++i) {
    number = number << 8 | static_cast<uint8_t>(key[i]);
  }
  return number;
}

inline std::string open_minute(std::string_view machine, bool of_sensors) {
  return part('o', machine) + (of_sensors ? 's' : 'a');
}

inline std::string signals_of(std::string_view machine) { return part('s', machine); }
inline std::string signal(std::string_view machine, std::string_view object, std::string_view field) {
  std::string key = part('s', machine);
  key.append(object).push_back('\0');
  key.append(field).push_back('\0');
  return key;
}
inline std::string minutes(std::string signal_key, int64_t hour, char layer) {
  append_hour(signal_key, hour);
  signal_key.push_back(layer);
  return signal_key;
}

inline std::string heard_at(std::string_view machine, int64_t hour) {
  std::string key = part('p', machine);
  append_hour(key, hour);
  return key;
}
inline std::string heard(std::string_view machine, int64_t hour, char layer) { return heard_at(machine, hour) + layer; }

inline std::string sight(std::string_view machine, int64_t hour) {
  std::string key = part('e', machine);
  append_hour(key, hour);
  return key;
}

}  // namespace millrace::telemetry_keys
