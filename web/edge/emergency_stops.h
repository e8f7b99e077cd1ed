// SPDX-License-Identifier: Apache-2.0
// Emergency stops asked for by HTTP.  Nothing of the edge stands before them: no queue, no worker, no view, no position
// to wait for.  What is in the body can be wrong and the stop is done all the same.
//
// Loop's thread only.
#pragma once

#include <functional>
#include <string>

#include "bus/emergency_record.h"
#include "bus/random.h"
#include "net/emergency_stopper.h"
#include "net/http_types.h"
#include "web/edge/access/caller.h"
#include "web/edge/edge.h"

namespace millrace {

class EmergencyStops {
 public:
  // `post` brings a task from any thread to the loop's, as long as the edge is there.
  EmergencyStops(const EdgeParts& parts, std::function<void(std::function<void()>)> post);

  using Respond = std::function<void(HttpResponse)>;

  // Stops `machine`, or all where it is empty, and answers when they have answered or their time is over.
  // `caller` was admitted: any valid key may stop, whatever its scopes (decision 13).
  void stop(const HttpRequest& request, const std::string& machine, const Caller& caller, Respond respond);

 private:
  const EdgeParts& parts_;
  const std::function<void(std::function<void()>)> post_;
  SeededRandom random_;
};

// Whether a request for a command asks for an emergency stop, which then goes this way.
bool asks_for_emergency_stop(const HttpRequest& request);

}  // namespace millrace
