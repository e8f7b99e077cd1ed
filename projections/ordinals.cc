// SPDX-License-Identifier: Apache-2.0
#include "projections/ordinals.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "bus/events.h"

namespace millrace {
namespace {

// The events that tell of something for the first time.
constexpr EventType kTold[] = {EventType::MachineRegistered, EventType::MachineConfigured,
                               EventType::JobStarted,        EventType::JobFinished,
                               EventType::JobEntered,        EventType::MaintenanceRecorded};

std::string_view name_of(OrdinalClass of) {
  switch (of) {
    case OrdinalClass::kMachine:
      return "machine";
    case OrdinalClass::kJob:
      return "job";
    case OrdinalClass::kMaintenanceRecord:
      return "maintenance";
  }
  return "";
}

std::string key_of(OrdinalClass of, std::string_view id) { return std::string(name_of(of)) + "/" + std::string(id); }

std::string last_key(OrdinalClass of) { return "last/" + std::string(name_of(of)); }

std::string number_key(OrdinalClass of, uint64_t number) {
  std::string key = "#" + std::string(name_of(of)) + "/";
  for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(number >> shift);
  return key;
}

std::optional<uint64_t> number_in(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string_view job_in(const Envelope& event) {
  if (const auto* started = event.as<schema::JobStarted>()) return text(started->job_id());
  if (const auto* finished = event.as<schema::JobFinished>()) return text(finished->job_id());
  if (const auto* entered = event.as<schema::JobEntered>()) return text(entered->job_id());
  return {};
}

class Ordinals final : public Projection {
 public:
  std::string_view name() const override { return kOrdinalsView; }
  uint32_t version() const override { return 1; }
  std::set<EventType> types() const override { return {std::begin(kTold), std::end(kTold)}; }

  void apply(const RecordedEvent& event, ViewBatch& batch, ChangedKeys&) const override {
    const std::string_view machine = event.envelope.machine();
    const bool tells = std::find(std::begin(kTold), std::end(kTold), event.envelope.type()) != std::end(kTold);
    if (machine.empty() || !tells) return;
    number(OrdinalClass::kMachine, machine, batch);
    number(OrdinalClass::kJob, job_in(event.envelope), batch);
    if (const auto* recorded = event.envelope.as<schema::MaintenanceRecorded>()) {
      const std::string id = std::string(machine) + "/" + std::string(text(recorded->record_id()));
      number(OrdinalClass::kMaintenanceRecord, id, batch);
    }
  }

 private:
  static void number(OrdinalClass of, std::string_view id, ViewBatch& batch) {
    if (id.empty() || batch.get(key_of(of, id))) return;
    uint64_t next = 1;
    if (const auto last = batch.get(last_key(of))) {
      const auto known = number_in(*last);
      if (!known) return batch.fail(make_error(Errc::kCorrupt, "ordinals: the last number is '" + *last + "'"));
      next = *known + 1;
    }
    batch.put(last_key(of), std::to_string(next));
    batch.put(key_of(of, id), std::to_string(next));
    batch.put(number_key(of, next), std::string(id));
  }
};

}  // namespace

std::unique_ptr<const Projection> make_ordinals() { return std::make_unique<Ordinals>(); }

Result<std::optional<uint64_t>> ordinal_of(const ViewReader& reader, OrdinalClass of, std::string_view id) {
  const auto stored = reader.get(kOrdinalsView, key_of(of, id));
  if (!stored) return stored.error();
  if (!*stored) return std::optional<uint64_t>{};
  const auto number = number_in(**stored);
  if (!number) return make_error(Errc::kCorrupt, "ordinals: '" + **stored + "' is no number");
  return number;
}

Result<std::optional<std::string>> id_of_ordinal(const ViewReader& reader, OrdinalClass of, uint64_t number) {
  return reader.get(kOrdinalsView, number_key(of, number));
}

}  // namespace millrace
