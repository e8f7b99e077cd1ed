// SPDX-License-Identifier: Apache-2.0
#include "web/edge/live_state.h"

#include <algorithm>

#include "projections/checkpoint.h"
#include "projections/job_history.h"
#include "projections/machine_state.h"
#include "projections/record.h"
#include "projections/registry.h"
#include "projections/safety_state.h"
#include "web/edge/safety_json.h"

namespace millrace {
namespace {

bool newer(const schema::JobViewT& a, const schema::JobViewT& b) {
  return a.order_us != b.order_us ? a.order_us > b.order_us : a.id < b.id;
}

}  // namespace

Result<LiveState> LiveState::read(const ViewReader& reader) {
  LiveState state;
  auto machines = read_machines(reader);
  if (!machines) return machines.error();
  std::erase_if(*machines, [](const auto& entry) { return entry.second.removed; });
  state.machines_ = std::move(*machines);
  auto safety = read_safety_states(reader);
  if (!safety) return safety.error();
  state.safety_ = std::move(*safety);
  JobQuery newest;
  newest.limit = kKeptJobs;
  auto jobs = list_jobs(reader, newest);
  if (!jobs) return jobs.error();
  state.jobs_ = std::move(jobs->jobs);
  bool first = true;
  for (const std::string& name : projection_names()) {
    const auto checkpoint = read_checkpoint(reader, name);
    if (!checkpoint) return checkpoint.error();
    const Position position = *checkpoint ? (*checkpoint)->position : Position{0};
    state.position_ = first ? position : std::min(state.position_, position);
    first = false;
  }
  return state;
}

LiveState::Changes LiveState::apply(const AppliedGroup& group) {
  Changes changes;
  if (group.position <= position_) return changes;
  position_ = group.position;
  for (const ViewChange& change : group.changes) {
    if (change.projection == kMachineStateView && change.value) {
      auto machine = decode_record<schema::MachineView>(*change.value);
      if (!machine) continue;
      if (machine->removed) {
        if (machines_.erase(change.key) > 0) changes.removed_machines.insert(change.key);
        stale_.erase(change.key);
        continue;
      }
      machines_.insert_or_assign(change.key, std::move(*machine));
      changes.machines.insert(change.key);
    } else if (change.projection == kSafetyView) {
      apply_safety(change.key, change.value.get(), changes);
    } else if (change.projection == kJobHistoryView) {
      apply_job(job_id_of_key(change.key), change.value.get(), changes);
    }
  }
  return changes;
}

void LiveState::apply_safety(const std::string& key, const std::string* value, Changes& changes) {
  const auto about = safety_key(key);
  if (!about || value == nullptr) return;
  std::string id;
  if (about->kind == 'm') {
    auto view = decode_record<schema::SafetyView>(*value);
    if (!view) return;
    id = view->machine;
    safety_[id].view = std::move(*view);
  } else if (about->kind == 'a') {
    auto alarm = decode_record<schema::AlarmView>(*value);
    if (!alarm) return;
    id = alarm->machine;
    auto& alarms = safety_[id].alarms;
    if (alarm->active) {
      alarms.insert_or_assign(alarm->id, std::move(*alarm));
    } else {
      alarms.erase(alarm->id);
    }
  }
  if (machines_.contains(id)) changes.machines.insert(id);
}

const MachineSafetyState* LiveState::safety_of(const std::string& id) const {
  const auto found = safety_.find(id);
  return found == safety_.end() ? nullptr : &found->second;
}

void LiveState::apply_job(std::string_view id, const std::string* value, Changes& changes) {
  std::erase_if(jobs_, [&](const schema::JobViewT& job) { return job.id == id; });
  if (value == nullptr) {
    changes.removed_jobs.emplace(id);
    return;
  }
  auto job = decode_job(*value);
  if (!job) return;
  if (job->hidden) {
    changes.removed_jobs.emplace(id);
    return;
  }
  const auto place = std::lower_bound(jobs_.begin(), jobs_.end(), *job, newer);
  const bool among_newest = static_cast<size_t>(place - jobs_.begin()) < kShownJobs;
  jobs_.insert(place, std::move(*job));
  if (jobs_.size() > kKeptJobs) jobs_.pop_back();
  if (among_newest) changes.jobs.emplace(id);
}

std::set<std::string> LiveState::newly_stale_or_fresh(const ShownAt& at) {
  constexpr uint32_t kMachine = 1u << 31;  // beside the bits of categories
  std::set<std::string> differ;
  for (const auto& [id, machine] : machines_) {
    const uint32_t now = stale_categories(machine, at) | (is_stale(machine, at) ? kMachine : 0);
    const auto told = stale_.find(id);
    if (now == (told == stale_.end() ? 0 : told->second)) continue;
    differ.insert(id);
    if (now == 0) {
      stale_.erase(id);
    } else {
      stale_[id] = now;
    }
  }
  return differ;
}

const schema::JobViewT* LiveState::job(const std::string& id) const {
  const auto found =
      std::find_if(jobs_.begin(), jobs_.end(), [&](const schema::JobViewT& candidate) { return candidate.id == id; });
  return found == jobs_.end() ? nullptr : &*found;
}

const schema::MachineViewT* LiveState::machine_or_first(const std::string& id) const {
  const auto found = id.empty() ? machines_.begin() : machines_.find(id);
  return found == machines_.end() ? nullptr : &found->second;
}

std::string LiveState::snapshot_json(std::string_view incarnation, const ShownAt& at) const {
  JsonWriter json;
  json.object().field("type", "snapshot").field("position", position_.value).field("incarnation", incarnation);
  json.field("time", to_rfc3339(at.now));
  json.key("machines").array();
  for (const auto& [id, machine] : machines_) write_machine(json, machine, safety_of(id), at);
  json.end().key("jobs").array();
  for (size_t i = 0; i < std::min(jobs_.size(), kShownJobs); ++i) write_job(json, jobs_[i]);
  json.end().end();
  return json.take();
}

std::string LiveState::delta_json(const Changes& changes, const ShownAt& at) const {
  JsonWriter json;
  json.object().field("type", "delta").field("position", position_.value).key("machines").array();
  for (const std::string& id : changes.machines) {
    if (const auto found = machines_.find(id); found != machines_.end())
      write_machine(json, found->second, safety_of(id), at);
  }
  json.end().key("jobs").array();
  for (const std::string& id : changes.jobs) {
    if (const schema::JobViewT* found = job(id)) write_job(json, *found);
  }
  json.end().key("removed_machines").array();
  for (const std::string& id : changes.removed_machines) json.value(id);
  json.end().key("removed_jobs").array();
  for (const std::string& id : changes.removed_jobs) json.value(id);
  json.end().end();
  return json.take();
}

}  // namespace millrace
