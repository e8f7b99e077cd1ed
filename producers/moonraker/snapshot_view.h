// SPDX-License-Identifier: Apache-2.0
// The machine as the guard sees it, from the folded status, Klipper's configuration and the list of its objects.
// One thread.  Source of names and fields: Klipper's Status_Reference.md, and the recordings in tests/recordings.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/json_reader.h"
#include "producers/moonraker/status_fold.h"
#include "safety/machine_snapshot.h"

namespace millrace {

class SnapshotView {
 public:
  // A new subscription: `objects` is the answer's list of printer.objects.list.
  void begin(const Json& objects);
  // configfile.settings: {section: {option: value}}, typed as Klipper understood them.
  void on_settings(const Json& settings);
  // The answer of machine.device_power.devices, {devices: [{device}]}.
  void on_power_devices(const Json& answer);
  void clear();

  // Heaters, fans, pins, lights, macros, position, limits and objects of the print.  What the adapter alone knows
  // (link, state, job, latch, plate) is left for it to fill in.
  MachineSnapshot snapshot(const StatusFold& fold) const;

 private:
  struct HeaterSettings {
    std::string section;  // "heater_generic chamber"
    std::optional<double> min_temp, max_temp, min_extrude_temp;
  };
  struct HeaterFan {
    std::string section;  // "heater_fan hotend_fan"
    std::vector<std::string> heaters;
    std::optional<double> heater_temp;
  };

  // As printer.objects.list has it; the section itself where it does not.
  std::string_view object_of(std::string_view section) const;
  void add_heater(const StatusFold& fold, const std::string& object, MachineSnapshot& out) const;
  static void add_fan(const StatusFold& fold, const std::string& object, MachineSnapshot& out);
  void add_motion(const StatusFold& fold, MachineSnapshot& out) const;
  static void add_print_objects(const StatusFold& fold, MachineSnapshot& out);

  std::vector<std::string> objects_;
  std::vector<HeaterSettings> heater_settings_;
  std::vector<HeaterFan> heater_fans_;
  std::optional<double> max_velocity_, max_accel_;
  std::optional<std::vector<std::string>> power_devices_;
};

// What an answer of server.files.metadata says of a file that is to be started.
FileSnapshot file_snapshot(const std::string& filename, const Json& metadata);

}  // namespace millrace
