// SPDX-License-Identifier: Apache-2.0
// How old what a machine once said may be before it is called stale: categories of values and their times to live,
// those of the older system.  There they were the age at which a cache asked again.  Here a subscription tells every
// change, so what it said holds for as long as it is in force, however long ago that was; a value ages from the last
// moment at which the subscription was seen to be in force.  Pure; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace millrace {

enum class ValueCategory : uint8_t { kGpio, kSensor, kPosition, kFan, kPwm, kPrinterState, kActuator, kCustom };

struct ValueCategoryRow {
  ValueCategory category;
  std::string_view name;  // stable, in the API
  std::chrono::milliseconds time_to_live;
};

// In the order of the enumeration.
std::span<const ValueCategoryRow> value_categories();

// Of a Klipper object as the status names it: "heater_bed", "output_pin caselight".
ValueCategory category_of(std::string_view object);

// So long after its last sign a subscription counts as in force: fresh as the guard means it (kFreshFor), and the
// second that the adapter takes between two samples.
inline constexpr std::chrono::milliseconds kInForceFor{3'000};

// `age`: since the last sign.  `subscribed`: nothing is known to have ended the subscription since.
bool is_stale(ValueCategory category, std::chrono::microseconds age, bool subscribed);

}  // namespace millrace
