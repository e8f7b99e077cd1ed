// SPDX-License-Identifier: Apache-2.0
// Addresses that offered wrong keys again and again wait before the next one is looked at, each time twice as long.
// An IPv6 address counts with its whole /64, which one customer has.  Loop's thread.
//
// Wrong keys alone count: a key that was right once (expired, switched off) is somebody's forgotten script, and a
// request without a key is a browser that is about to ask for one.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "bus/clock.h"

namespace millrace {

struct AddressBlockOptions {
  int free_failures = 5;                // within `forget_after`; the next one begins the delay
  std::chrono::seconds first_delay{1};  // doubles with each further failure
  std::chrono::seconds longest{900};
  std::chrono::seconds forget_after{3'600};  // without a failure
  size_t max_addresses = 4'096;              // the one that failed longest ago goes first
};

class AddressBlock {
 public:
  AddressBlock(AddressBlockOptions options, const Clock& clock) : options_(options), clock_(clock) {}

  // How long the address has to wait, rounded up; zero: it may try.
  std::chrono::seconds blocked_for(std::string_view address) const;
  void failed(std::string_view address);
  void succeeded(std::string_view address);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    int failures = 0;
    MonotonicTime failed_at{};
    MonotonicTime until{};
  };

  const AddressBlockOptions options_;
  const Clock& clock_;
  std::map<std::string, Entry, std::less<>> entries_;
};

// "192.168.1.7" as it is, "2001:db8:1:2:3:4:5:6" -> "2001:db8:1:2::/64", "::ffff:192.168.1.7" -> "192.168.1.7".
std::string block_of(std::string_view address);

}  // namespace millrace
