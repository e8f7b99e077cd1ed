// SPDX-License-Identifier: Apache-2.0
// Classifies the text with which Klipper ends a print.  The class is a convenience: the text is always kept verbatim.
#pragma once

#include <string_view>

namespace millrace {

// "emergency_stop", "m112", "mcu_lost", "heater_fault", "sensor_fault", "timing" or "klipper_error" (anything else).
// `shutdown_text` (webhooks.state_message) is looked at before `print_text` (print_stats.message).
// The texts are Klipper's own (klippy/mcu.py, klippy/extras/verify_heater.py, adc_temperature.py, webhooks.py).
std::string_view failure_cause(std::string_view shutdown_text, std::string_view print_text);

}  // namespace millrace
