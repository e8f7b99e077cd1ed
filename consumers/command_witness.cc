// SPDX-License-Identifier: Apache-2.0
#include "consumers/command_witness.h"

#include <future>
#include <vector>

#include "bus/ids.h"
#include "bus/logging.h"

namespace millrace {
namespace {

constexpr size_t kMaxEndsAtOnce = 256;  // the rest is told at the next look

}  // namespace

CommandWitness::CommandWitness(CommandWitnessOptions options, std::function<void(HubWrite)> submit, const Clock& clock,
                               Metrics& metrics)
    : options_(options),
      submit_(std::move(submit)),
      clock_(clock),
      expired_(metrics.counter("millrace_commands_witnessed_total", "Commands whose end the hub told",
                               {{"end", "expired"}})),
      not_confirmed_(metrics.counter("millrace_commands_witnessed_total", "Commands whose end the hub told",
                                     {{"end", "not_confirmed"}})),
      unwatched_(metrics.counter("millrace_commands_unwatched_total", "Commands too many for the witness")),
      open_(metrics.gauge("millrace_commands_open", "Commands that have not ended")) {}

CommandWitness::~CommandWitness() { stop(); }

void CommandWitness::start() {
  thread_.start(options_.interval, [this] { run_once(); });
}

void CommandWitness::stop() { thread_.stop(); }

void CommandWitness::saw(CommandStanding standing) {
  std::lock_guard lock(mutex_);
  const auto known = watched_.find(standing.id);
  if (standing.stage == CommandStanding::Stage::kEnded) {
    if (known != watched_.end()) watched_.erase(known);
  } else if (known == watched_.end()) {
    if (watched_.size() >= options_.max_watched) return unwatched_.add();
    const std::string id = standing.id;
    watched_.emplace(id, Watched{std::move(standing), clock_.monotonic()});
  } else if (known->second.standing.stage != standing.stage) {
    known->second = {std::move(standing), clock_.monotonic()};
  }
  open_.set(static_cast<double>(watched_.size()));
}

EventDraft CommandWitness::end_of(const Watched& watched) const {
  const CommandStanding& standing = watched.standing;
  const WallTime now = clock_.wall();
  EventDraft event;
  if (standing.stage == CommandStanding::Stage::kRequested) {
    schema::CommandExpiredT expired;
    expired.command_id = standing.id;
    expired.command = standing.command;
    expired.waited_us = (clock_.monotonic() - watched.since).count();
    event = draft_of(std::move(expired), standing.machine, now);
  } else {
    schema::CommandNotConfirmedT unknown;
    unknown.command_id = standing.id;
    unknown.command = standing.command;
    unknown.text = "it was handed to the machine's adapter, and no end of it was heard";
    event = draft_of(std::move(unknown), standing.machine, now);
  }
  event.actor = kHubProducer;
  event.correlation = standing.id;
  return event;
}

size_t CommandWitness::run_once() {
  std::vector<EventDraft> ends;
  size_t expired = 0;
  {
    std::lock_guard lock(mutex_);
    const MonotonicTime now = clock_.monotonic();
    for (const auto& [id, watched] : watched_) {
      const bool taken = watched.standing.stage == CommandStanding::Stage::kTaken;
      const auto own = std::chrono::duration_cast<Micros>(std::chrono::duration<double>(watched.standing.expires_in_s));
      const Micros allowed = taken ? Micros(options_.taken_max) : own + options_.grace;
      if (now - watched.since < allowed || ends.size() == kMaxEndsAtOnce) continue;
      ends.push_back(end_of(watched));
      expired += taken ? 0 : 1;
    }
  }
  if (ends.empty()) return 0;
  const size_t count = ends.size();
  std::vector<std::string> told;
  for (const EventDraft& end : ends) told.push_back(end.correlation);
  std::promise<Result<Position>> written;
  submit_({std::move(ends), {}, [&written](const Result<Position>& outcome) { written.set_value(outcome); }});
  if (const auto outcome = written.get_future().get(); !outcome) {
    log_warn("witness", "{} ends of commands are told later: {}", count, outcome.error().message());
    return 0;
  }
  {
    std::lock_guard lock(mutex_);
    for (const std::string& id : told) watched_.erase(id);
    open_.set(static_cast<double>(watched_.size()));
  }
  expired_.add(static_cast<double>(expired));
  not_confirmed_.add(static_cast<double>(count - expired));
  return count;
}

}  // namespace millrace
