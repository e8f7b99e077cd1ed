// SPDX-License-Identifier: Apache-2.0
// The part of a printer's status that jobs and machine state depend on.  One thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/json_reader.h"
#include "producers/moonraker/protocol_errors.h"
#include "producers/moonraker/status_fold.h"

namespace millrace {

// One printer at one eventtime.
struct Observation {
  double eventtime = 0;
  std::string klipper_state;  // webhooks.state, "" when not subscribed
  std::string klipper_text;   // webhooks.state_message
  std::string print_state;    // print_stats
  std::string filename;
  std::string print_text;
  std::optional<double> total_duration;
  std::optional<double> print_duration;
  std::optional<double> filament_used;
  std::optional<double> progress;  // 0..1
  std::optional<int> layer;
  std::optional<int> total_layers;
  std::optional<double> runout_at;  // eventtime at which a filament sensor last ran empty
  std::vector<std::string> excluded;
  int objects = 0;
};

class PrinterView {
 public:
  static constexpr size_t kMaxExcluded = 256;

  explicit PrinterView(ProtocolErrors& errors) : errors_(errors) {}

  // Called for each folded field, then observe() once per frame.
  void on_field(std::string_view object, std::string_view field, const StatusValue& value, double eventtime);
  const Observation& observe(const StatusFold& fold, double eventtime);
  const Observation& now() const { return now_; }
  void clear();

 private:
  void read_layers(const StatusValue& value);
  void read_excluded(const StatusValue& value);
  void read_objects(const StatusValue& value);
  std::optional<double> amount(const StatusFold& fold, std::string_view field);

  ProtocolErrors& errors_;
  JsonReader reader_{1 << 20, 16};
  Observation now_;
  std::map<std::string, bool, std::less<>> filament_;  // by sensor; as many as the fold has objects
};

}  // namespace millrace
