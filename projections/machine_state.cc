// SPDX-License-Identifier: Apache-2.0
#include "projections/machine_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/sensor_names.h"
#include "projections/job_evidence.h"
#include "projections/machine_facts.h"
#include "projections/named_record.h"
#include "projections/record.h"

namespace millrace {
namespace {

using schema::MachineViewT;

// A machine has a few dozen objects; more is a fault of whoever writes, and is left out.
constexpr size_t kMaxObjects = 128;
constexpr size_t kMaxValuesPerObject = 64;
constexpr size_t kMaxRecentEvents = 8;

void on_registered(MachineViewT& machine, const schema::MachineRegistered& event) {
  machine.name = text(event.name());
  machine.kind = text(event.kind());
  machine.managed_by = text(event.managed_by());
}

void on_connected(MachineViewT& machine, const schema::MachineConnected& event, int64_t observed_us) {
  machine.link_up = true;
  machine.connected_since_us = observed_us;
  machine.disconnected_since_us = 0;
  machine.disconnect_reason.clear();
  machine.disconnect_text.clear();
  machine.moonraker_version = text(event.moonraker_version());
  machine.hostname = text(event.hostname());
  if (!text(event.klipper_version()).empty()) machine.klipper_version = text(event.klipper_version());
}

void on_disconnected(MachineViewT& machine, const schema::MachineDisconnected& event, int64_t observed_us) {
  if (machine.link_up || machine.disconnected_since_us == 0) machine.disconnected_since_us = observed_us;
  machine.link_up = false;
  machine.disconnect_reason = text(event.reason());
  machine.disconnect_text = text(event.text());
}

void on_state_changed(MachineViewT& machine, const schema::MachineStateChanged& event, const Envelope& envelope) {
  machine.state = event.state();
  machine.state_text = text(event.text());
  machine.klipper_state = text(event.klipper_state());
  machine.print_state = text(event.print_state());
  machine.state_epoch = envelope.epoch();
  machine.state_sequence = envelope.sequence();
  machine.state_since_us = to_unix_us(envelope.observed_at());
}

// Whether an event about `job_id` concerns the job that the machine shows, also by its row's id after JobIdentified.
bool is_current(const MachineViewT& machine, std::string_view job_id) {
  if (!machine.job) return false;
  if (machine.job->id == job_id) return true;
  return machine.job->start_us != 0 && row_start_of(job_id, machine.id) == machine.job->start_us;
}

void on_job_started(MachineViewT& machine, const schema::JobStarted& event, int64_t observed_us) {
  const std::string_view id = text(event.job_id());
  if (id.empty() || is_current(machine, id)) return;  // a second sight of the same job is evidence, not news
  const int64_t order_us = event.start_us() > 0 ? event.start_us() : observed_us;
  // A row that is told later may be older than what the machine does now; a live start never is.
  if (event.seen() != schema::JobSeen::live && machine.job && order_us < machine.job->order_us) return;
  machine.job = std::make_unique<schema::CurrentJobT>();
  machine.job->id = id;
  machine.job->start_us = event.start_us();
  machine.job->order_us = order_us;
  const ShownTime start = shown_time(event.start_us(), event.skew_ms());
  machine.job->started_at_us = start.us != 0 ? start.us : observed_us;
  machine.job->filename = text(event.filename());
  machine.job->outcome = schema::JobOutcome::running;
}

void on_job_progressed(schema::CurrentJobT& job, const schema::JobProgressed& event) {
  if (job.outcome != schema::JobOutcome::running) return;
  if (event.progress()) job.progress = plausible(event.progress());
  if (event.layer()) job.layer = event.layer();
  if (event.total_layers()) job.total_layers = event.total_layers();
  if (event.total_duration()) job.total_duration = plausible(event.total_duration());
  if (event.print_duration()) job.print_duration = plausible(event.print_duration());
  if (event.filament_used()) job.filament_used = plausible(event.filament_used());
}

void on_job_finished(schema::CurrentJobT& job, const schema::JobFinished& event, const Envelope& envelope) {
  const auto outcome = ending_of(event.outcome());
  const bool ended = job.outcome != schema::JobOutcome::running;
  if (!outcome || (ended && event.evidence() <= job.evidence)) return;
  job.outcome = *outcome;
  job.evidence = event.evidence();
  job.cause = text(event.cause());
  job.text = text(event.text());
  job.paused = false;
  const ShownTime end = shown_time(end_machine_us(event, to_unix_us(envelope.occurred_at())), event.skew_ms());
  job.ended_at_us = end.us != 0 ? end.us : end_fallback_us(event, to_unix_us(envelope.observed_at()));
  if (*outcome == schema::JobOutcome::completed) job.progress = 1.0;
  if (plausible(event.total_duration())) job.total_duration = event.total_duration();
  if (plausible(event.print_duration())) job.print_duration = event.print_duration();
  if (plausible(event.filament_used())) job.filament_used = event.filament_used();
}

void on_job_event(MachineViewT& machine, const Envelope& envelope) {
  const auto concerns = [&](const auto* event) {
    return event != nullptr && is_current(machine, text(event->job_id()));
  };
  if (const auto* paused = envelope.as<schema::JobPaused>(); concerns(paused)) {
    if (machine.job->outcome != schema::JobOutcome::running) return;
    machine.job->paused = true;
    machine.job->pause_cause = text(paused->cause());
  } else if (const auto* resumed = envelope.as<schema::JobResumed>(); concerns(resumed)) {
    machine.job->paused = false;
  } else if (const auto* progressed = envelope.as<schema::JobProgressed>(); concerns(progressed)) {
    on_job_progressed(*machine.job, *progressed);
  } else if (const auto* finished = envelope.as<schema::JobFinished>(); concerns(finished)) {
    on_job_finished(*machine.job, *finished, envelope);
  } else if (const auto* identified = envelope.as<schema::JobIdentified>(); concerns(identified)) {
    machine.job->start_us = identified->start_us();
  } else if (const auto* excluded = envelope.as<schema::JobObjectExcluded>(); concerns(excluded)) {
    machine.job->objects_excluded = excluded->excluded();
    machine.job->objects_total = excluded->total();
  }
}

void on_telemetry(MachineViewT& machine, const schema::TelemetrySampled& event, const RecordedEvent& recorded) {
  // A full sample names everything that there is: what it leaves out was removed from the machine's configuration.
  // The [[sensor]] entries are told by another producer.
  if (event.full()) std::erase_if(machine.objects, [](const auto& object) { return !is_sensor_object(object->name); });
  if (event.signals() == nullptr) return;
  for (const schema::Signal* signal : *event.signals()) {
    auto* object = named_record(machine.objects, &schema::ObservedObjectT::name, text(signal->object()), kMaxObjects);
    if (object == nullptr) continue;
    object->observed_at_us = to_unix_us(recorded.envelope.observed_at());
    object->position = recorded.position.value;
    auto* value =
        named_record(object->values, &schema::ObservedValueT::field, text(signal->field()), kMaxValuesPerObject);
    if (value == nullptr) continue;
    value->value = signal->value();
    value->position = recorded.position.value;
  }
}

// Forgets what was only told by telemetry that is no longer in the log, so that the view equals a replay of what is
// (decision 5).  An adapter tells everything again every few hours: only a machine that was away that long loses
// anything.  False when nothing changed.
bool on_expired(MachineViewT& machine, uint64_t through) {
  bool changed = false;
  for (const auto& object : machine.objects) {
    changed |= std::erase_if(object->values, [&](const auto& value) { return value->position <= through; }) > 0;
  }
  changed |= std::erase_if(machine.objects, [&](const auto& object) { return object->position <= through; }) > 0;
  if (machine.last_position > machine.fact_position && machine.last_position <= through) {
    machine.last_position = machine.fact_position;
    machine.last_observed_us = machine.fact_observed_us;
    machine.last_recorded_us = machine.fact_recorded_us;
    changed = true;
  }
  return changed;
}

void remember(MachineViewT& machine, const RecordedEvent& event) {
  machine.last_position = event.position.value;
  machine.last_observed_us = to_unix_us(event.envelope.observed_at());
  machine.last_recorded_us = to_unix_us(event.recorded_at);
  const EventType type = event.envelope.type();
  if (event.envelope.family() == Family::kTelemetry) return;
  machine.fact_position = machine.last_position;
  machine.fact_observed_us = machine.last_observed_us;
  machine.fact_recorded_us = machine.last_recorded_us;
  if (machine.first_recorded_us == 0) machine.first_recorded_us = machine.last_recorded_us;
  if (type == EventType::JobProgressed) return;
  machine.recent.push_back(std::make_unique<schema::RecentEventT>());
  machine.recent.back()->position = event.position.value;
  machine.recent.back()->type = static_cast<uint8_t>(type);
  machine.recent.back()->observed_at_us = machine.last_observed_us;
  if (machine.recent.size() > kMaxRecentEvents) machine.recent.erase(machine.recent.begin());
}

// What people ask of a machine, and what the hub says of its alarms, is no sign that anybody hears of the machine.
bool is_of_commands_or_safety(EventType type) {
  return type >= EventType::CommandRequested && type <= EventType::AccessDenied;
}

bool concerns_machines(EventType type) {
  if (is_of_commands_or_safety(type)) return false;
  switch (type) {
    case EventType::NONE:
    case EventType::EpochOpened:
    case EventType::EventsDropped:
    case EventType::EventRejected:
    case EventType::TelemetrySummarised:
    case EventType::TelemetryExpired:
    case EventType::ClockJumped:
    case EventType::FactsRedacted:
    case EventType::LogRestored:
    case EventType::LogRepaired:
    case EventType::ChainAnchored:
    case EventType::MaintenanceTaskDefined:
    case EventType::MaintenanceTaskRemoved:
    case EventType::MaintenanceRecorded:
    case EventType::MaintenanceRecordRemoved:
    case EventType::MaintenanceDue:
      return false;
    default:
      return true;
  }
}

class MachineState final : public Projection {
 public:
  std::string_view name() const override { return kMachineStateView; }
  uint32_t version() const override { return 5; }

