// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/rate_limits.h"

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

constexpr std::chrono::seconds kMinute{60};
constexpr std::chrono::seconds kSecond{1};

std::string name_of(const Caller& caller) {
  return caller.key_id.empty() ? "address " + caller.address : "key " + caller.key_id;
}

std::chrono::seconds seconds_for(double tokens, uint64_t limit, std::chrono::seconds interval) {
  const double seconds = tokens / static_cast<double>(limit) * static_cast<double>(interval.count());
  return std::chrono::seconds(static_cast<int64_t>(std::ceil(seconds)));
}

}  // namespace

RateLimits::RateLimits(RateLimitOptions options, const Clock& clock) : options_(options), clock_(clock) {}

RateLimits::Bucket RateLimits::full_bucket(uint64_t limit, std::chrono::seconds interval, std::string_view what) const {
  return {static_cast<double>(limit), limit, interval, clock_.monotonic(), what};
}

RateLimits::Buckets& RateLimits::buckets_of(const Caller& caller) {
  const bool local = caller.key_id.empty();
  const uint64_t limit = local                             ? options_.local_requests_per_minute
                         : caller.requests_per_minute != 0 ? caller.requests_per_minute
                                                           : options_.requests_per_minute;
  const std::string name = name_of(caller);
  if (!callers_.contains(name)) make_room();
  const auto [place, added] = callers_.try_emplace(name);
  Buckets& buckets = place->second;
  if (added || buckets.all.limit != limit) buckets.all = full_bucket(limit, kMinute, "requests per minute");
  buckets.asked_at = clock_.monotonic();
  return buckets;
}

void RateLimits::make_room() {
  if (callers_.size() < options_.max_callers) return;
  const auto oldest = std::min_element(callers_.begin(), callers_.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second.sockets > 0, a.second.asked_at) < std::pair(b.second.sockets > 0, b.second.asked_at);
  });
  callers_.erase(oldest);
}

RateLimits::Bucket* RateLimits::class_of(Buckets& buckets, RateClass rate) {
  const auto made = [&](size_t place, uint64_t limit, std::string_view what) {
    auto& bucket = buckets.classes.at(place);
    if (!bucket) bucket = full_bucket(limit, kSecond, what);
    return &*bucket;
  };
  switch (rate) {
    case RateClass::kMotion:
      return made(0, options_.motion_per_second, "motion commands per second");
    case RateClass::kSensor:
      return made(1, options_.sensor_per_second, "reads of pins and sensors per second");
    case RateClass::kBatch:
      return made(2, options_.batch_per_second, "batches per second");
    default:
      return nullptr;
  }
}

void RateLimits::fill(Bucket& bucket) const {
  const MonotonicTime now = clock_.monotonic();
  const double passed = std::chrono::duration<double>(now - bucket.filled_at).count();
  const double rate = static_cast<double>(bucket.limit) / static_cast<double>(bucket.interval.count());
  bucket.tokens = std::min(static_cast<double>(bucket.limit), bucket.tokens + passed * rate);
  bucket.filled_at = now;
}

RateLimits::Standing RateLimits::standing_of(const Bucket& bucket) {
  Standing standing;
  standing.limit = bucket.limit;
  standing.remaining = static_cast<uint64_t>(std::max(0.0, bucket.tokens));
  standing.full_in = seconds_for(static_cast<double>(bucket.limit) - bucket.tokens, std::max<uint64_t>(1, bucket.limit),
                                 bucket.interval);
  standing.what = bucket.what;
  return standing;
}

RateLimits::Standing RateLimits::take(const Caller& caller, RateClass rate) {
  Buckets& buckets = buckets_of(caller);
  Bucket* of_class = class_of(buckets, rate);
  for (Bucket* bucket : {&buckets.all, of_class}) {
    if (bucket == nullptr) continue;
    fill(*bucket);
    if (bucket->tokens >= 1) continue;
    Standing refused = standing_of(*bucket);
    refused.retry_in =
        std::max(std::chrono::seconds(1),
                 seconds_for(1 - bucket->tokens, std::max<uint64_t>(1, bucket->limit), bucket->interval));
    return refused;
  }
  buckets.all.tokens -= 1;
  if (of_class != nullptr) of_class->tokens -= 1;
  const bool class_has_less = of_class != nullptr && of_class->tokens < buckets.all.tokens;
  return standing_of(class_has_less ? *of_class : buckets.all);
}

RateLimits::Standing RateLimits::look(const Caller& caller) {
  Buckets& buckets = buckets_of(caller);
  fill(buckets.all);
  return standing_of(buckets.all);
}

bool RateLimits::open_socket(const Caller& caller) {
  Buckets& buckets = buckets_of(caller);
  if (buckets.sockets >= options_.sockets) return false;
  ++buckets.sockets;
  return true;
}

void RateLimits::close_socket(const Caller& caller) {
  const auto found = callers_.find(name_of(caller));
  if (found != callers_.end() && found->second.sockets > 0) --found->second.sockets;
}

}  // namespace millrace
