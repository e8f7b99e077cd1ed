// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/job_queue.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/json_writer.h"

namespace millrace {
namespace {

void write_jobs(JsonWriter& json, const std::vector<QueuedJob>& jobs, double wall_now) {
  json.array();
  for (const QueuedJob& job : jobs) {
    json.object().field("filename", job.filename).field("job_id", job.id).field("time_added", job.added_at);
    json.field("time_in_queue", std::max(0.0, wall_now - job.added_at)).end();
  }
  json.end();
}

}  // namespace

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

void SimulatedJobQueue::add(std::string_view paths, double wall_now) {
  for (const std::string_view path : lines_of(paths)) {
    jobs_.push_back({fmt::format("{:016X}", next_id_++), std::string(path), wall_now});
  }
}

void SimulatedJobQueue::remove(std::string_view ids, bool all) {
  std::erase_if(jobs_, [&](const QueuedJob& job) { return all || ids.find(job.id) != std::string_view::npos; });
}

void SimulatedJobQueue::start() {
  if (state_ == "paused") state_ = "ready";
}

QueuedJob SimulatedJobQueue::take() {
  QueuedJob job = std::move(jobs_.front());
  jobs_.erase(jobs_.begin());
  state_ = "loading";
  return job;
}

std::string SimulatedJobQueue::change_json(std::string_view action) const {
  JsonWriter json;
  json.object().field("action", action).key("updated_queue");
  action == "state_changed" ? static_cast<void>(json.null()) : write_jobs(json, jobs_, 0);
  json.field("queue_state", state_).end();
  return json.take();
}

std::string SimulatedJobQueue::status_json(double wall_now) const {
  JsonWriter json;
  json.object().key("queued_jobs");
  write_jobs(json, jobs_, wall_now);
  json.field("queue_state", state_).end();
  return json.take();
}

}  // namespace millrace
