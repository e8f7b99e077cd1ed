// SPDX-License-Identifier: Apache-2.0
#include "projections/telemetry_sight.h"

#include "bus/sensor_names.h"
#include "projections/compact_bytes.h"

namespace millrace {

bool ends(Sight sight, std::string_view object) {
  if (is_sensor_object(object) || sight == Sight::kKlipperBack) return false;
  return sight != Sight::kKlipperGone || (object != "host" && object != "moonraker");
}

std::optional<Sight> sight_in(const Envelope& envelope) {
  if (envelope.as<schema::MachineDisconnected>() != nullptr) return Sight::kLost;
  if (envelope.as<schema::MachineConnected>() != nullptr) return Sight::kFound;
  const auto* changed = envelope.as<schema::MachineStateChanged>();
  if (changed == nullptr) return std::nullopt;
  if (changed->state() == schema::MachineState::offline) return Sight::kKlipperGone;
  const bool back =
      changed->previous() == schema::MachineState::offline || changed->previous() == schema::MachineState::unknown;
  return back ? std::optional(Sight::kKlipperBack) : std::nullopt;
}

std::string encode_sight(const std::vector<SightChange>& changes) {
  CompactWriter out;
  for (const SightChange& change : changes) {
    out.unsigned_number(change.at_ms);
    out.byte(static_cast<uint8_t>(change.sight));
  }
  return out.take();
}

bool decode_sight(std::string_view bytes, std::vector<SightChange>& changes) {
  CompactReader in(bytes);
  while (in.ok() && !in.at_end()) {
    SightChange change;
    change.at_ms = static_cast<uint32_t>(in.unsigned_number());
    change.sight = static_cast<Sight>(in.byte());
    if (in.ok()) changes.push_back(change);
  }
  return in.ok();
}

std::string encode_heard(const HeardMinutes& minutes) {
  CompactWriter out;
  out.unsigned_number(minutes.heard);
  out.unsigned_number(minutes.full);
  return out.take();
}

bool decode_heard(std::string_view bytes, HeardMinutes& minutes) {
  CompactReader in(bytes);
  minutes.heard = in.unsigned_number();
  minutes.full = in.unsigned_number();
  return in.ok() && in.at_end();
}

}  // namespace millrace
