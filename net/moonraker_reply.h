// SPDX-License-Identifier: Apache-2.0
// What Moonraker's answers to an emergency stop and to a login mean, and how its URL is read.  Pure.  For net/ alone.
#pragma once

#include <optional>
#include <string>

#include "bus/result.h"
#include "net/url.h"

namespace millrace {

inline constexpr size_t kMaxMoonrakerReply = 256u << 10;

struct MoonrakerReply {
  int status = 0;
  std::string body;
  bool keep_alive = true;
};

// Whether it confirms a stop, and what it says.
struct JudgedReply {
  bool confirmed = false;
  std::string said;
};
JudgedReply judge_stop(const MoonrakerReply& reply);

// Its status and its words of an error.
std::string words_of(const MoonrakerReply& reply);
// Of a login that was accepted.
std::optional<std::string> token_in(const MoonrakerReply& reply);

// "http://printer:7125/a/websocket" -> host, port and "/a".
struct MoonrakerAddress {
  Url url;
  std::string base;
  bool tls = false;
};

Result<MoonrakerAddress> moonraker_address(const std::string& url);

}  // namespace millrace
