// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "projections/command_history.h"
#include "projections/machine_state.h"
#include "web/edge/command_body.h"
#include "web/edge/command_lane.h"
#include "web/edge/problem.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

constexpr double kMaxWaitS = 60;
constexpr size_t kMaxKey = 200;

Result<std::chrono::milliseconds> wait_in(const HttpRequest& request) {
  const std::string text = text_in(request, "wait");
  if (text.empty()) return std::chrono::milliseconds(0);
  double seconds = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (failed == std::errc{} && end == text.data() + text.size() && seconds >= 0 && seconds <= kMaxWaitS) {
    return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
  }
  return make_error(Errc::kInvalidArgument,
                    fmt::format("wait='{}': expected seconds from 0 to {}", text.substr(0, kMaxKey), kMaxWaitS));
}

}  // namespace

CommandDecision ask_command(const RouteContext& context, const RouteRequest& request) {
  const std::string& machine = request.path.at("id");
  const auto reader = context.parts.store.reader();
  const auto known = find_machine(*reader, machine);
  if (!known) return api_problem_from(known.error());

  auto body = read_command_body(request.http);
  EdgeCommand asked;
  CommandMessage& message = asked.message;
  if (auto* misread = std::get_if<MisreadCommand>(&body)) {
    message.command = misread->command.empty() ? "unreadable" : misread->command;
    asked.misread = std::move(misread->problem);
  } else {
    message = std::get<CommandMessage>(std::move(body));
  }
  message.machine = machine;
  message.actor = request.actor;
  message.key_id = request.caller.key_id;
  message.client = "http";
  message.address = request.caller.address;
  message.scopes = names_of(request.caller.scopes);
  message.id = new_command_id();
  const auto wait = wait_in(request.http);
  if (wait) asked.wait = *wait;
  if (!*known || (*known)->removed) {
    message.machine.clear();  // else whoever asks could fill the views with machines
    asked.misread = machine_not_found(machine);
  } else if ((*known)->settings && !(*known)->settings->enabled) {
    asked.misread = api_problem(409, "machine_disabled",
                                fmt::format("machine '{}' is disabled: nobody is connected to it", machine));
  } else if (!wait) {
    asked.misread = api_problem_from(wait.error());
  }
  if (asked.misread) return asked;
  if (message.idempotency_key.empty()) return asked;
  auto earlier = find_repeated_command(*reader, machine, message.actor, message.idempotency_key);
  if (!earlier) return api_problem_from(earlier.error());
  if (!*earlier) return asked;
  if ((*earlier)->command != message.command || (*earlier)->args != recorded_args(message.args)) {
    asked.misread =
        api_problem(409, "idempotency_key_used",
                    fmt::format("idempotency_key '{}' was used for '{}' with {}: a new command needs a new key",
                                message.idempotency_key, (*earlier)->command, (*earlier)->args));
    return asked;
  }
  asked.repeated = std::move(**earlier);
  return asked;
}

HttpResponse answer_command(const RouteContext& context, const RouteRequest& request) {
  const std::string& id = request.path.at("id");
  const auto found = find_command(*context.parts.store.reader(), id);
  if (!found) return api_problem_from(found.error());
  if (!*found) return api_problem(404, "command_not_found", fmt::format("there is no command '{}'", id.substr(0, 100)));
  JsonWriter json;
  write_command(json, **found);
  HttpResponse response;
  response.body = json.take();
  return response;
}

HttpResponse answer_commands(const RouteContext& context, const RouteRequest& request) {
  const auto limit = limit_in(request.http);
  if (!limit) return api_problem_from(limit.error());
  const std::string incarnation(context.parts.log.incarnation());
  const auto place = place_in(request.http, incarnation);
  if (!place) return api_problem_from(place.error());
  uint64_t after = 0;
  if (!place->empty()) std::from_chars(place->data(), place->data() + place->size(), after);
  const auto of_path = request.path.find("id");
  const auto named = machine_in(request.http);
  if (!named) return api_problem_from(named.error());
  const std::string machine = of_path == request.path.end() ? *named : of_path->second;
  const std::vector<std::string> statuses = texts_in(request.http, "status");
  const std::vector<std::string> names = texts_in(request.http, "command");
  const auto one_of = [](const std::vector<std::string>& wanted, const std::string& text) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), text) != wanted.end();
  };
  const auto page = list_commands(*context.parts.store.reader(), machine, after, *limit, [&](const auto& command) {
    return one_of(statuses, command.status) && one_of(names, command.command);
  });
  if (!page) return api_problem_from(page.error());
  JsonWriter json;
  json.object().key("items").array();
  for (const auto& command : page->items) write_command(json, command);
  json.end().key("next_cursor");
  page->next_after == 0 ? json.null() : json.value(make_cursor(incarnation, std::to_string(page->next_after)));
  json.key("total").null().end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

std::vector<Route> command_routes() {
  static constexpr std::string_view kText = R"({"type":"string"})";
  static constexpr Parameter kLimit{"limit", R"({"type":"integer","minimum":1,"maximum":500,"default":50})",
                                    "At most so many items"};
  static constexpr Parameter kCursor{"cursor", kText, "The next_cursor of the page before"};
  static constexpr Parameter kStatus{"status", kText, "Only with these, comma-separated"};
  static constexpr Parameter kCommand{"command", kText, "Only these, comma-separated"};
  std::vector<Route> routes;
  Route ask{
      "POST",
      "/api/v1/machines/{id}/commands",
      "askCommand",
      "Asks a machine to do something: 202 when it is on its way, with wait=SECONDS its outcome",
      RunsOn::kCommand,
      false,
      {{"wait", R"({"type":"number","minimum":0,"maximum":60})", "Answer with the outcome, or after so many seconds"}},
      "Command",
      nullptr};
  ask.body = "CommandRequest";
  ask.ask = ask_command;
  ask.access = {.needs = Needs::kOperate, .rate = RateClass::kMotion};
  routes.push_back(std::move(ask));
  routes.push_back({"GET",
                    "/api/v1/machines/{id}/commands",
                    "machineCommands",
                    "The machine's commands, newest first",
                    RunsOn::kWorker,
                    true,
                    {kStatus, kCommand, kLimit, kCursor},
                    "CommandList",
                    answer_commands});
  routes.push_back({"GET",
                    "/api/v1/commands",
                    "commands",
                    "Every machine's commands, newest first",
                    RunsOn::kWorker,
                    true,
                    {{"machine", kText, "Only of this machine"}, kStatus, kCommand, kLimit, kCursor},
                    "CommandList",
                    answer_commands});
  routes.push_back({"GET",
                    "/api/v1/commands/{id}",
                    "command",
                    "One command and what became of it",
                    RunsOn::kWorker,
                    true,
                    {},
                    "Command",
                    answer_command});
  return routes;
}

}  // namespace millrace