  void apply(const RecordedEvent& event, ViewBatch& batch, ChangedKeys& changed) const override {
    if (const auto* expired = event.envelope.as<schema::TelemetryExpired>()) {
      return forget(expired->through(), batch, changed);
    }
    const std::string id(event.envelope.machine());
    if (id.empty() || !concerns_machines(event.envelope.type())) return;
    MachineViewT machine;
    if (const auto stored = batch.get(id)) {
      if (!decode(id, *stored, machine, batch)) return;
    } else {
      machine.id = id;
      machine.name = id;
      machine.kind = "printer";
    }
    fold(machine, event);
    remember(machine, event);
    batch.put(id, encode_record<schema::MachineView>(machine));
    changed.insert(id);
  }

 private:
  static bool decode(const std::string& id, const std::string& stored, MachineViewT& machine, ViewBatch& batch) {
    auto decoded = decode_record<schema::MachineView>(stored);
    if (decoded) {
      machine = std::move(*decoded);
    } else {
      batch.fail(make_error(Errc::kCorrupt, fmt::format("machine_state: record of '{}'", id)));
    }
    return decoded.has_value();
  }

  static void forget(uint64_t through, ViewBatch& batch, ChangedKeys& changed) {
    for (const std::string& id : batch.keys()) {
      MachineViewT machine;
      const auto stored = batch.get(id);
      if (!stored || !decode(id, *stored, machine, batch)) return;
      if (!on_expired(machine, through)) continue;
      batch.put(id, encode_record<schema::MachineView>(machine));
      changed.insert(id);
    }
  }

