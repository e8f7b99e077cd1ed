// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bus/events.h"
#include "bus/sensor_names.h"
#include "projections/machine_state.h"
#include "safety/value_age.h"
#include "web/edge/shown_json.h"

namespace millrace {
namespace {

using schema::MachineViewT;
using schema::ObservedObjectT;

constexpr uint32_t bit_of(ValueCategory category) { return uint32_t{1} << static_cast<unsigned>(category); }
// To the millisecond.
double seconds_of(Micros time) { return std::round(static_cast<double>(time.count()) / 1e3) / 1e3; }

void write_number(JsonWriter& json, std::string_view name, const double* number) {
  json.key(name);
  number == nullptr ? json.null() : json.value(*number);
}

const ObservedObjectT* object_named(const MachineViewT& machine, std::string_view name) {
  for (const auto& object : machine.objects) {
    if (object->name == name) return object.get();
  }
  return nullptr;
}

// Of one of Klipper's objects: what a value that nobody confirms any more is worth.
void write_age(JsonWriter& json, const MachineViewT& machine, std::string_view object, const ShownAt& at) {
  if (is_sensor_object(object)) return;  // it has a source of its own
  const auto age = age_of_values(machine, at);
  json.key("age");
  age ? json.value(seconds_of(*age)) : json.null();
  json.field("stale", (stale_categories(machine, at) & bit_of(category_of(object))) != 0);
}

// The last values stay; this says whether they still hold.
void write_values(JsonWriter& json, const MachineViewT& machine, const ShownAt& at) {
  const auto age = age_of_values(machine, at);
  json.key("values").object();
  write_time(json, "confirmed_at", values_confirmed_us(machine));
  json.key("age");
  age ? json.value(seconds_of(*age)) : json.null();
  json.key("stale").array();
  const uint32_t stale = stale_categories(machine, at);
  for (const ValueCategoryRow& row : value_categories()) {
    if ((stale & bit_of(row.category)) != 0) json.value(row.name);
  }
  json.end().end();
}

void write_temperatures(JsonWriter& json, const MachineViewT& machine, const ShownAt& at) {
  json.key("temperatures").object();
  for (const auto& object : machine.objects) {
    if (value_of(*object, "temperature") == nullptr) continue;
    json.key(object->name).object();
    write_number(json, "value", value_of(*object, "temperature"));
    write_number(json, "target", value_of(*object, "target"));
    write_number(json, "power", value_of(*object, "power"));
    write_time(json, "observed_at", object->observed_at_us);
    write_age(json, machine, object->name, at);
    json.end();
  }
  json.end();
}

// Klipper names its fans "fan", "heater_fan x", "controller_fan x", "fan_generic x" and "temperature_fan x".
bool is_fan(std::string_view name) {
  const std::string_view kind = name.substr(0, name.find(' '));
  return kind == "fan" || kind == "fan_generic" || kind.ends_with("_fan");
}

void write_fans(JsonWriter& json, const MachineViewT& machine, const ShownAt& at) {
  json.key("fans").object();
  for (const auto& object : machine.objects) {
    if (!is_fan(object->name) || value_of(*object, "speed") == nullptr) continue;
    json.key(object->name).object();
    write_number(json, "speed", value_of(*object, "speed"));
    write_number(json, "rpm", value_of(*object, "rpm"));
    write_time(json, "observed_at", object->observed_at_us);
    write_age(json, machine, object->name, at);
    json.end();
  }
  json.end();
}

void write_toolhead(JsonWriter& json, const MachineViewT& machine, const ShownAt& at) {
  const ObservedObjectT* toolhead = object_named(machine, "toolhead");
  json.key("toolhead");
  if (toolhead == nullptr) {
    json.null();
    return;
  }
  json.object();
  write_number(json, "x", value_of(*toolhead, "position.x"));
  write_number(json, "y", value_of(*toolhead, "position.y"));
  write_number(json, "z", value_of(*toolhead, "position.z"));
  write_number(json, "e", value_of(*toolhead, "position.e"));
  write_time(json, "observed_at", toolhead->observed_at_us);
  write_age(json, machine, toolhead->name, at);
  json.end();
}

void write_speed(JsonWriter& json, const MachineViewT& machine) {
  const ObservedObjectT* move = object_named(machine, "gcode_move");
  json.key("speed_factor");
  const double* speed = move == nullptr ? nullptr : value_of(*move, "speed_factor");
  speed == nullptr ? json.null() : json.value(*speed);
  json.key("extrude_factor");
  const double* extrude = move == nullptr ? nullptr : value_of(*move, "extrude_factor");
  extrude == nullptr ? json.null() : json.value(*extrude);
}

void write_current_job(JsonWriter& json, const schema::CurrentJobT* job) {
  json.key("job");
  if (job == nullptr) {
    json.null();
    return;
  }
  json.object().field("id", job->id);
  json.text_or_null("filename", job->filename);
  json.field("outcome", schema::EnumNameJobOutcome(job->outcome));
  json.text_or_null("cause", job->cause);
  json.text_or_null("text", job->text);
  json.field("paused", job->paused);
  json.text_or_null("pause_cause", job->paused ? std::string_view(job->pause_cause) : std::string_view());
  json.field("progress", job->progress).field("layer", job->layer).field("total_layers", job->total_layers);
  write_time(json, "started_at", job->started_at_us);
  write_time(json, "ended_at", job->ended_at_us);
  json.field("total_duration", job->total_duration).field("print_duration", job->print_duration);
  json.field("filament_used", job->filament_used);
  json.field("objects_excluded", job->objects_excluded).field("objects_total", job->objects_total);
  json.end();
}

void write_conditions(JsonWriter& json, const MachineViewT& machine) {
  json.key("conditions").array();
  for (const auto& condition : machine.conditions) {
    json.object().field("condition", condition->condition);
    json.text_or_null("text", condition->text);
    write_time(json, "since", condition->since_us);
    json.end();
  }
  json.end();
}

void write_software(JsonWriter& json, const MachineViewT& machine) {
  json.key("firmware").array();
  for (const auto& firmware : machine.firmware) {
    json.object().field("name", firmware->name).field("version", firmware->version);
    json.text_or_null("chip", firmware->chip);
    json.end();
  }
  json.end();
  json.text_or_null("printer_config_sha256", machine.printer_config_sha256);
  json.key("printer_config_position");
  machine.printer_config_position == 0 ? json.null() : json.value(machine.printer_config_position);
  json.text_or_null("message", machine.message);
  json.key("filament_sensors").object();
  for (const auto& sensor : machine.filament_sensors) {
    json.key(sensor->sensor).object().field("detected", sensor->detected).field("enabled", sensor->enabled).end();
  }
  json.end();
  json.field("spool_id", machine.spool_id).field("clock_skew_ms", machine.clock_skew_ms);
}

// What waits in Moonraker's queue, the first ones.
void write_queue(JsonWriter& json, const MachineViewT& machine) {
  json.key("queue").object();
  json.text_or_null("state", machine.queue_state);
  json.field("total", static_cast<int64_t>(machine.queue_total)).key("jobs").array();
  for (const auto& job : machine.queue) {
    json.object().field("id", job->id).field("filename", job->filename);
    write_time(json, "added_at", job->added_us);
    json.end();
  }
  json.end().end();
}

// What people have said about it; null where nobody has.
void write_settings(JsonWriter& json, const schema::MachineSettingsT* settings) {
  const schema::MachineSettingsT none;
  const bool known = settings != nullptr;
  if (!known) settings = &none;
  json.text_or_null("moonraker_url", settings->moonraker_url);
  json.text_or_null("authentication", settings->authentication);
  json.field("has_api_key", settings->authentication == "api_key");
  json.text_or_null("tls_ca", settings->tls_ca);
  json.text_or_null("technology", settings->technology);
  json.text_or_null("make", settings->make);
  json.text_or_null("model", settings->model);
  json.text_or_null("location", settings->location);
  json.text_or_null("description", settings->description);
  json.field("nozzle_diameter", settings->nozzle_diameter).field("filament_diameter", settings->filament_diameter);
  json.field("bed_x", settings->bed_x).field("bed_y", settings->bed_y).field("bed_z", settings->bed_z);
  json.field("heated_bed", settings->heated_bed).field("heated_chamber", settings->heated_chamber);
  json.key("loaded_materials");
  settings->loaded_materials_json.empty() ? json.null() : json.raw(settings->loaded_materials_json);
  write_time(json, "configured_at", settings->configured_us);
}

void write_recent(JsonWriter& json, const MachineViewT& machine) {
  json.key("recent_events").array();
  for (auto event = machine.recent.rbegin(); event != machine.recent.rend(); ++event) {
    json.object().field("position", (*event)->position);
    json.field("type", name_of(static_cast<EventType>((*event)->type)));
    write_time(json, "observed_at", (*event)->observed_at_us);
    json.end();
  }
  json.end();
}

}  // namespace

const double* value_of(const ObservedObjectT& object, std::string_view field) {
  for (const auto& value : object.values) {
    if (value->field == field) return &value->value;
  }
  return nullptr;
}

void write_time(JsonWriter& json, std::string_view name, int64_t unix_us) {
  json.key(name);
  unix_us == 0 ? json.null() : json.value(to_rfc3339(from_unix_us(unix_us)));
}

// By the hub's clock on both sides: an adapter whose clock is wrong would otherwise always or never be stale.
bool is_stale(const MachineViewT& machine, const ShownAt& at) {
  return !machine.link_up || at.now - from_unix_us(machine.last_recorded_us) > at.stale_after;
}

std::optional<Micros> age_of_values(const MachineViewT& machine, const ShownAt& at) {
  const int64_t confirmed_us = values_confirmed_us(machine);
  if (confirmed_us == 0) return std::nullopt;
  return std::max(Micros(0), std::chrono::duration_cast<Micros>(at.now - from_unix_us(confirmed_us)));
}

uint32_t stale_categories(const MachineViewT& machine, const ShownAt& at) {
  const auto age = age_of_values(machine, at);
  const bool subscribed = is_subscribed(machine);
  uint32_t stale = 0;
  for (const ValueCategoryRow& row : value_categories()) {
    if (!age || is_stale(row.category, *age, subscribed)) stale |= bit_of(row.category);
  }
  return stale;
}

void write_machine(JsonWriter& json, const MachineViewT& machine, const MachineSafetyState* safety, const ShownAt& at) {
  const bool running = machine.job && machine.job->outcome == schema::JobOutcome::running;
  json.object().field("id", machine.id).field("name", machine.name).field("kind", machine.kind);
  json.text_or_null("managed_by", machine.managed_by);
  json.field("enabled", !machine.settings || machine.settings->enabled);
  json.field("connection", connection_of(machine));
  json.field("state", schema::EnumNameMachineState(shown_state(machine))).field("state_text", machine.state_text);
  json.text_or_null("klipper_state", machine.klipper_state);
  json.text_or_null("print_state", machine.print_state);
  json.key("state_version");
  machine.state_sequence == 0 ? json.null()
                              : json.value(fmt::format("{}-{}", machine.state_epoch, machine.state_sequence));
  write_time(json, "state_since", machine.state_since_us);
  write_current_job(json, machine.job.get());
  json.key("progress");
  running ? json.value(machine.job->progress) : json.null();
  write_temperatures(json, machine, at);
  write_fans(json, machine, at);
  write_toolhead(json, machine, at);
  write_speed(json, machine);
  json.text_or_null("moonraker_version", machine.moonraker_version);
  json.text_or_null("klipper_version", machine.klipper_version);
  json.text_or_null("hostname", machine.hostname);
  write_time(json, "connected_since", machine.link_up ? machine.connected_since_us : 0);
  write_time(json, "disconnected_since", machine.disconnected_since_us);
  json.text_or_null("disconnect_reason", machine.disconnect_reason);
  json.text_or_null("disconnect_text", machine.disconnect_text);
  write_conditions(json, machine);
  write_safety_of_machine(json, safety, at);
  write_software(json, machine);
  write_queue(json, machine);
  write_settings(json, machine.settings.get());
  write_recent(json, machine);
  json.field("last_position", machine.last_position);
  write_time(json, "updated_at", machine.last_observed_us);
  write_time(json, "recorded_at", machine.last_recorded_us);
  write_values(json, machine, at);
  json.field("stale", is_stale(machine, at)).end();
}

}  // namespace millrace
