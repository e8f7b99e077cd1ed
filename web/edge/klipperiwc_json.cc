// SPDX-License-Identifier: Apache-2.0
#include "web/edge/klipperiwc_json.h"

#include "projections/machine_state.h"

namespace millrace {
namespace {

using schema::MachineState;
using schema::MachineViewT;

bool is_running(const MachineViewT& machine) {
  return machine.job && machine.job->outcome == schema::JobOutcome::running;
}

// From the share that is done and the time that it took.  0: cannot be said.
int64_t estimated_end_us(const schema::CurrentJobT& job, const ShownAt& at) {
  constexpr double kTooEarly = 0.01;
  if (!job.progress || *job.progress < kTooEarly || !job.print_duration || *job.print_duration <= 0) return 0;
  const double left = *job.print_duration * (1 - *job.progress) / *job.progress;
  return to_unix_us(at.now) + static_cast<int64_t>(left * 1e6);
}

void write_job_summary(JsonWriter& json, const schema::CurrentJobT& job, const ShownAt& at) {
  json.object().field("id", job.id).field("name", job.filename).field("progress", job.progress.value_or(0.0));
  json.field("status", "running");
  write_time(json, "started_at", job.started_at_us);
  write_time(json, "estimated_completion", job.paused ? 0 : estimated_end_us(job, at));
  json.end();
}

void write_waiting(JsonWriter& json, const MachineViewT& machine) {
  for (const auto& job : machine.queue) {
    json.object().field("id", job->id).field("name", job->filename).field("progress", 0.0).field("status", "queued");
    json.key("started_at").null().key("estimated_completion").null().end();
  }
}

}  // namespace

std::string_view klipperiwc_state(const MachineViewT& machine) {
  switch (shown_state(machine)) {
    case MachineState::printing:
    case MachineState::paused:
    case MachineState::running:
      return "printing";
    case MachineState::error:
    case MachineState::shutdown:
      return "error";
    case MachineState::ready:
    case MachineState::starting:
      return "idle";
    default:
      return "offline";
  }
}

void write_klipperiwc_temperatures(JsonWriter& json, const MachineViewT& machine) {
  json.array();
  for (const auto& object : machine.objects) {
    const double* actual = value_of(*object, "temperature");
    if (actual == nullptr) continue;
    const double* target = value_of(*object, "target");
    json.object().field("component", object->name).field("actual", *actual).key("target");
    target == nullptr ? json.null() : json.value(*target);
    write_time(json, "timestamp", object->observed_at_us);
    json.end();
  }
  json.end();
}

void write_klipperiwc_jobs(JsonWriter& json, const MachineViewT& machine, const ShownAt& at) {
  json.array();
  if (is_running(machine)) write_job_summary(json, *machine.job, at);
  write_waiting(json, machine);
  json.end();
}

void write_klipperiwc_status(JsonWriter& json, const MachineViewT& machine, const ShownAt& at) {
  json.object().field("state", klipperiwc_state(machine)).text_or_null("message", machine.state_text);
  json.key("uptime_seconds");
  const bool up = machine.link_up && machine.connected_since_us > 0;
  // Whole seconds, as the older table has them.
  up ? json.value(std::max<int64_t>(0, (to_unix_us(at.now) - machine.connected_since_us) / 1'000'000)) : json.null();
  json.key("active_job");
  is_running(machine) ? write_job_summary(json, *machine.job, at) : static_cast<void>(json.null());
  json.key("queued_jobs").array();
  write_waiting(json, machine);
  json.end();
  json.key("temperatures");
  write_klipperiwc_temperatures(json, machine);
  json.end();
}

std::string klipperiwc_message(const MachineViewT& machine, const ShownAt& at) {
  JsonWriter json;
  json.object().field("type", "status").key("payload");
  write_klipperiwc_status(json, machine, at);
  json.end();
  return json.take();
}

}  // namespace millrace
