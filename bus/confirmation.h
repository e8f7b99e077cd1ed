// SPDX-License-Identifier: Apache-2.0
// What the recorder says on recorded/<producer>: everything up to `recorded` is durable.  JSON, so that a person can
// read it off the broker: {"incarnation":"..","epoch":"1763700000000","sequence":42,"status":"ok"}.
#pragma once

#include <string>
#include <string_view>

#include "bus/ids.h"
#include "bus/result.h"

namespace millrace {

struct Confirmation {
  enum class Status {
    kOk,
    kResend,  // something is missing after `recorded`: send again from there
    kFenced,  // a newer epoch of this producer is open: the receiver must stop
  };
  std::string incarnation;  // of the log that confirms
  EventOrder recorded;
  Status status = Status::kOk;
};

// Takes in one that was just received, where `latest` is handed on later: a request to resend must not be lost under a
// later confirmation of the same place.
void keep_latest(Confirmation& latest, Confirmation received);

std::string encode(const Confirmation& confirmation);
Result<Confirmation> decode_confirmation(std::string_view payload);

}  // namespace millrace
