// SPDX-License-Identifier: Apache-2.0
#include "bus/events.h"

namespace millrace {

std::string_view name_of(EventType type) {
  return schema::EnumNamePayload(type);  // "" outside the enum
}

std::optional<EventType> event_type_from(std::string_view name) {
  for (EventType type : schema::EnumValuesPayload()) {
    if (type != EventType::NONE && name_of(type) == name) return type;
  }
  return std::nullopt;
}

Family family_of(EventType type) { return type == EventType::TelemetrySampled ? Family::kTelemetry : Family::kFact; }

}  // namespace millrace
