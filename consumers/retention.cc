// SPDX-License-Identifier: Apache-2.0
#include "consumers/retention.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <limits>

#include "bus/logging.h"

namespace millrace {
namespace {

constexpr size_t kPage = 4096;
constexpr std::chrono::seconds kShortestPiece{60};
// Where a process that starts looks for what held when the last one stopped.
constexpr std::chrono::hours kRecall{48};

}  // namespace

Retention::Retention(RetentionOptions options, EventLog& log, std::function<void(HubWrite)> submit, const Clock& clock,
                     Metrics& metrics)
    : options_(options),
      log_(log),
      submit_(std::move(submit)),
      clock_(clock),
      removed_(metrics.counter("millrace_telemetry_removed_events_total", "Samples removed because of their age")),
      through_(metrics.gauge("millrace_telemetry_removed_through", "Position up to which telemetry was removed")),
      piece_(options.piece) {
  through_.set(static_cast<double>(log.telemetry_removed_through().value));
}

Retention::~Retention() { stop(); }

void Retention::start() {
  thread_.start(options_.interval, [this] { run(); });
}

void Retention::stop() { thread_.stop(); }

void Retention::run() {
  if (const auto removed = run_once(); !removed) {
    log_warn("retention", "old telemetry stays for now: {}", removed.error().message());
  } else if (*removed > 0) {
    log_info("retention", "{} samples older than {} days were summarised and removed", *removed,
             options_.telemetry_days);
  }
}

Result<uint64_t> Retention::run_once() {
  const WallTime now = clock_.wall();
  const WallTime limit = now - std::chrono::days(options_.telemetry_days);
  const auto end = end_before(limit);
  if (!end) return end.error();
  Position removed = log_.telemetry_removed_through();
  if (removed >= *end) return 0;
  const auto oldest = first_sample(removed, *end);
  if (!oldest) return oldest.error();
  if (!*oldest) return 0;
  const auto settled = clock_is_settled(now);
  if (!settled) return settled.error();
  if (!*settled) return 0;
  if (auto recalled = recall(); !recalled) return recalled.error();
  uint64_t samples = 0;
  while (removed < *end && !thread_.stopping()) {
    const auto first = first_sample(removed, *end);
    if (!first) return first.error();
    if (!*first) break;
    auto piece = summarise(removed, *end, **first);
    if (!piece) return piece.error();
    const Position through = piece->through;
    const uint64_t count = piece->samples;
    if (auto written = write(removed, std::move(*piece), limit); !written) return written.error();
    samples += count;
    removed = through;
    removed_.add(static_cast<double>(count));
    through_.set(static_cast<double>(removed.value));
  }
  if (samples > 0) {
    if (auto reclaimed = log_.reclaim(); !reclaimed) return reclaimed.error();
  }
  return samples;
}

// Whether the log has events from shortly before the time that `settled` asks for.  A shop that was closed may have
// none for as long as makes no difference to what is kept.
Result<bool> Retention::clock_is_settled(WallTime now) {
  if (options_.settled.count() == 0) return true;
  const std::chrono::hours closed =
      std::max(std::chrono::hours(24), std::chrono::hours(24 * options_.telemetry_days / 4));
  const auto from = log_.first_at(now - options_.settled - closed);
  if (!from) return from.error();
  const auto until = log_.first_at(now - options_.settled);
  if (!until) return until.error();
  const bool settled = *from < *until;
  if (!settled && !std::exchange(told_unsettled_, true)) {
    log_warn("retention",
             "nothing was recorded in the days before {}: old telemetry stays until this computer has run for {} h at "
             "that time.  Is its clock right?",
             to_rfc3339(now - options_.settled), options_.settled.count());
  }
  if (settled) told_unsettled_ = false;
  return settled;
}

// The end of the last commit that was recorded before `time`.
Result<Position> Retention::end_before(WallTime time) const {
  const auto first = log_.first_at(time);
  if (!first) return first.error();
  return Position{first->value - 1};
}

// What held when a process before this one stopped.
Result<void> Retention::recall() {
  if (recalled_) return {};
  EventFilter filter;
  filter.types = {EventType::TelemetrySummarised};
  filter.from = clock_.wall() - kRecall;
  for (Position after; after < log_.last();) {
    const auto page = log_.read(after, {.events = kPage}, filter);
    if (!page) return page.error();
    for (const RecordedEvent& event : page->events) summary_.go_on_after(event.envelope);
    after = page->through;
  }
  recalled_ = true;
  return {};
}

// When the first sample that is to go was recorded; nothing when there is none.
Result<std::optional<WallTime>> Retention::first_sample(Position after, Position end) const {
  EventFilter filter;
  filter.types = {EventType::TelemetrySampled};
  const auto page = log_.read(after, {.events = 1, .scanned = std::numeric_limits<size_t>::max()}, filter);
  if (!page) return page.error();
  if (page->events.empty() || page->events.front().position > end) return std::optional<WallTime>{};
  return std::optional(page->events.front().recorded_at);
}

Result<Retention::Piece> Retention::summarise(Position after, Position end, WallTime begin) {
  EventFilter filter;
  filter.types = {EventType::TelemetrySampled, EventType::MachineDisconnected, EventType::MachineConnected,
                  EventType::MachineStateChanged};
  for (;; piece_ = std::max(kShortestPiece, piece_ / 2)) {
    Piece piece;
    const auto until = end_before(begin + piece_);
    if (!until) return until.error();
    piece.through = std::min(*until, end);
    TelemetrySummary summary = summary_;
    for (Position at = after; at < piece.through;) {
      const auto page = log_.read(at, {.events = kPage}, filter);
      if (!page) return page.error();
      for (const RecordedEvent& event : page->events) {
        if (event.position > piece.through) break;
        summary.add(event);
        piece.samples += event.envelope.family() == Family::kTelemetry ? 1 : 0;
      }
      at = page->through;
    }
    piece.events = summary.take();
    if (summary.taken_bytes() > options_.max_write_bytes && piece_ > kShortestPiece) continue;
    summary_ = std::move(summary);
    return piece;
  }
}

Result<void> Retention::write(Position after, Piece piece, WallTime limit) {
  schema::TelemetryExpiredT expired;
  expired.after = after.value;
  expired.through = piece.through.value;
  expired.events = piece.samples;
  expired.recorded_before_us = to_unix_us(limit);
  piece.events.push_back(draft_of(std::move(expired), "", clock_.wall()));
  std::promise<Result<Position>> written;
  submit_({std::move(piece.events), piece.through,
           [&written](const Result<Position>& outcome) { written.set_value(outcome); }});
  const auto outcome = written.get_future().get();
  if (outcome) return {};
  recalled_ = false;  // what was summarised is still there, and will be again
  summary_ = {};
  return outcome.error();
}

}  // namespace millrace
