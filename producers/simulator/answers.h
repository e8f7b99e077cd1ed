// SPDX-License-Identifier: Apache-2.0
// Answers of a simulated Moonraker that do not depend on a print: versions, process statistics, files.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "producers/simulator/machine.h"

namespace millrace {

struct SimulatedDisk {
  int64_t total = 0;  // bytes
  int64_t free = 0;
};

std::string server_info_answer(std::string_view klippy_state, size_t connections);
std::string printer_info_answer(const HostState& state, std::string_view hostname);
std::string system_info_answer();
std::string file_list_answer(const std::vector<SimulatedFile>& files);
// The files right in "gcodes" or "gcodes/FOLDER"; nullopt when there is no such folder.
std::optional<std::string> directory_answer(const std::vector<SimulatedFile>& files, const std::string& path,
                                            const SimulatedDisk& disk);
std::string metadata_answer(const SimulatedFile& file);

// Process statistics at one instant; `now` is the machine's Unix time.
std::string proc_stat(double now, const HostState& state, size_t connections);
// What machine.proc_stats adds around the last of them.
std::string proc_stats_answer(double now, const HostState& state, size_t connections);

// Moonraker's memory of G-code and of temperatures; both are lost when it restarts.
class MoonrakerStores {
 public:
  static constexpr size_t kMaxGcodeLines = 1000;
  static constexpr size_t kMaxTemperatures = 1200;

  void add_gcode(double now, std::string_view type, std::string_view message);
  void add_temperatures(const HostState& state);  // once a second
  void clear();

  std::string gcode_answer(size_t count) const;  // the newest `count`
  std::string temperature_answer(bool has_heaters) const;

 private:
  struct GcodeLine {
    double time;
    std::string type;
    std::string message;
  };
  struct Temperatures {
    HeaterReading extruder;
    HeaterReading bed;
    double chamber;
  };
  std::deque<GcodeLine> gcode_;
  std::deque<Temperatures> temperatures_;
};

}  // namespace millrace
