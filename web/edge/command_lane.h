// SPDX-License-Identifier: Apache-2.0
// Commands on their way from HTTP to the broker: recorded first, then published, then answered at once or with their
// outcome.  What cannot be recorded is not sent.
//
// Loop's thread, except where said.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bus/command_message.h"
#include "bus/ids.h"
#include "bus/metrics.h"
#include "net/http_types.h"
#include "net/io_loop.h"
#include "safety/guard.h"
#include "schemas/view_generated.h"
#include "web/edge/access/denial_record.h"
#include "web/edge/edge.h"
#include "web/edge/routes.h"

namespace millrace {

class CommandLane {
 public:
  struct Parts {
    IoLoop& loop;
    const Clock& clock;
    // From any thread to the loop's.
    std::function<void(std::function<void()>)> post;
    SubmitEvents submit;       // empty: nothing can be recorded here
    SendCommand send;          // any thread; empty: no machine can be reached from here
    uint64_t incarnation = 0;  // of the log
  };
  using Respond = std::function<void(HttpResponse)>;

  static constexpr size_t kMaxUnderWay = 1024;  // not yet answered; further ones are answered 503

  CommandLane(Parts parts, Metrics& metrics);

  // Calls `respond` once, on the loop.
  void ask(EdgeCommand command, Respond respond);
  // What the view tells of a command.
  void saw(const schema::CommandViewT& command);
  // Those that wait are never answered.
  void stop();

 private:
  struct Waiting {
    Respond respond;
    schema::CommandViewT last;
    bool wants_outcome = false;
    bool sent = false;  // its request is in the log and on the broker
    std::unique_ptr<LoopTimer> timer;
  };

  void record_misread(CommandMessage message, const HttpResponse& problem);
  void recorded(const std::string& id, const Result<Position>& position, const Result<void>& sent);
  void answer(const std::string& id, HttpResponse response);

  const Parts parts_;
  Counter& asked_;
  Counter& refused_;
  std::map<std::string, Waiting> waiting_;  // by command
  DenialRecord misread_;
  bool stopped_ = false;
};

// 128 random bits, so that no two hubs and adapters ever give the same one.
std::string new_command_id();
// What the log says of a command that is sent to nobody: requested, unless it is recorded already, and rejected.
std::vector<EventDraft> refusal_events(CommandMessage message, const std::vector<Refusal>& reasons);
// As the API shows a command.
void write_command(JsonWriter& json, const schema::CommandViewT& command);
// 200 when it was completed, 202 while it is under way, else the problem that it ended with.
HttpResponse command_answer(const schema::CommandViewT& command);

}  // namespace millrace
