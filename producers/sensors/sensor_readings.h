// SPDX-License-Identifier: Apache-2.0
// Turns messages of plain MQTT sensors into samples: finds the number, leaves out what did not change, tells a fresh
// value again each minute, and falls silent about a sensor that no longer speaks.  Pure: time is injected.  One thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "bus/events.h"
#include "bus/json_reader.h"
#include "bus/metrics.h"

namespace millrace {

// One [[sensor]] entry.
struct SensorEntry {
  std::string topic;      // without wildcards
  std::string json_path;  // "AM2301.Temperature", "values.0"; empty: the payload is the number
  std::string machine;
  std::string object;               // "sensor shelf"
  std::string field;                // "humidity"
  std::chrono::seconds fresh{600};  // a value older than this is no longer told
};

class SensorReadings {
 public:
  static constexpr size_t kMaxPayload = 16u << 10;
  static constexpr std::chrono::seconds kInterval{1};  // between two samples of one signal
  // Each minute of the clock has a sample of a sensor that is fresh.
  static constexpr std::chrono::seconds kRepeat{50};

  SensorReadings(std::vector<SensorEntry> entries, const Clock& clock, Metrics& metrics);

  // What the broker kept may be of any age and is refused; so is what is too large, or holds no number.
  void on_message(std::string_view topic, std::string_view payload, bool retained);
  // For a message that was left out before it came here.
  void refuse(std::string_view topic, std::string_view reason, std::string_view what);

  // TelemetrySampled events of what is due.
  std::vector<EventDraft> take();
  // When take() will have something.
  std::optional<MonotonicTime> next_deadline() const;

 private:
  struct Reading {
    SensorEntry entry;
    std::optional<double> value;
    MonotonicTime received{};
    std::optional<MonotonicTime> told;
    bool dirty = false;
    std::optional<MonotonicTime> due() const;
  };

  const Clock& clock_;
  Metrics& metrics_;
  Counter& messages_;
  std::vector<Reading> readings_;  // by machine, object and field
  JsonReader json_{kMaxPayload, 16};
  std::map<std::string, MonotonicTime, std::less<>> warned_;  // by topic, of the configured ones
};

// The number at the path; an error says what is there instead.
Result<double> number_at(JsonReader& reader, std::string_view payload, std::string_view path);

}  // namespace millrace
