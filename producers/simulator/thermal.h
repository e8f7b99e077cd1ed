// SPDX-License-Identifier: Apache-2.0
// A heater and its sensor as a first-order system: the power warms it, the room cools it, and the sensor adds noise.
// Pure and deterministic: all time and randomness come in as arguments.
#pragma once

#include "bus/random.h"

namespace millrace {

struct ThermalShape {
  double full_power_rate_c_s;  // warming at full power, without losses
  double time_constant_s;      // of cooling down to the room
  double noise_c;              // standard deviation of one reading
};

class SimulatedHeater {
 public:
  SimulatedHeater(ThermalShape shape, double ambient_c);

  // Advances by `dt_s`.  `extra_loss` is the part of the cooling that a fan adds, 0 to 1.
  void step(double dt_s, double ambient_c, double extra_loss);
  // Takes a reading, as the analogue converter does some times a second.
  void read(Random& random);
  void set_target(double target_c);
  // At the target, and settled there.
  bool reached() const;

  double temperature() const { return reading_c_; }  // rounded to 0.01, as Klipper reports it
  double target() const { return target_c_; }
  double power() const;  // 0 to 1, rounded to 0.01
  void preset(double temperature_c);
  // A broken heater takes power and gives no warmth.
  void set_broken(bool broken) { broken_ = broken; }

 private:
  ThermalShape shape_;
  double temperature_c_;
  double reading_c_;
  double target_c_ = 0;
  double power_ = 0;
  bool broken_ = false;
};

// Roughly normal with deviation 1, from four uniform numbers.
double simulated_noise(Random& random);

}  // namespace millrace
