// SPDX-License-Identifier: Apache-2.0
#include "projections/machine_facts.h"

#include <algorithm>
#include <string_view>

#include "bus/events.h"
#include "projections/named_record.h"

namespace millrace {
namespace {

using schema::MachineViewT;

// More is a fault of whoever writes, and is left out.
constexpr size_t kMaxConditions = 32;
constexpr size_t kMaxSensors = 64;
constexpr size_t kMaxFirmware = 32;
constexpr size_t kMaxWaiting = 100;

void on_configured(MachineViewT& machine, const schema::MachineConfigured& event, const RecordedEvent& recorded) {
  machine.removed = false;
  machine.name = text(event.name());
  machine.kind = text(event.kind());
  machine.managed_by = text(event.managed_by());
  machine.settings = std::make_unique<schema::MachineSettingsT>();
  auto& settings = *machine.settings;
  settings.version = recorded.position.value;
  settings.configured_us = to_unix_us(recorded.recorded_at);
  settings.enabled = event.enabled();
  settings.moonraker_url = text(event.moonraker_url());
  settings.authentication = text(event.authentication());
  settings.tls_ca = text(event.tls_ca());
  settings.technology = text(event.technology());
  settings.make = text(event.make());
  settings.model = text(event.model());
  settings.location = text(event.location());
  settings.description = text(event.description());
  settings.nozzle_diameter = event.nozzle_diameter();
  settings.filament_diameter = event.filament_diameter();
  settings.bed_x = event.bed_x();
  settings.bed_y = event.bed_y();
  settings.bed_z = event.bed_z();
  settings.heated_bed = event.heated_bed();
  settings.heated_chamber = event.heated_chamber();
  settings.loaded_materials_json = text(event.loaded_materials_json());
}

void on_removed(MachineViewT& machine, const RecordedEvent& recorded) {
  machine.removed = true;
  machine.conditions.clear();
  if (!machine.settings) machine.settings = std::make_unique<schema::MachineSettingsT>();
  machine.settings->version = recorded.position.value;
  machine.settings->enabled = false;
}

void on_condition(MachineViewT& machine, const schema::MachineConditionChanged& event, int64_t observed_us) {
  const auto name = text(event.condition());
  if (!event.active()) {
    std::erase_if(machine.conditions, [&](const auto& condition) { return condition->condition == name; });
    return;
  }
  auto* condition = named_record(machine.conditions, &schema::ActiveConditionT::condition, name, kMaxConditions);
  if (condition == nullptr) return;
  condition->text = text(event.text());
  if (condition->since_us == 0) condition->since_us = observed_us;
}

void on_software(MachineViewT& machine, const schema::SoftwareIdentified& event) {
  if (!text(event.klipper_version()).empty()) machine.klipper_version = text(event.klipper_version());
  if (!text(event.moonraker_version()).empty()) machine.moonraker_version = text(event.moonraker_version());
  machine.firmware.clear();
  if (event.firmware() == nullptr) return;
  for (const schema::Firmware* firmware : *event.firmware()) {
    if (machine.firmware.size() >= kMaxFirmware) return;
    machine.firmware.push_back(std::make_unique<schema::FirmwareVersionT>());
    machine.firmware.back()->name = text(firmware->name());
    machine.firmware.back()->version = text(firmware->version());
    machine.firmware.back()->chip = text(firmware->chip());
  }
}

void on_filament(MachineViewT& machine, const schema::FilamentSensorChanged& event) {
  auto* sensor =
      named_record(machine.filament_sensors, &schema::FilamentSensorT::sensor, text(event.sensor()), kMaxSensors);
  if (sensor == nullptr) return;
  sensor->detected = event.detected();
  sensor->enabled = event.enabled();
}

void on_queue(MachineViewT& machine, const schema::JobQueueChanged& event) {
  machine.queue_state = text(event.state());
  machine.queue.clear();
  machine.queue_total = event.total();
  if (event.jobs() == nullptr) return;
  for (const schema::WaitingJob* job : *event.jobs()) {
    if (machine.queue.size() >= kMaxWaiting) break;
    machine.queue.push_back(std::make_unique<schema::WaitingJobT>());
    machine.queue.back()->id = text(job->id());
    machine.queue.back()->filename = text(job->filename());
    machine.queue.back()->added_us = job->added_us();
  }
  machine.queue_total = std::max(machine.queue_total, static_cast<uint32_t>(machine.queue.size()));
}

}  // namespace

bool fold_machine_fact(MachineViewT& machine, const RecordedEvent& recorded) {
  const Envelope& envelope = recorded.envelope;
  switch (envelope.type()) {
    case EventType::MachineConfigured:
      on_configured(machine, *envelope.as<schema::MachineConfigured>(), recorded);
      return true;
    case EventType::MachineRemoved:
      on_removed(machine, recorded);
      return true;
    case EventType::MachineConditionChanged:
      on_condition(machine, *envelope.as<schema::MachineConditionChanged>(), to_unix_us(envelope.observed_at()));
      return true;
    case EventType::MachineClockOff: {
      const auto& event = *envelope.as<schema::MachineClockOff>();
      machine.clock_skew_ms = event.active() ? flatbuffers::Optional<int64_t>(event.skew_ms()) : flatbuffers::nullopt;
      return true;
    }
    case EventType::SoftwareIdentified:
      on_software(machine, *envelope.as<schema::SoftwareIdentified>());
      return true;
    case EventType::PrinterConfigRead: {
      const auto sha256 = text(envelope.as<schema::PrinterConfigRead>()->sha256());
      if (sha256 == machine.printer_config_sha256) return true;  // the next piece of the same text
      machine.printer_config_sha256 = sha256;
      machine.printer_config_position = recorded.position.value;
      return true;
    }
    case EventType::MessageShown:
      machine.message = text(envelope.as<schema::MessageShown>()->text());
      return true;
    case EventType::FilamentSensorChanged:
      on_filament(machine, *envelope.as<schema::FilamentSensorChanged>());
      return true;
    case EventType::SpoolChanged:
      machine.spool_id = envelope.as<schema::SpoolChanged>()->spool_id();
      return true;
    case EventType::JobQueueChanged:
      on_queue(machine, *envelope.as<schema::JobQueueChanged>());
      return true;
    default:
      return false;
  }
}

schema::MachineConfiguredT configured_from(const MachineViewT& machine) {
  schema::MachineConfiguredT event;
  event.name = machine.name;
  event.kind = machine.kind;
  event.managed_by = machine.managed_by;
  event.enabled = true;
  event.authentication = "none";
  if (!machine.settings) return event;
  const auto& settings = *machine.settings;
  event.enabled = settings.enabled;
  event.moonraker_url = settings.moonraker_url;
  event.authentication = settings.authentication;
  event.tls_ca = settings.tls_ca;
  event.technology = settings.technology;
  event.make = settings.make;
  event.model = settings.model;
  event.location = settings.location;
  event.description = settings.description;
  event.nozzle_diameter = settings.nozzle_diameter;
  event.filament_diameter = settings.filament_diameter;
  event.bed_x = settings.bed_x;
  event.bed_y = settings.bed_y;
  event.bed_z = settings.bed_z;
  event.heated_bed = settings.heated_bed;
  event.heated_chamber = settings.heated_chamber;
  event.loaded_materials_json = settings.loaded_materials_json;
  return event;
}

}  // namespace millrace
