// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "web/edge/emergency_stops.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

constexpr size_t kMaxBody = 16u << 10;  // of which a reason is read
constexpr size_t kMaxDepth = 4;
constexpr std::string_view kWhatToDo =
    "go to the machine and press its emergency stop, or pull its plug; whether it has stopped is not known";

// "" where the body has none that can be read.
std::string reason_in(const std::string& body) {
  JsonReader reader(kMaxBody, kMaxDepth);
  const auto json = reader.parse(body);
  if (!json) return "";
  const auto args = member(*json, "args");  // of a command
  return std::string(text_member(args ? *args : *json, "reason").value_or(""));
}

std::optional<double> seconds_of(std::optional<int64_t> micros) {
  return micros ? std::optional(static_cast<double>(*micros) / 1e6) : std::nullopt;
}

// What is known of a machine's stop once its outcome is; `asked` has the rest.
EmergencyRecord record_of(const EmergencyRecord& asked, const EmergencyStopResult& result) {
  EmergencyRecord record = asked;
  record.confirmed = result.confirmed;
  record.text = result.text;
  if (result.sent_after) record.sent_after_us = result.sent_after->count();
  if (result.answered_after) record.answered_after_us = result.answered_after->count();
  return record;
}

void write_fields(JsonWriter& json, const EmergencyRecord& record) {
  json.field("machine", record.machine).field("command_id", record.command_id).field("confirmed", record.confirmed);
  json.field("machine_said", record.text).field("sent_after", seconds_of(record.sent_after_us));
  json.field("answered_after", seconds_of(record.answered_after_us));
}

void begin_problem(JsonWriter& json, const std::string& detail) {
  json.object().field("type", "about:blank").field("title", "Bad Gateway").field("status", 502);
  json.field("code", "not_confirmed").field("detail", detail).field("what_to_do", kWhatToDo);
}

HttpResponse answer_with(JsonWriter& json, bool confirmed) {
  HttpResponse response;
  response.status = confirmed ? 200 : 502;
  if (!confirmed) response.content_type = "application/problem+json";
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = json.take();
  return response;
}

HttpResponse answer_of(const EmergencyRecord& record) {
  JsonWriter json;
  if (record.confirmed) {
    json.object();
  } else {
    begin_problem(json, fmt::format("NOT CONFIRMED: the emergency stop of '{}': {}", record.machine, record.text));
  }
  write_fields(json, record);
  json.end();
  return answer_with(json, record.confirmed);
}

HttpResponse answer_of(const std::vector<EmergencyRecord>& records) {
  std::string open;
  for (const EmergencyRecord& record : records) {
    if (!record.confirmed) open += (open.empty() ? "" : ", ") + record.machine;
  }
  JsonWriter json;
  if (open.empty()) {
    json.object();
  } else {
    begin_problem(json, "NOT CONFIRMED: the emergency stop of " + open);
  }
  json.field("confirmed", open.empty()).key("machines").array();
  for (const EmergencyRecord& record : records) {
    json.object();
    write_fields(json, record);
    json.end();
  }
  json.end().end();
  return answer_with(json, open.empty());
}

}  // namespace

bool asks_for_emergency_stop(const HttpRequest& request) {
  if (request.body.size() > kMaxBody) return false;
  JsonReader reader(kMaxBody, kMaxDepth);
  const auto json = reader.parse(request.body);
  return json && text_member(*json, "command") == "emergency_stop";
}

EmergencyStops::EmergencyStops(const EdgeParts& parts, std::function<void(std::function<void()>)> post)
    : parts_(parts), post_(std::move(post)), random_(random_seed()) {}

void EmergencyStops::stop(const HttpRequest& request, const std::string& machine, const Caller& caller,
                          Respond respond) {
  if (parts_.stopper == nullptr) {
    return respond(api_problem(501, "not_served", "this edge has no connections to machines of its own"));
  }
  if (machine.empty() ? parts_.stopper->machines().empty() : !parts_.stopper->knows(machine)) {
    return respond(api_problem(
        404, "machine_not_found",
        machine.empty() ? "this hub knows the address of no machine"
                        : fmt::format("this hub knows no address of a machine '{}': go to the machine; on the host "
                                      "that serves it, 'millrace stop' reaches it",
                                      machine.substr(0, 100))));
  }
  EmergencyRecord asked;
  asked.machine = machine;
  asked.command_id = make_emergency_id(random_);
  asked.client = "http";
  asked.address = caller.address;
  asked.actor = caller.actor;
  asked.key_id = caller.key_id;
  asked.reason = reason_in(request.body);
  asked.asked_at = parts_.clock.wall();
  // Recorded from the stopper's thread, so that a stop is recorded also when the edge ends meanwhile.
  const auto recorded = [record_stop = parts_.record_stop](const EmergencyRecord& record) {
    if (record_stop) record_stop(record);
  };
  // Only what is posted holds the request's right to an answer: it belongs to the loop's thread.
  const auto waiting = std::make_shared<Respond>(std::move(respond));
  if (!machine.empty()) {
    return parts_.stopper->stop(machine, [post = post_, asked, recorded, waiting](const EmergencyStopResult& result) {
      const EmergencyRecord record = record_of(asked, result);
      recorded(record);
      post([record, respond = std::move(*waiting)] { respond(answer_of(record)); });
    });
  }
  parts_.stopper->stop_all([post = post_, asked, recorded, waiting](const EmergencyStopper::Results& results) {
    std::vector<EmergencyRecord> records;
    for (const auto& [name, result] : results) {
      EmergencyRecord& record = records.emplace_back(record_of(asked, result));
      record.machine = name;
      record.command_id += "-" + name;
      recorded(record);
    }
    post([records = std::move(records), respond = std::move(*waiting)] { respond(answer_of(records)); });
  });
}

}  // namespace millrace
