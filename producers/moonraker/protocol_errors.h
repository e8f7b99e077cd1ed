// SPDX-License-Identifier: Apache-2.0
// Counts what a machine says wrongly and tells the operator at most once per kind and minute.  One thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "bus/clock.h"
#include "bus/metrics.h"

namespace millrace {

class ProtocolErrors {
 public:
  // `counter` and `clock` outlive it.
  ProtocolErrors(std::string machine, const Clock& clock, Counter& counter);

  // Also told of each, when set.
  std::function<void(std::string_view kind, std::string_view detail)> on_error;

  // `kind` is a literal of ours, so that their number is bounded; `detail` may be the machine's words.
  void note(std::string_view kind, std::string_view detail = {});

 private:
  std::string machine_;
  const Clock& clock_;
  Counter& counter_;
  std::map<std::string, MonotonicTime, std::less<>> logged_at_;
};

}  // namespace millrace