  static void fold(MachineViewT& machine, const RecordedEvent& recorded) {
    const Envelope& envelope = recorded.envelope;
    const int64_t observed_us = to_unix_us(envelope.observed_at());
    switch (envelope.type()) {
      case EventType::MachineRegistered:
        return on_registered(machine, *envelope.as<schema::MachineRegistered>());
      case EventType::MachineConnected:
        return on_connected(machine, *envelope.as<schema::MachineConnected>(), observed_us);
      case EventType::MachineDisconnected:
        return on_disconnected(machine, *envelope.as<schema::MachineDisconnected>(), observed_us);
      case EventType::MachineStateChanged:
        return on_state_changed(machine, *envelope.as<schema::MachineStateChanged>(), envelope);
      case EventType::JobStarted:
        return on_job_started(machine, *envelope.as<schema::JobStarted>(), observed_us);
      case EventType::TelemetrySampled:
        return on_telemetry(machine, *envelope.as<schema::TelemetrySampled>(), recorded);
      default:
        if (!fold_machine_fact(machine, recorded)) on_job_event(machine, envelope);
        return;
    }
  }
};

// Told by Moonraker itself, whether or not Klipper is there.
bool is_of_moonraker(std::string_view object) {
  return object == "host" || object == "moonraker" || object.starts_with("moonraker_sensor ");
}

Error corrupt_machine(std::string_view id) {
  return make_error(Errc::kCorrupt, fmt::format("machine_state: record of '{}'", id));
}

}  // namespace

std::unique_ptr<const Projection> make_machine_state() { return std::make_unique<MachineState>(); }

Result<std::map<std::string, schema::MachineViewT>> read_machines(const ViewReader& reader) {
  std::map<std::string, schema::MachineViewT> machines;
  std::optional<Error> failed;
  const auto scanned =
      reader.scan(kMachineStateView, KeyRange::all(), [&](std::string_view key, std::string_view value) {
        auto machine = decode_record<schema::MachineView>(value);
        if (!machine) {
          failed = corrupt_machine(key);
          return false;
        }
        machines.emplace(std::string(key), std::move(*machine));
        return true;
      });
  if (!scanned) return scanned.error();
  if (failed) return *failed;
  return machines;
}

Result<std::optional<schema::MachineViewT>> find_machine(const ViewReader& reader, std::string_view id) {
  const auto stored = reader.get(kMachineStateView, id);
  if (!stored) return stored.error();
  if (!*stored) return std::optional<schema::MachineViewT>{};
  auto machine = decode_record<schema::MachineView>(**stored);
  if (!machine) return corrupt_machine(id);
  return std::optional(std::move(*machine));
}

std::string_view connection_of(const MachineViewT& machine) {
  if (!machine.link_up) return "disconnected";
  const bool klipper_away = machine.state == schema::MachineState::offline || machine.klipper_state == "disconnected";
  return klipper_away ? "klipper_away" : "connected";
}

// By the clock of the last event's producer they were observed, by the hub's that one was recorded.
int64_t values_confirmed_us(const MachineViewT& machine) {
  const bool subscribed = is_subscribed(machine);
  int64_t observed_us = 0;
  for (const auto& object : machine.objects) {
    if (is_sensor_object(object->name) || (!subscribed && is_of_moonraker(object->name))) continue;
    observed_us = std::max(observed_us, object->observed_at_us);
  }
  return observed_us == 0 ? 0 : observed_us + machine.last_recorded_us - machine.last_observed_us;
}

bool is_subscribed(const MachineViewT& machine) {
  return connection_of(machine) == "connected" && machine.state != schema::MachineState::starting &&
         machine.state != schema::MachineState::unknown;
}

schema::MachineState shown_state(const MachineViewT& machine) {
  return machine.link_up ? machine.state : schema::MachineState::offline;
}

}  // namespace millrace
