// SPDX-License-Identifier: Apache-2.0
#include "consumers/anchor_publisher.h"

#include "bus/log_verifier.h"
#include "bus/logging.h"

namespace millrace {

AnchorPublisher::AnchorPublisher(AnchorOptions options, const EventLog& log, MqttClient& publisher,
                                 const Topics& topics, const Clock& clock)
    : options_(options), log_(log), publisher_(publisher), topic_(topics.log_anchor()), clock_(clock) {}

AnchorPublisher::~AnchorPublisher() { stop(); }

void AnchorPublisher::start() {
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      tick();
      lock.lock();
      wake_.wait_for(lock, options_.look, [this] { return stopping_; });
    }
  });
}

void AnchorPublisher::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

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
}

}  // namespace millrace
