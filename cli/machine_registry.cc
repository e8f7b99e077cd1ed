// SPDX-License-Identifier: Apache-2.0
#include "cli/machine_registry.h"

#include <future>
#include <utility>

#include "bus/logging.h"
#include "projections/machine_facts.h"
#include "projections/machine_state.h"
#include "projections/record.h"

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kLook{200};
constexpr std::chrono::seconds kRetry{1};  // after the log refused

std::string authentication_of(const MachineConfig& machine) {
  if (!machine.moonraker_api_key.empty()) return "api_key";
  return machine.moonraker_username.empty() ? "none" : "login";
}

bool says_the_same(const schema::MachineConfiguredT& event, const schema::MachineViewT* known) {
  if (known == nullptr || !known->settings || known->removed) return false;
  const auto& settings = *known->settings;
  return event.name == known->name && event.kind == known->kind && event.managed_by == known->managed_by &&
         event.enabled == settings.enabled && event.moonraker_url == settings.moonraker_url &&
         event.authentication == settings.authentication && event.tls_ca == settings.tls_ca;
}

}  // namespace

std::vector<EventDraft> differences(const std::vector<MachineConfig>& of_file,
                                    const std::map<std::string, schema::MachineViewT>& machines, WallTime now) {
  std::vector<EventDraft> events;
  std::set<std::string> ids;
  for (const MachineConfig& machine : of_file) {
    ids.insert(machine.id);
    const auto found = machines.find(machine.id);
    const auto* known = found == machines.end() ? nullptr : &found->second;
    auto event = known == nullptr ? schema::MachineConfiguredT{} : configured_from(*known);
    event.name = machine.name;
    event.kind = machine.kind;
    event.managed_by = "config";
    event.enabled = machine.enabled;
    event.moonraker_url = machine.moonraker_url;
    event.authentication = authentication_of(machine);
    event.tls_ca = machine.moonraker_ca_file;
    if (!says_the_same(event, known)) events.push_back(draft_of(std::move(event), machine.id, now, now));
  }
  for (const auto& [id, machine] : machines) {
    if (ids.contains(id) || machine.removed || !machine.settings) continue;
    // Without an address it was never of this file, but of that of an adapters role elsewhere.
    if (machine.managed_by != "config" || !machine.settings->enabled || machine.settings->moonraker_url.empty())
      continue;
    auto event = configured_from(machine);
    event.enabled = false;
    events.push_back(draft_of(std::move(event), id, now, now));
  }
  return events;
}

MachineConfigPublisher::Entry entry_of(const schema::MachineViewT& machine, const ToldSafety& told) {
  MachineConfigPublisher::Entry entry;
  entry.id = machine.id;
  entry.version = std::max(machine.settings ? machine.settings->version : 0, told.version);
  if (machine.removed || entry.version == 0) return entry;
  MachineConnection connection;
  connection.id = machine.id;
  connection.name = machine.name;
  connection.kind = machine.kind;
  connection.managed_by = machine.managed_by;
  if (machine.settings) {
    const auto& settings = *machine.settings;
    connection.enabled = settings.enabled;
    connection.moonraker_url = settings.moonraker_url;
    connection.authentication = settings.authentication;
    connection.tls_ca = settings.tls_ca;
    if (settings.nozzle_diameter) connection.equipment.nozzle_diameter = *settings.nozzle_diameter;
    connection.equipment.loaded_materials = read_loaded_materials(settings.loaded_materials_json);
  }
  connection.version = entry.version;
  connection.safety = told.safety;
  entry.connection = std::move(connection);
  return entry;
}

MachineRegistry::MachineRegistry(const FileMachines& file, const EventLog& log, const ViewStore& views,
                                 const Projector& projector, MachineConfigPublisher& publisher,
                                 std::function<void(HubWrite)> submit, const Clock& clock)
    : file_(file),
      log_(log),
      views_(views),
      projector_(projector),
      publisher_(publisher),
      submit_(std::move(submit)),
      clock_(clock) {}

MachineRegistry::~MachineRegistry() { stop(); }

void MachineRegistry::start() {
  thread_ = std::thread([this] { run(); });
}

void MachineRegistry::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool MachineRegistry::stopping() {
  std::lock_guard lock(mutex_);
  return stopping_;
}

void MachineRegistry::file_changed() {
  {
    std::lock_guard lock(mutex_);
    file_changed_ = true;
  }
  wake_.notify_all();
}

// False when it is to stop.
bool MachineRegistry::wait_for_change() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return stopping_ || file_changed_; });
  file_changed_ = false;
  return !stopping_;
}

