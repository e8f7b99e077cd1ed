// SPDX-License-Identifier: Apache-2.0
#include "web/edge/command_lane.h"

#include <fmt/format.h>

#include <atomic>

#include "bus/json_reader.h"
#include "bus/logging.h"
#include "bus/random.h"
#include "net/http_message.h"
#include "projections/command_history.h"
#include "web/edge/problem.h"
#include "web/edge/shown_json.h"

namespace millrace {
namespace {

schema::CommandRequestedT requested_from(const CommandMessage& message) {
  schema::CommandRequestedT event;
  event.command_id = message.id;
  event.command = message.command;
  event.args = recorded_args(message.args);
  event.client = message.client;
  event.address = message.address;
  event.key_id = message.key_id;
  event.claimed_actor = message.claimed_actor;
  event.idempotency_key = message.idempotency_key;
  event.expires_in_s = message.expires_in_s;
  event.expected_state_version = message.expected_state_version;
  event.expected_job_id = message.expected_job_id;
  return event;
}

// What the view will say once it has the request.
schema::CommandViewT view_of(const CommandMessage& message) {
  schema::CommandViewT view;
  view.id = message.id;
  view.machine = message.machine;
  view.command = message.command;
  view.args = recorded_args(message.args);
  view.status = "requested";
  view.actor = message.actor;
  view.client = message.client;
  view.address = message.address;
  view.key_id = message.key_id;
  view.claimed_actor = message.claimed_actor;
  view.idempotency_key = message.idempotency_key;
  view.expected_state_version = message.expected_state_version;
  view.expected_job_id = message.expected_job_id;
  view.expires_in_s = message.expires_in_s;
  view.requested_us = to_unix_us(message.sent_at);
  return view;
}

EventDraft event_of(schema::PayloadUnion payload, const CommandMessage& message) {
  EventDraft event;
  event.payload = std::move(payload);
  event.machine = message.machine;
  event.observed_at = message.sent_at;
  event.actor = message.actor;
  event.correlation = message.id;
  return event;
}

template <class PayloadT>
std::vector<EventDraft> alone(PayloadT payload, const CommandMessage& message) {
  schema::PayloadUnion wrapped;
  wrapped.Set(std::move(payload));
  std::vector<EventDraft> events;
  events.push_back(event_of(std::move(wrapped), message));
  return events;
}

void write_reasons(JsonWriter& json, const schema::CommandViewT& command) {
  json.key("reasons").array();
  for (const auto& reason : command.reasons)
    json.object().field("rule", reason->rule).field("detail", reason->detail).end();
  json.end();
}

constexpr int kAccepted = 202;

struct Ending {
  std::string_view status;
  int http;
  std::string_view code;
};
constexpr Ending kEndings[] = {{"rejected", 409, "command_rejected"},
                               {"failed", 502, "command_failed"},
                               {"expired", 504, "command_expired"},
                               {"not_confirmed", 504, "command_not_confirmed"}};

std::string detail_of(const schema::CommandViewT& command) {
  if (command.status == "rejected") {
    std::string text;
    for (const auto& reason : command.reasons) text += (text.empty() ? "" : "; ") + reason->detail;
    return text.empty() ? "the guard refused it" : text;
  }
  if (command.status == "failed") return fmt::format("the machine said: {}", command.text);
  if (command.status == "expired") return "nobody took it in time; it was not carried out and will not be";
  return fmt::format("{}: nothing tells whether it was carried out; look at the machine", command.text);
}

// A problem, and the command beside it.
HttpResponse problem_with(const schema::CommandViewT& command, const Ending& ending) {
  JsonWriter json;
  json.object().field("type", "about:blank").field("title", reason_phrase(ending.http)).field("status", ending.http);
  json.field("code", ending.code).field("detail", detail_of(command));
  write_reasons(json, command);
  json.key("command");
  write_command(json, command);
  json.end();
  HttpResponse response;
  response.status = ending.http;
  response.content_type = "application/problem+json";
  response.body = json.take();
  return response;
}

}  // namespace

void write_command(JsonWriter& json, const schema::CommandViewT& command) {
  json.object().field("command_id", command.id).field("machine", command.machine).field("command", command.command);
  json.key("args").raw(command.args.empty() ? "{}" : command.args);
  json.field("status", command.status).text_or_null("actor", command.actor).text_or_null("client", command.client);
  json.text_or_null("key_id", command.key_id).text_or_null("claimed_actor", command.claimed_actor);
  json.text_or_null("idempotency_key", command.idempotency_key);
  json.text_or_null("expected_state_version", command.expected_state_version);
  json.text_or_null("expected_job_id", command.expected_job_id).field("expires_in_s", command.expires_in_s);
  write_time(json, "requested_at", command.requested_us);
  write_time(json, "accepted_at", command.accepted_us);
  write_time(json, "sent_at", command.sent_us);
  write_time(json, "ended_at", command.ended_us);
  json.text_or_null("method", command.method).text_or_null("code", command.code).text_or_null("text", command.text);
  write_reasons(json, command);
  json.field("position", command.first_position).end();
}

namespace {

HttpResponse shown(const schema::CommandViewT& command, int status) {
  JsonWriter json;
  write_command(json, command);
  HttpResponse response;
  response.status = status;
  response.headers.emplace_back("Location", "/api/v1/commands/" + command.id);
  response.body = json.take();
  return response;
}

}  // namespace

HttpResponse command_answer(const schema::CommandViewT& command) {
  for (const Ending& ending : kEndings) {
    if (command.status == ending.status) return problem_with(command, ending);
  }
  return shown(command, command.status == "completed" ? 200 : 202);
}

std::string new_command_id() { return fmt::format("{:016x}{:016x}", random_seed(), random_seed()); }

std::vector<EventDraft> refusal_events(CommandMessage message, const std::vector<Refusal>& reasons) {
  message.idempotency_key.clear();  // else whoever asks again gets this refusal
  schema::CommandRejectedT rejected;
  rejected.command_id = message.id;
  rejected.command = message.command;
  for (const Refusal& reason : reasons) {
    auto told = std::make_unique<schema::RefusalT>();
    told->rule = reason.rule;
    told->detail = reason.detail;
    rejected.reasons.push_back(std::move(told));
  }
  auto refusal = alone(std::move(rejected), message);
  if (message.recorded) return refusal;
  auto events = alone(requested_from(message), message);
  events.push_back(std::move(refusal.front()));
  return events;
}

CommandLane::CommandLane(Parts parts, Metrics& metrics)
    : parts_(std::move(parts)),
      asked_(metrics.counter("millrace_http_commands_total", "Commands taken over HTTP")),
      refused_(metrics.counter("millrace_http_commands_refused_total", "Commands over HTTP that were not sent")),
      misread_(parts_.clock) {}

void CommandLane::ask(EdgeCommand command, Respond respond) {
  if (command.repeated) return respond(command_answer(*command.repeated));
  if (command.misread) {
    record_misread(std::move(command.message), *command.misread);
    return respond(std::move(*command.misread));
  }
  if (!parts_.submit || !parts_.send) {
    return respond(api_problem(503, "unavailable", "commands cannot be sent from here"));
  }
  if (waiting_.size() >= kMaxUnderWay) {
    refused_.add();
    return respond(api_problem(503, "overloaded", "too many commands wait for their outcome: try again in a second"));
  }
  asked_.add();
  CommandMessage message = std::move(command.message);
  message.sent_at = parts_.clock.wall();
  message.recorded = true;
  const std::string id = message.id;
  Waiting& waiting = waiting_[id];
  waiting.respond = std::move(respond);
  waiting.last = view_of(message);
  waiting.wants_outcome = command.wait.count() > 0;
  if (waiting.wants_outcome) {
    waiting.timer = std::make_unique<LoopTimer>(parts_.loop);
    waiting.timer->start(command.wait, [this, id] {
      // The timer whose callback this is goes with its entry, after the callback.
      parts_.post([this, id] {
        const auto found = waiting_.find(id);
        if (found != waiting_.end()) answer(id, command_answer(found->second.last));
      });
    });
  }
  auto events = alone(requested_from(message), message);
  parts_.submit(std::move(events), [this, message](const Result<Position>& position) mutable {
    // On the recorder's thread, so that nothing waits for the loop between the log and the broker, and commands are
    // sent in the order of their positions.
    Result<void> sent;
    if (position) {
      message.order = {parts_.incarnation, position->value};
      sent = parts_.send(message);
    }
    if (position && !sent) {
      schema::CommandFailedT failed;
      failed.command_id = message.id;
      failed.command = message.command;
      failed.code = "broker_unavailable";
      failed.text = sent.error().context;
      parts_.submit(alone(std::move(failed), message), [](const Result<Position>&) {});
    }
    parts_.post([this, id = message.id, position, sent] { recorded(id, position, sent); });
  });
}

// Requested and rejected in one, as at the machine's desk; of each address and code a few a minute.
void CommandLane::record_misread(CommandMessage message, const HttpResponse& problem) {
  refused_.add();
  JsonReader reader;
  const auto json = reader.parse(problem.body);
  Refusal reason;
  if (json) {
    reason.rule = text_member(*json, "code").value_or("");
    reason.detail = text_member(*json, "detail").value_or("");
  }
  const auto stands_for = misread_.note(message.address, reason.rule);
  if (!parts_.submit || !stands_for) return;
  if (*stands_for > 1) reason.detail += fmt::format(" ({} such requests since the last one told)", *stands_for);
  message.sent_at = parts_.clock.wall();
  parts_.submit(refusal_events(std::move(message), {reason}), [](const Result<Position>&) {});
}

void CommandLane::recorded(const std::string& id, const Result<Position>& position, const Result<void>& sent) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  if (!position) {
    refused_.add();
    return answer(id, api_problem(503, "not_recorded",
                                  fmt::format("the command was not sent, because it could not be recorded: {}",
                                              position.error().context)));
  }
  if (!sent) {
    refused_.add();
    return answer(
        id, api_problem(503, "broker_unavailable", fmt::format("the command was not sent: {}", sent.error().context)));
  }
  found->second.sent = true;
  found->second.last.first_position = position->value;
  // Its end may have been seen already: who did not ask for it is told that the command was taken, and no more.
  if (!found->second.wants_outcome) answer(id, shown(found->second.last, kAccepted));
}

void CommandLane::saw(const schema::CommandViewT& command) {
  const auto found = waiting_.find(command.id);
  if (found == waiting_.end()) return;
  found->second.last = command;
  if (found->second.wants_outcome && is_final_command_status(command.status))
    answer(command.id, command_answer(command));
}

void CommandLane::answer(const std::string& id, HttpResponse response) {
  auto entry = waiting_.extract(id);
  if (entry.mapped().timer) entry.mapped().timer->cancel();
  response.headers.emplace_back("Cache-Control", "no-store");
  if (entry.mapped().last.first_position != 0) {
    response.headers.emplace_back("Millrace-Position", std::to_string(entry.mapped().last.first_position));
  }
  if (!stopped_) entry.mapped().respond(std::move(response));
}

void CommandLane::stop() {
  stopped_ = true;
  waiting_.clear();
}

}  // namespace millrace
