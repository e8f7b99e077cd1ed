// SPDX-License-Identifier: Apache-2.0
// Who asks, and what a route asks of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "safety/scopes.h"

namespace millrace {

inline constexpr std::string_view kLocalActor = "local";  // whoever sits at this computer while there are no keys

struct Caller {
  enum class How : uint8_t {
    kNobody,   // only at routes that are open
    kLocal,    // this computer, while there are no keys
    kKey,      // X-API-Key or Authorization
    kSession,  // a browser's cookie
    kToken,    // a token for one socket
  };
  How how = How::kNobody;
  std::string actor;                  // the key's name, or "local": what events say
  std::string key_id;                 // empty for kLocal
  std::string session_id;             // of kSession, and of kToken that a session asked for
  uint64_t generation = 0;            // of the key
  uint64_t requests_per_minute = 0;   // of the key; 0: what the configuration says
  ScopeSet scopes;                    // of the key
  std::vector<std::string> machines;  // empty: all
  std::string address;                // without the port

  bool of_all_machines() const { return machines.empty(); }
  bool may_reach(std::string_view machine) const {
    return machines.empty() || std::find(machines.begin(), machines.end(), machine) != machines.end();
  }
};

// What a caller must have.
enum class Needs : uint8_t {
  kByMethod,  // GET: read.  Everything else: administer, so that a row which forgets to say is not open
  kNothing,   // open to everybody
  kAnyKey,    // whatever its scopes, and its machines: stopping, and looking at oneself
  kRead,
  kOperate,
  kGcode,
  kModerate,
  kAdminister,
};

// Beside the requests per minute of every caller.
enum class RateClass : uint8_t {
  kOrdinary,
  kMotion,  // what moves or heats a machine
  kSensor,  // reads of pins and sensors
  kBatch,
  kExempt,  // not counted at all
};

// Which machine a request is about, for keys that are not of all machines.
enum class Concerns : uint8_t {
  kByPattern,  // see concerns_of() in access/route_access.h
  kNothing,    // no machine: the site, keys, sessions
  kMachine,    // {id} of the path is a machine
  kJob,        // {id} of the path is a job, and it is about the machine that made it
  kQuery,      // ?machine= says it, and has to
  kOwnPart,    // all of them: such a key is shown its own part
  kShop,       // all of them: refused for such a key
};

// The last member of a Route: {.needs = Needs::kOperate, .rate = RateClass::kMotion}.
struct RouteAccess {
  Needs needs = Needs::kByMethod;
  RateClass rate = RateClass::kOrdinary;
  Concerns concerns = Concerns::kByPattern;
};

}  // namespace millrace
