// SPDX-License-Identifier: Apache-2.0
// Picks the values worth a time series from folded status and process statistics, and gives them out at most once per
// interval with unchanged ones left out.  One thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "bus/clock.h"
#include "bus/events.h"
#include "bus/json_reader.h"
#include "producers/moonraker/protocol_errors.h"
#include "producers/moonraker/status_fold.h"

namespace millrace {

class TelemetrySampler {
 public:
  static constexpr size_t kMaxSignals = 512;  // about 32 KiB in one event; further ones are counted and left out
  static constexpr size_t kMaxName = 96;      // bytes of an object's name
  // Everything is told again so often: what is kept of telemetry then never misses a value that has not changed for as
  // long as telemetry is kept.
  static constexpr std::chrono::hours kFullInterval{6};

  TelemetrySampler(std::chrono::milliseconds interval, const Clock& clock, ProtocolErrors& errors)
      : interval_(interval), clock_(clock), errors_(errors) {}

  void on_field(std::string_view object, std::string_view field, const StatusValue& value);
  // params[0] of notify_proc_stat_update.
  void on_process_statistics(const Json& statistics);
  // disk_usage {total, free} of server.files.get_directory: the disk that the G-code files are on, bytes.
  void on_disk_usage(const Json& usage);
  // params[0] of notify_sensor_update: Moonraker's own [sensor] sections, as "moonraker_sensor NAME".
  void on_moonraker_sensors(const Json& sensors);
  // Before the first status of a connection to Klipper: the next sample holds everything.
  void begin();

  // What changed since the last sample, if its interval is over.
  std::optional<schema::TelemetrySampledT> take();
  // When take() will have something; nullopt when nothing changed.
  std::optional<MonotonicTime> next_deadline() const;

 private:
  struct Value {
    double value = 0;
    bool dirty = false;
  };
  void set(std::string_view object, std::string_view field, double value);
  void set_members(std::string_view object, const StructureText& structure, std::span<const std::string_view> names);

  std::chrono::milliseconds interval_;
  const Clock& clock_;
  ProtocolErrors& errors_;
  JsonReader json_{StatusFold::kMaxValueBytes, 8};
  std::map<std::string, std::map<std::string, Value, std::less<>>, std::less<>> values_;
  size_t signals_ = 0;
  size_t dirty_ = 0;
  bool full_ = true;
  std::optional<MonotonicTime> last_;
  MonotonicTime last_full_{};
};

}  // namespace millrace
