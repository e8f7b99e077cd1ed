// SPDX-License-Identifier: Apache-2.0
#include "consumers/backlog_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/logging.h"

namespace millrace {
namespace {

constexpr const char* kPart = "producers";
constexpr size_t kSamples = 4;  // three steps

Gauge& alarm_gauge(Metrics& metrics, const std::string& kind) {
  return metrics.gauge("millrace_producer_alarms", "Producers whose events pile up before they are recorded",
                       {{"kind", kind}});
}

}  // namespace

BacklogWatch::BacklogWatch(BacklogWatchOptions options, const Clock& clock, Metrics& metrics, Health& health)
    : options_(options),
      clock_(clock),
      metrics_(metrics),
      health_(health),
      stalled_(alarm_gauge(metrics, "stalled")),
      growing_(alarm_gauge(metrics, "growing")) {
  health_.set(kPart, true);
}

void BacklogWatch::look(std::span<const ProducerProgress> producers) {
  std::map<std::string, std::string> alarms;
  size_t stalled = 0;
  size_t growing = 0;
  for (const ProducerProgress& progress : producers) {
    const bool grows = is_growing(progress);
    if (is_stalled(progress)) {
      ++stalled;
      alarms[progress.producer] = fmt::format(
          "'{}' sends, and nothing of it has been recorded for {} s: 'millrace log verify --producers' shows what its "
          "log lacks",
          progress.producer,
          std::chrono::duration_cast<std::chrono::seconds>(clock_.monotonic() - *progress.unrecorded_since).count());
    } else if (grows) {
      ++growing;
      alarms[progress.producer] = fmt::format(
          "{} events of '{}' wait in its outbox, and they become more: is this computer or its disk busy "
          "with something else?",
          progress.waiting, progress.producer);
    }
  }
  stalled_.set(static_cast<double>(stalled));
  growing_.set(static_cast<double>(growing));
  tell(alarms);
}

bool BacklogWatch::is_stalled(const ProducerProgress& progress) const {
  // One that has fallen silent is another matter: its adapter is gone.
  return clock_.monotonic() - progress.heard < options_.stalled_after && progress.unrecorded_since &&
         progress.heard - *progress.unrecorded_since >= options_.stalled_after;
}

bool BacklogWatch::is_growing(const ProducerProgress& progress) {
  Seen& seen = seen_[progress.producer];
  if (seen.waiting == nullptr) {
    seen.waiting = &metrics_.gauge("millrace_producer_waiting_events",
                                   "Events in the outbox of a producer behind what it sent last",
                                   {{"producer", progress.producer}});
  }
  seen.waiting->set(static_cast<double>(progress.waiting));
  const MonotonicTime now = clock_.monotonic();
  if (!seen.samples.empty() && now - seen.sampled < options_.sample) return seen.growing;
  seen.sampled = now;
  seen.samples.push_back(progress.waiting);
  if (seen.samples.size() > kSamples) seen.samples.pop_front();
  const bool rises =
      std::adjacent_find(seen.samples.begin(), seen.samples.end(), std::greater_equal<>()) == seen.samples.end();
  seen.growing = seen.samples.size() == kSamples && rises && progress.waiting >= options_.growing_from;
  return seen.growing;
}

void BacklogWatch::tell(const std::map<std::string, std::string>& alarms) {
  for (const auto& [producer, text] : alarms) {
    if (!alarms_.contains(producer)) log_warn("recorder", "{}", text);
  }
  for (const auto& [producer, text] : alarms_) {
    if (!alarms.contains(producer)) log_info("recorder", "events of '{}' no longer pile up", producer);
  }
  if (alarms.empty() && alarms_.empty()) return;
  std::string all;
  for (const auto& [producer, text] : alarms) all += (all.empty() ? "" : "; ") + text;
  health_.set(kPart, true, all);
  alarms_ = alarms;
}

}  // namespace millrace
