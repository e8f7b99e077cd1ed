// SPDX-License-Identifier: Apache-2.0
// How much one caller may ask for: token buckets, one for all requests and one for each class of them, per key, and for
// the local user per address.  A bucket holds what its interval allows and fills evenly, so that a burst of a whole
// interval passes and then one request for each share of it.
//
// Never asked about an emergency stop or /health.  Loop's thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "bus/clock.h"
#include "web/edge/access/caller.h"

namespace millrace {

struct RateLimitOptions {
  // Defaults of the older KlipperPlace's documents.
  uint64_t requests_per_minute = 1'000;  // of a key that has none of its own
  uint64_t motion_per_second = 100;
  uint64_t sensor_per_second = 200;
  uint64_t batch_per_second = 10;
  size_t sockets = 100;
  // Without keys the user at this computer has the web app, scripts and tests of its own: only a runaway is stopped.
  uint64_t local_requests_per_minute = 600'000;
  size_t max_callers = 4'096;  // whose buckets are kept; the one that asked longest ago goes first
};

class RateLimits {
 public:
  struct Standing {
    uint64_t limit = 0;                // of the bucket that has the least left, per its interval
    uint64_t remaining = 0;            // whole requests
    std::chrono::seconds full_in{0};   // rounded up
    std::chrono::seconds retry_in{0};  // zero: the request passes
    std::string_view what;             // "requests per minute"
    bool allowed() const { return retry_in.count() == 0; }
  };

  RateLimits(RateLimitOptions options, const Clock& clock);

  // Takes one request of the caller's buckets; nothing is taken of any when one of them is empty.
  Standing take(const Caller& caller, RateClass rate);
  // The bucket of all requests, as it stands.
  Standing look(const Caller& caller);

  // False, and nothing is counted, when the caller has `sockets` open.
  bool open_socket(const Caller& caller);
  void close_socket(const Caller& caller);

  const RateLimitOptions& options() const { return options_; }

 private:
  struct Bucket {
    double tokens = 0;
    uint64_t limit = 0;
    std::chrono::seconds interval{60};
    MonotonicTime filled_at{};
    std::string_view what;
  };
  struct Buckets {
    Bucket all;
    std::array<std::optional<Bucket>, 3> classes;  // kMotion, kSensor, kBatch, made when first asked for
    MonotonicTime asked_at{};
    size_t sockets = 0;
  };

  Buckets& buckets_of(const Caller& caller);
  void make_room();
  Bucket* class_of(Buckets& buckets, RateClass rate);
  Bucket full_bucket(uint64_t limit, std::chrono::seconds interval, std::string_view what) const;
  void fill(Bucket& bucket) const;
  static Standing standing_of(const Bucket& bucket);

  const RateLimitOptions options_;
  const Clock& clock_;
  std::map<std::string, Buckets> callers_;
};

}  // namespace millrace
