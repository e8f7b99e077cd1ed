// SPDX-License-Identifier: Apache-2.0
// Logs to measure: so many events of a few machines, as their adapters would have sent them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "bus/clock.h"
#include "bus/envelope.h"
#include "bus/result.h"

namespace millrace {

struct LogMix {
  uint64_t events = 0;
  uint64_t size = 256;        // bytes of one sample's envelope
  uint64_t fact_percent = 0;  // the life of jobs; the rest are samples
};

// Makes a log in `directory`, 1,024 events in a group.  `each` gets every event once it is in the log; may be empty.
Result<void> fill_log(const std::filesystem::path& directory, const LogMix& mix, const Clock& clock,
                      const std::function<void(const Envelope&)>& each = {});

}  // namespace millrace
