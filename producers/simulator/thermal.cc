// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/thermal.h"

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

// Division by 100 instead of multiplication by 0.01 keeps the shortest decimal form short.
double hundredths(double value) { return std::round(value * 100.0) / 100.0; }

constexpr double kProportionalPerC = 0.12;  // power per degree of error, beside the power that holds the target
constexpr double kSettledC = 1.0;

}  // namespace

double simulated_noise(Random& random) {
  // The sum of four uniform numbers has variance 1/3.
  return (random.unit() + random.unit() + random.unit() + random.unit() - 2.0) * std::sqrt(3.0);
}

SimulatedHeater::SimulatedHeater(ThermalShape shape, double ambient_c)
    : shape_(shape), temperature_c_(ambient_c), reading_c_(hundredths(ambient_c)) {}

void SimulatedHeater::step(double dt_s, double ambient_c, double extra_loss) {
  power_ = 0;
  if (target_c_ > 0) {
    const double hold = (target_c_ - ambient_c) / shape_.time_constant_s / shape_.full_power_rate_c_s;
    power_ = std::clamp(hold + kProportionalPerC * (target_c_ - temperature_c_), 0.0, 1.0);
  }
  const double warming = broken_ ? 0.0 : shape_.full_power_rate_c_s * power_;
  const double cooling = (temperature_c_ - ambient_c) / shape_.time_constant_s * (1.0 + extra_loss);
  temperature_c_ += (warming - cooling) * dt_s;
}

void SimulatedHeater::read(Random& random) {
  reading_c_ = hundredths(temperature_c_ + shape_.noise_c * simulated_noise(random));
}

void SimulatedHeater::set_target(double target_c) { target_c_ = target_c; }

bool SimulatedHeater::reached() const { return target_c_ <= 0 || temperature_c_ >= target_c_ - kSettledC; }

double SimulatedHeater::power() const { return hundredths(power_); }

void SimulatedHeater::preset(double temperature_c) {
  temperature_c_ = temperature_c;
  reading_c_ = hundredths(temperature_c);
}

}  // namespace millrace
