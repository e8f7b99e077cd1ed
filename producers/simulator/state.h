// SPDX-License-Identifier: Apache-2.0
// Everything that can be seen of one simulated Klipper host at one instant, as plain values.  The machine changes it,
// the status renders it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace millrace {

enum class KlippyState { kReady, kStartup, kShutdown, kError, kDisconnected };
enum class PrintState { kStandby, kPrinting, kPaused, kComplete, kCancelled, kError };

std::string_view name_of(KlippyState state);
std::string_view name_of(PrintState state);

struct HeaterReading {
  double temperature = 0;
  double target = 0;
  double power = 0;
};

struct SensorReading {
  double temperature = 0;
  double lowest = 0;
  double highest = 0;
};

struct HostState {
  double eventtime = 0;  // the host's monotonic clock, seconds
  bool has_heaters = true;

  KlippyState klippy = KlippyState::kReady;
  std::string state_message = "Printer is ready";
  int process_id = 0;

  PrintState print = PrintState::kStandby;
  std::string message;   // why the print ended in an error
  std::string filename;  // "" when no print was started since the last reset
  double total_duration = 0;
  double print_duration = 0;
  double filament_used = 0;
  std::optional<int> total_layer;
  std::optional<int> current_layer;

  std::string file_path;  // "" = none is open
  double file_progress = 0;
  bool file_active = false;
  int64_t file_position = 0;
  int64_t file_size = 0;

  bool is_paused = false;
  std::optional<std::string> display_message;

  HeaterReading extruder;
  HeaterReading bed;
  SensorReading chamber;
  double pressure_advance = 0.04;

  double fan_speed = 0;
  double hotend_fan_speed = 0;
  double light = 0;
  bool filament_detected = true;
  bool filament_sensor_enabled = true;

  // What the machine's configuration allows, whoever asks.
  static constexpr double extruder_max_c = 300;
  static constexpr double bed_max_c = 130;
  static constexpr double min_extrude_c = 170;
  static constexpr double configured_velocity = 300;  // mm/s
  static constexpr double configured_accel = 6000;    // mm/s2

  std::string homed_axes;
  std::array<double, 4> position{};       // where the next move begins, in the machine's coordinates
  std::array<double, 4> base_position{};  // of G-code's coordinates: G92, SET_GCODE_OFFSET
  std::array<double, 4> homing_origin{};  // of SET_GCODE_OFFSET alone
  std::array<double, 4> live_position{};  // where the tool is
  double live_velocity = 0;
  double live_extruder_velocity = 0;
  double speed_factor = 1;
  double extrude_factor = 1;
  double move_speed = 1500;                   // mm/min, before speed_factor
  bool absolute = true;                       // G90
  bool absolute_extrude = true;               // M82
  double max_velocity = configured_velocity;  // mm/s and mm/s2, until SET_VELOCITY_LIMIT
  double max_accel = configured_accel;
  static constexpr std::array<double, 3> axis_minimum = {0, 0, -5};
  static constexpr std::array<double, 3> axis_maximum = {300, 300, 280};
  double print_time = 0;  // of the printer's clock
  int stalls = 0;

  std::string idle_state = "Idle";
  double printing_time = 0;

  std::vector<std::string> objects;
  std::vector<std::string> excluded;
  std::optional<std::string> current_object;

  int64_t mcu_bytes_write = 1499;
  int64_t mcu_bytes_read = 7120;
  int64_t mcu_sequence = 161;
  double mcu_awake = 0.002;
  int64_t mcu_frequency = 180'000'000;
  double sysload = 0.4;
  double cputime = 12;
  int64_t memavail = 612'344;
};

}  // namespace millrace