bool MachineRegistry::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [this] { return stopping_; });
}

void MachineRegistry::run() {
  if (!begin()) return;
  while (wait_for_change()) {
    while (!write_differences()) {
      if (!pause(kRetry)) return;
    }
  }
}

// False when it is to stop.
bool MachineRegistry::begin() {
  const Position end = log_.last();
  while (!projector_.wait_for(end, kLook)) {
    if (stopping()) return false;
  }
  while (!write_differences()) {
    if (!pause(kRetry)) return false;
  }
  publish_all();
  return true;
}

void MachineRegistry::publish_all() {
  const auto machines = read_machines(*views_.reader());
  if (!machines) return log_error("registry", "machines are not published: {}", machines.error().message());
  const auto reader = views_.reader();
  const auto safety = read_safety(*reader);
  const auto rules = read_rules(*reader);
  if (!safety || !rules) {
    const Error& error = safety ? rules.error() : safety.error();
    return log_error("registry", "machines are not published: {}", error.message());
  }
  std::vector<MachineConfigPublisher::Entry> entries;
  for (const auto& [id, machine] : *machines) {
    const auto found = safety->find(id);
    auto entry =
        entry_of(machine, told_safety(found == safety->end() ? schema::SafetyViewT{} : found->second, *rules, id));
    if (entry.version != 0) entries.push_back(std::move(entry));
  }
  if (on_entry) {
    for (const auto& entry : entries) on_entry(entry);
  }
  publisher_.begin(std::move(entries));
}

// False when it has to be tried again.
bool MachineRegistry::write_differences() {
  const auto machines = read_machines(*views_.reader());
  if (!machines) {
    log_warn("registry", "machines cannot be read: {}", machines.error().message());
    return false;
  }
  auto events = differences(file_.all(), *machines, clock_.wall());
  if (events.empty()) return true;
  const auto outcome = std::make_shared<std::promise<Result<Position>>>();
  auto written = outcome->get_future();
  submit_({std::move(events), {}, [outcome](const Result<Position>& position) { outcome->set_value(position); }});
  while (written.wait_for(kLook) != std::future_status::ready) {
    if (stopping()) return true;  // the recorder answers when it stops
  }
  const auto position = written.get();
  if (!position) {
    if (std::exchange(not_recorded_why_, position.error().code) != position.error().code) {
      log_warn("registry", "the configuration file's machines are not recorded yet: {}", position.error().message());
    }
    return false;
  }
  while (!projector_.wait_for(*position, kLook)) {
    if (stopping()) return true;
  }
  return true;
}

void MachineRegistry::on_applied(const AppliedGroup& group) {
  std::set<std::string> due;
  for (const ViewChange& change : group.changes) {
    if (change.value) note_changes(change, due);
  }
  if (!due.empty()) publish(due);
}

// Which machines have to be said anew.
void MachineRegistry::note_changes(const ViewChange& change, std::set<std::string>& due) {
  if (change.projection == kMachineStateView) {
    const auto machine = decode_record<schema::MachineView>(*change.value);
    if (!machine || !machine->settings) return;
    auto& version = versions_[machine->id];
    if (std::exchange(version, machine->settings->version) != machine->settings->version) due.insert(machine->id);
    return;
  }
  const auto key = change.projection == kSafetyView ? safety_key(change.key) : std::nullopt;
  if (!key) return;
  if (key->kind == 'm') {
    const auto safety = decode_record<schema::SafetyView>(*change.value);
    if (!safety) return;
    auto& version = limits_versions_[safety->machine];
    if (std::exchange(version, safety->limits_version) != safety->limits_version) due.insert(safety->machine);
  } else if (key->kind == 'r') {
    const std::string machine(key->rest.substr(0, key->rest.find('/')));
    if (!machine.empty()) {
      due.insert(machine);
    } else if (const auto machines = read_machines(*views_.reader())) {
      for (const auto& [id, unused] : *machines) due.insert(id);
    }
  }
}

void MachineRegistry::publish(const std::set<std::string>& machines) {
  const auto reader = views_.reader();
  const auto rules = read_rules(*reader);
  for (const std::string& id : machines) {
    const auto machine = find_machine(*reader, id);
    const auto safety = find_safety(*reader, id);
    if (!machine || !safety || !rules) {
      log_warn("registry", "what changed of machine '{}' is not published: the views cannot be read", id);
      continue;
    }
    if (!*machine) continue;
    auto entry = entry_of(**machine, told_safety(*safety, *rules, id));
    if (entry.version == 0) continue;
    if (on_entry) on_entry(entry);
    publisher_.changed(std::move(entry));
  }
}

}  // namespace millrace
