// SPDX-License-Identifier: Apache-2.0
#include "safety/failure_cause.h"

#include <array>

namespace millrace {
namespace {

struct Pattern {
  std::string_view text;
  std::string_view cause;
};

// In order: the first match wins.
constexpr std::array kPatterns = {
    Pattern{"Shutdown due to webhooks request", "emergency_stop"},
    Pattern{"M112", "m112"},
    Pattern{"Lost communication with MCU", "mcu_lost"},
    Pattern{"not heating at expected rate", "heater_fault"},
    Pattern{"ADC out of range", "sensor_fault"},
    Pattern{"Timer too close", "timing"},
    Pattern{"Stepper too far in past", "timing"},
    Pattern{"Rescheduled timer", "timing"},
};

std::string_view match(std::string_view text) {
  for (const Pattern& pattern : kPatterns) {
    if (text.find(pattern.text) != std::string_view::npos) return pattern.cause;
  }
  return {};
}

}  // namespace

std::string_view failure_cause(std::string_view shutdown_text, std::string_view print_text) {
  if (auto cause = match(shutdown_text); !cause.empty()) return cause;
  if (auto cause = match(print_text); !cause.empty()) return cause;
  return "klipper_error";
}

}  // namespace millrace
