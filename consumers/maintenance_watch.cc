// SPDX-License-Identifier: Apache-2.0
#include "consumers/maintenance_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "bus/event_log.h"
#include "bus/logging.h"

namespace millrace {
namespace {

EventDraft told(const MaintenanceStanding& standing, WallTime now) {
  schema::MaintenanceDueT event;
  event.task_id = standing.task_id;
  event.due = standing.due;
  event.hours = standing.hours;
  event.filament_m = standing.filament_m;
  event.starts = standing.starts;
  event.days = standing.days;
  return draft_of(std::move(event), standing.machine, now);
}

}  // namespace

MaintenanceWatch::MaintenanceWatch(MaintenanceWatchOptions options, Look look, std::function<void(HubWrite)> submit,
                                   const Clock& clock, Metrics& metrics)
    : options_(options),
      look_(std::move(look)),
      submit_(std::move(submit)),
      clock_(clock),
      due_(metrics.gauge("millrace_maintenance_due_tasks", "Maintenance tasks that are due, of all machines")) {}

MaintenanceWatch::~MaintenanceWatch() { stop(); }

void MaintenanceWatch::start() {
  thread_.start(options_.interval, [this] {
    const auto changes = run_once();
    if (!changes) log_warn("maintenance", "what is due is not told for now: {}", changes.error().message());
  });
}

void MaintenanceWatch::stop() { thread_.stop(); }

Result<size_t> MaintenanceWatch::run_once() {
  const WallTime now = clock_.wall();
  const auto standings = look_(now);
  if (!standings) return standings.error();
  due_.set(static_cast<double>(std::ranges::count_if(*standings, &MaintenanceStanding::due)));
  std::vector<EventDraft> events;
  std::vector<std::string> said;
  for (const MaintenanceStanding& standing : *standings) {
    // What finds no room in one group is told at the next look.
    if (standing.due == standing.told_due || events.size() == EventLog::kMaxGroupEvents) continue;
    events.push_back(told(standing, now));
    said.push_back(
        fmt::format("'{}' of {} is {}", standing.title, standing.machine, standing.due ? "due" : "not due any more"));
  }
  const size_t changes = events.size();
  if (changes == 0) return changes;
  std::promise<Result<Position>> written;
  submit_(
      {std::move(events), std::nullopt, [&written](const Result<Position>& outcome) { written.set_value(outcome); }});
  const auto outcome = written.get_future().get();
  if (!outcome) return outcome.error();
  for (const std::string& change : said) log_info("maintenance", "{}", change);
  return changes;
}

}  // namespace millrace
