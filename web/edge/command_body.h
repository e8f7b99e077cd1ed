// SPDX-License-Identifier: Apache-2.0
// The body of POST /api/v1/machines/{id}/commands: what is asked, shape and arguments checked.  Pure.
#pragma once

#include <string>
#include <variant>

#include "bus/command_message.h"
#include "net/http_types.h"

namespace millrace {

// Why a body is no command.
struct MisreadCommand {
  std::string command;   // its name, printable, as far as there is one
  HttpResponse problem;  // 400 `invalid_body`, `invalid_field`, `unknown_command`, `invalid_args`, 415
};

// A message with what the sender may say: command, args as they were understood, claimed_actor, expires_in_s,
// idempotency_key and what is expected.
std::variant<CommandMessage, MisreadCommand> read_command_body(const HttpRequest& request);

}  // namespace millrace
