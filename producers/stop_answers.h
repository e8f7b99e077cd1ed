// SPDX-License-Identifier: Apache-2.0
// Where the answers to emergency stops go that came by MQTT 5.  A stop is taken on one connection (3.1.1, so that it
// works with every broker), and who asked for an answer on a topic of its own is told by another one; either may be the
// first to bring the same message.  Both bring messages in the same order, so the first of equal ones belong together.
// Pure; one thread.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "producers/moonraker/command_desk.h"

namespace millrace {

// A message as both connections bring it.
struct StopRequest {
  std::string level;  // of the topic: a machine, or all
  std::string payload;

  bool operator==(const StopRequest&) const = default;
};

class StopAnswers {
 public:
  static constexpr size_t kMaxRequests = 64;               // the oldest goes first
  static constexpr std::chrono::seconds kKeptFor{15};      // a stop ends within 5 s
  static constexpr size_t kMaxPayload = size_t{16} << 10;  // what is longer is compared by its beginning

  // `topic` is empty where no answer of its own is asked for.  Gives the answers that came before.
  std::vector<CommandReply> asked(StopRequest request, std::string topic, std::string correlation_data,
                                  MonotonicTime now);
  // What came of it at `machine`.  Gives it back addressed as soon as it is known to whom.
  std::optional<CommandReply> ended(StopRequest request, const std::string& machine, CommandReply reply,
                                    MonotonicTime now);

 private:
  struct Open {
    StopRequest request;
    MonotonicTime since{};
    bool asked = false;
    std::string topic;
    std::string correlation_data;
    std::set<std::string> ended;       // machines
    std::vector<CommandReply> untold;  // until it is asked
  };

  void forget(MonotonicTime now);
  Open& opened(StopRequest request, MonotonicTime now);
  static std::optional<CommandReply> addressed(const Open& open, CommandReply reply);

  std::deque<Open> open_;
};

}  // namespace millrace
