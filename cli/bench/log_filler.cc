// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/log_filler.h"

#include <fmt/format.h>

#include "bus/event_log.h"
#include "cli/bench/harness.h"

namespace millrace {
namespace {

constexpr uint64_t kMachines = 8;
constexpr uint64_t kEventsPerGroup = 1024;
constexpr uint64_t kProgressPerJob = 20;

// One machine's events in order.
class MachineStory {
 public:
  MachineStory(uint64_t index, uint64_t fact_percent)
      : index_(index), id_(fmt::format("machine-{}", index)), fact_percent_(fact_percent) {}

  Envelope next(uint64_t size, WallTime now) {
    sequence_ += 1;
    return Envelope::build({id_, 1, sequence_}, draft(size, now)).value();
  }
  ProducerMark mark() const { return {id_, {1, sequence_}}; }

 private:
  EventDraft draft(uint64_t size, WallTime now) {
    if (sequence_ == 1) return draft_of(schema::EpochOpenedT{}, id_, now);
    due_ += fact_percent_;
    if (due_ < 100) return event_of_size(size, sequence_ * kMachines + index_, id_, now);
    due_ -= 100;
    return fact(now);
  }

  // A job starts, tells its progress, and is completed.
  EventDraft fact(WallTime now) {
    const uint64_t step = facts_++ % (kProgressPerJob + 2);
    if (step == 0) job_start_us_ = to_unix_us(now) + static_cast<int64_t>(facts_);
    const std::string job = fmt::format("{}.{}", id_, job_start_us_);
    if (step == 0) {
      schema::JobStartedT started;
      started.job_id = job;
      started.start_us = job_start_us_;
      started.filename = fmt::format("plates/bracket_{}.gcode", facts_);
      return draft_of(std::move(started), id_, now, now);
    }
    if (step <= kProgressPerJob) {
      schema::JobProgressedT progressed;
      progressed.job_id = job;
      progressed.progress = static_cast<double>(step) / kProgressPerJob;
      progressed.layer = static_cast<int32_t>(step * 10);
      progressed.total_layers = static_cast<int32_t>(kProgressPerJob * 10);
      progressed.print_duration = static_cast<double>(step) * 60;
      return draft_of(std::move(progressed), id_, now, now);
    }
    schema::JobFinishedT finished;
    finished.job_id = job;
    finished.start_us = job_start_us_;
    finished.end_us = to_unix_us(now);
    finished.outcome = schema::JobOutcome::completed;
    finished.cause = "completed";
    finished.evidence = schema::JobEvidence::observed;
    return draft_of(std::move(finished), id_, now, now);
  }

  const uint64_t index_;
  const std::string id_;
  const uint64_t fact_percent_;
  uint64_t sequence_ = 0;
  uint64_t due_ = 0;
  uint64_t facts_ = 0;
  int64_t job_start_us_ = 0;
};

}  // namespace

Result<void> fill_log(const std::filesystem::path& directory, const LogMix& mix, const Clock& clock,
                      const std::function<void(const Envelope&)>& each) {
  auto log = open_rocksdb_event_log(directory, clock);
  if (!log) return log.error();
  std::vector<MachineStory> machines;
  for (uint64_t i = 0; i < kMachines; ++i) machines.emplace_back(i, mix.fact_percent);
  for (uint64_t written = 0; written < mix.events;) {
    std::vector<Envelope> events;
    for (; events.size() < kEventsPerGroup && written < mix.events; ++written) {
      events.push_back(machines[written % kMachines].next(mix.size, clock.wall()));
    }
    std::vector<ProducerMark> marks;
    for (const MachineStory& machine : machines) {
      if (machine.mark().order.sequence > 0) marks.push_back(machine.mark());
    }
    if (auto commit = (*log)->append({events, marks, clock.wall()}); !commit) return commit.error();
    if (!each) continue;
    for (const Envelope& event : events) each(event);
  }
  return {};
}

}  // namespace millrace
