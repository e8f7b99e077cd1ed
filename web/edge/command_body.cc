// SPDX-License-Identifier: Apache-2.0
#include "web/edge/command_body.h"

#include <fmt/format.h>

#include "safety/command.h"
#include "safety/names.h"
#include "web/edge/body_reader.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

constexpr size_t kMaxKey = 200;
constexpr size_t kMaxCommandName = 64;
constexpr double kShortestS = 0.1;

// What the machine cannot do at all, or what is no command, is told at once; the guard judges the rest.
std::optional<HttpResponse> misshapen(const std::string& name, const std::string& args, std::string& understood) {
  JsonReader reader(kMaxCommandBytes, 12);
  const auto json = reader.parse(args);
  if (!json) return api_problem(400, "invalid_args", fmt::format("args: {}", json.error().context));
  const auto command = parse_command(name, *json);
  if (command) {
    understood = args_json(*command);
    return std::nullopt;
  }
  const bool unknown = command.error().code == Errc::kNotFound;
  return api_problem(400, unknown ? "unknown_command" : "invalid_args", command.error().context);
}

}  // namespace

std::variant<CommandMessage, MisreadCommand> read_command_body(const HttpRequest& request) {
  BodyReader body(request);
  body.require("command");
  CommandMessage message;
  message.command = body.text("command", {.max_bytes = kMaxCommandName, .empty = false}).value_or("");
  message.args = body.json("args", max_command_args(message.command)).value_or("{}");
  message.expires_in_s = body.number("expires_in_s", kShortestS, kMaxCommandExpiresInS).value_or(kCommandExpiresInS);
  message.idempotency_key = body.text("idempotency_key", {.max_bytes = kMaxKey}).value_or("");
  message.expected_state_version = body.text("expected_state_version", {.max_bytes = kMaxKey}).value_or("");
  message.expected_job_id = body.text("expected_job_id", {.max_bytes = kMaxKey}).value_or("");
  message.claimed_actor = body.text("actor", {.max_bytes = kMaxKey}).value_or("");
  auto refused = body.problem();
  if (!refused) refused = misshapen(message.command, message.args, message.args);
  if (refused) return MisreadCommand{shown(message.command, kMaxCommandName), std::move(*refused)};
  return message;
}

}  // namespace millrace
