// SPDX-License-Identifier: Apache-2.0
// The rules themselves: what each finds in what is known of the machine now.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "safety/machine_monitor.h"

namespace millrace {
namespace {

using enum MonitorRule;

// The defaults of limits that nobody has set (docs/safety.md).
constexpr double kExtruderMax = 250;
constexpr double kBedMax = 120;
constexpr double kChamberMax = 60;

constexpr double kHot = 50;                // an extruder whose heat creeps up without its fan
constexpr double kHotWithoutFan = 90;      // well above where any configuration turns the hotend fan on
constexpr double kMustTurn = 0.3;          // of full speed: slower fans may stand still
constexpr double kPowered = 0.05;          // of full power
constexpr int64_t kFrozenUs = 30'000'000;  // the same value for so long
constexpr int64_t kRampUs = 60'000'000;    // without any progress towards the target

bool is_extruder(std::string_view object) { return object.starts_with("extruder"); }
bool is_heater(std::string_view object) {
  return is_extruder(object) || object == "heater_bed" || object.starts_with("heater_generic ");
}

// Klipper's names have upper and lower case as their owner wrote them.
bool mentions(std::string_view object, std::string_view word) {
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  return std::search(object.begin(), object.end(), word.begin(), word.end(), same) != object.end();
}

}  // namespace

std::optional<double> MachineMonitor::limit_of(std::string_view object) const {
  if (is_extruder(object)) return limits_.extruder_temp_max.value_or(kExtruderMax);
  if (object == "heater_bed") return limits_.bed_temp_max.value_or(kBedMax);
  const size_t space = object.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view name = object.substr(space + 1);
  if (mentions(name, "chamber")) return limits_.chamber_temp_max.value_or(kChamberMax);
  if (object.starts_with("heater_generic ") && mentions(name, "bed")) return limits_.bed_temp_max.value_or(kBedMax);
  return std::nullopt;
}

double MachineMonitor::hottest_extruder() const {
  double hottest = -273;
  for (const auto& [name, sensor] : temperatures_) {
    if (is_extruder(name) && sensor.value) hottest = std::max(hottest, *sensor.value);
  }
  return hottest;
}

double MachineMonitor::hottest_other(std::string_view object) const {
  double hottest = -273;
  for (const auto& [name, sensor] : temperatures_) {
    if (name != object && is_heater(name) && sensor.value) hottest = std::max(hottest, *sensor.value);
  }
  return hottest;
}

void MachineMonitor::judge_temperatures() {
  for (const auto& [name, sensor] : temperatures_) {
    if (!sensor.value) continue;
    judge_sensor(name, sensor);
    if (is_heater(name) && sensor.target) judge_heater(name, sensor);
  }
}

void MachineMonitor::judge_sensor(const std::string& name, const Temperature& sensor) {
  const double value = *sensor.value;
  if (const auto limit = limit_of(name)) {
    const double margin = rules_.of(kTemperatureAboveLimit).threshold;
    const Verdict verdict = value > *limit + margin       ? Verdict::kBad
                            : value > *limit + margin / 2 ? Verdict::kBetween
                                                          : Verdict::kOk;
    sight({kTemperatureAboveLimit, name, verdict, value, *limit + margin},
          [&] { return fmt::format("{} is at {:.1f} °C; its limit is {:.1f} °C", name, value, *limit); });
  }
  const double lowest = rules_.of(kSensorDead).threshold;
  const bool frozen = sensor.power.value_or(0) >= kPowered && now_ - sensor.changed_at >= kFrozenUs;
  const bool dead = value <= lowest || value == 0 || frozen;
  sight({kSensorDead, name, dead ? Verdict::kBad : Verdict::kOk, value, lowest}, [&] {
    return frozen ? fmt::format("{} says {:.2f} °C all the time although it is heated", name, value)
                  : fmt::format("{} says {:.1f} °C, which cannot be", name, value);
  });
  const double fastest = rules_.of(kSensorJump).threshold;
  sight({kSensorJump, name, sensor.jump > fastest ? Verdict::kBad : Verdict::kOk, sensor.jump, fastest},
        [&] { return fmt::format("{} has changed by {:.0f} K/s, to {:.1f} °C", name, sensor.jump, value); });
}

void MachineMonitor::judge_heater(const std::string& name, const Temperature& heater) {
  const double value = *heater.value;
  const double target = *heater.target;
  // What is not heated may still be warmed by what is beside it, though never above that.
  const double ceiling = std::max({target, heater.lowest, target > 0 ? target : hottest_other(name)});
  const double above = value - ceiling;
  const double runaway = rules_.of(kTemperatureRunaway).threshold;
  sight({kTemperatureRunaway, name,
         above >= runaway       ? Verdict::kBad
         : above >= runaway / 2 ? Verdict::kBetween
                                : Verdict::kOk,
         above, runaway},
        [&] { return fmt::format("{} has warmed up to {:.1f} °C; its target is {:.1f} °C", name, value, target); });
  const double off = std::abs(value - target);
  const double drift = rules_.of(kTemperatureDrift).threshold;
  const bool ramp = !heater.reached && (value > target || now_ - heater.improved_at < kRampUs);
  Verdict verdict = Verdict::kOk;
  if (!klipper_works()) {
    verdict = Verdict::kBetween;  // what is shut down does not hold its target
  } else if (target > 0 && !ramp && off >= drift / 2) {
    verdict = off >= drift ? Verdict::kBad : Verdict::kBetween;
  }
  sight({kTemperatureDrift, name, verdict, off, drift}, [&] {
    return fmt::format("{} is at {:.1f} °C and {} {:.1f} °C", name, value,
                       heater.reached ? "does not hold" : "gets no nearer to", target);
  });
}

void MachineMonitor::judge_position() {
  const std::array<std::pair<std::optional<double>, std::optional<double>>, 3> bounds = {
      {{limits_.x_min, limits_.x_max}, {limits_.y_min, limits_.y_max}, {limits_.z_min, limits_.z_max}}};
  constexpr std::array<std::string_view, 3> kAxes = {"x", "y", "z"};
  const double margin = rules_.of(kPositionOutside).threshold;
  for (size_t axis = 0; axis < kAxes.size(); ++axis) {
    const auto& [least, most] = bounds[axis];
    if (!position_[axis] || (!least && !most)) continue;
    const double at = *position_[axis];
    const double outside = std::max(least ? *least - at : 0.0, most ? at - *most : 0.0);
    sight({kPositionOutside, kAxes[axis],
           outside > margin ? Verdict::kBad
           : outside > 0    ? Verdict::kBetween
                            : Verdict::kOk,
           outside, margin},
          [&] { return fmt::format("{} is {:.2f} mm, {:.2f} mm outside its limit", kAxes[axis], at, outside); });
  }
}

void MachineMonitor::judge_fans() {
  const double hottest = hottest_extruder();
  bool hotend_fans = false;
  bool any_on = false;
  for (const auto& [name, fan] : fans_) {
    if (!fan.speed) continue;
    judge_fan(name, fan, hottest);
    if (!name.starts_with("heater_fan ")) continue;
    hotend_fans = true;
    any_on = any_on || *fan.speed > 0;
  }
  if (!hotend_fans) return;
  const bool none_on = !any_on && hottest >= kHotWithoutFan;
  sight({kFanStoppedWhileHot, "", none_on ? Verdict::kBad : Verdict::kOk, std::nullopt, std::nullopt},
        [&] { return fmt::format("no hotend fan is on while an extruder is at {:.0f} °C", hottest); });
}

void MachineMonitor::judge_fan(const std::string& name, const Fan& fan, double hottest) {
  if (!fan.rpm) return;
  const double slowest = rules_.of(kFanStoppedWhileHot).threshold;
  const bool stopped = *fan.speed >= kMustTurn && *fan.rpm < slowest && hottest >= kHot;
  sight({kFanStoppedWhileHot, name, stopped ? Verdict::kBad : Verdict::kOk, fan.rpm, slowest}, [&] {
    return fmt::format("{} turns with {:.0f} rpm at {:.0f} % while an extruder is at {:.0f} °C", name, *fan.rpm,
                       *fan.speed * 100, hottest);
  });
}

void MachineMonitor::judge_mcu(const std::string& name, const Mcu& mcu) {
  if (mcu.errors) {
    const double most = rules_.of(kMcuErrors).threshold;
    sight({kMcuErrors, name,
           *mcu.errors >= most       ? Verdict::kBad
           : *mcu.errors >= most / 2 ? Verdict::kBetween
                                     : Verdict::kOk,
           mcu.errors, most},
          [&] {
            return fmt::format("{}: {:.0f} bytes in a minute were sent again or made no sense", name, *mcu.errors);
          });
  }
  if (!mcu.task_average || !mcu.task_deviation) return;
  const double load = *mcu.task_average + 3 * *mcu.task_deviation;
  const double slowest = rules_.of(kMcuOverload).threshold;
  sight({kMcuOverload, name,
         load >= slowest         ? Verdict::kBad
         : load >= slowest * 0.8 ? Verdict::kBetween
                                 : Verdict::kOk,
         load, slowest},
        [&] { return fmt::format("{}: its tasks take {:.2f} ms", name, load * 1000); });
}

void MachineMonitor::judge_host() {
  if (cpu_usage_) {
    const double busiest = rules_.of(kHostLoad).threshold;
    sight({kHostLoad, "",
           *cpu_usage_ >= busiest         ? Verdict::kBad
           : *cpu_usage_ >= busiest * 0.9 ? Verdict::kBetween
                                          : Verdict::kOk,
           cpu_usage_, busiest},
          [&] { return fmt::format("the host's processor is {:.0f} % busy", *cpu_usage_); });
  }
  if (!disk_free_ || disk_total_.value_or(0) <= 0) return;
  const double free = *disk_free_ / *disk_total_ * 100;
  const double least = rules_.of(kHostDisk).threshold;
  sight({kHostDisk, "",
         free < least         ? Verdict::kBad
         : free < least * 1.2 ? Verdict::kBetween
                              : Verdict::kOk,
         free, least},
        [&] { return fmt::format("{:.1f} % of the host's disk is free", free); });
}

// What is known whether or not values come.
void MachineMonitor::judge_facts() {
  sight({kClockOff, "", clock_off_ ? Verdict::kBad : Verdict::kOk, clock_skew_s_, std::nullopt},
        [&] { return fmt::format("the machine's clock is off by {:.0f} s", -clock_skew_s_); });
  const auto is = [this](std::string_view cause) { return cause_ == cause; };
  const bool of_its_own = is("heater_fault") || is("sensor_fault") || is("mcu_lost");
  const auto shutdown = [&](MonitorRule rule, std::string_view subject, bool bad) {
    sight({rule, subject, bad ? Verdict::kBad : Verdict::kOk, std::nullopt, std::nullopt, true},
          [this] { return cause_text_; });
  };
  shutdown(kHeaterFault, "", is("heater_fault"));
  shutdown(kSensorDead, "klipper", is("sensor_fault"));
  shutdown(kMcuLost, "", is("mcu_lost"));
  shutdown(kKlipperShutdown, "", !cause_.empty() && !of_its_own);
  // While the machine prints this is always bad unless something goes on, so the rule's time is that of silence.
  const bool prints = state_ == schema::MachineState::printing;
  sight({kProgressStalled, "", prints && !moved_ ? Verdict::kBad : Verdict::kOk, std::nullopt, std::nullopt}, [&] {
    return fmt::format("nothing has moved for {:.0f} s although the machine prints", rules_.of(kProgressStalled).for_s);
  });
}

}  // namespace millrace
