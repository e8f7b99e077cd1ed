// SPDX-License-Identifier: Apache-2.0
#include "consumers/anchor_publisher.h"

#include "bus/log_verifier.h"
#include "bus/logging.h"

namespace millrace {

AnchorPublisher::AnchorPublisher(AnchorOptions options, const EventLog& log, MqttClient& publisher,
                                 const Topics& topics, std::function<void(HubWrite)> submit, const Clock& clock)
    : options_(options),
      log_(log),
      publisher_(publisher),
      topic_(topics.log_anchor()),
      submit_(std::move(submit)),
      clock_(clock) {}

AnchorPublisher::~AnchorPublisher() { stop(); }

void AnchorPublisher::start() {
  thread_.start(options_.look, [this] { tick(); });
}

void AnchorPublisher::stop() { thread_.stop(); }

void AnchorPublisher::tick() {
  const MonotonicTime now = clock_.monotonic();
  if (published_ && now - *published_ < options_.every) return;
  if (!publisher_.connected()) return;
  const auto info = log_.info();
  if (!info) return log_warn("anchor", "the chain's root cannot be read: {}", info.error().message());
  const auto anchor = anchor_of(*info, clock_.wall());
  if (!anchor) return;
  if (!publisher_.publish(topic_, encode(*anchor), 1, Retain::kYes)) return;  // again at the next look
  published_ = now;
  schema::ChainAnchoredT anchored;
  anchored.position = anchor->root.position.value;
  anchored.root.assign(anchor->root.link.begin(), anchor->root.link.end());
  std::vector<EventDraft> events;
  events.push_back(draft_of(std::move(anchored), "", clock_.wall()));
  submit_({std::move(events), {}, [](const Result<Position>& outcome) {
             if (!outcome) log_warn("anchor", "not recorded: {}", outcome.error().message());
           }});
}

}  // namespace millrace
