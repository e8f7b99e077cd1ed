// SPDX-License-Identifier: Apache-2.0
#include "producers/mqtt_stop.h"

#include "bus/command_message.h"
#include "bus/json_reader.h"
#include "bus/logging.h"
#include "safety/command.h"

namespace millrace {
namespace {

constexpr size_t kMaxMessage = 16u << 10;  // of which a reason, an id and a key are read
constexpr size_t kMaxDepth = 8;

}  // namespace

MqttStop mqtt_stop(std::string level, std::string_view payload, Random& ids, WallTime now) {
  MqttStop stop;
  stop.level = std::move(level);
  stop.asked_at = now;
  JsonReader reader(kMaxMessage, kMaxDepth);
  if (const auto json = reader.parse(payload)) {
    auto id = text_member(*json, "id");  // as other commands have it
    if (!id) id = text_member(*json, "command_id");
    if (id && is_command_id(*id)) stop.id = *id;
    stop.reason = text_member(*json, "reason").value_or("");
    stop.api_key = text_member(*json, "key").value_or("");
  }
  if (stop.id.empty()) stop.id = make_emergency_id(ids);
  return stop;
}

EmergencyRecord record_of(const MqttStop& stop, const std::string& machine) {
  EmergencyRecord record;
  record.machine = machine;
  record.command_id = stop.level == machine ? stop.id : stop.id + "-" + machine;
  record.client = record.actor = "mqtt";
  record.reason = stop.reason;
  record.asked_at = stop.asked_at;
  return record;
}

void take_outcome(EmergencyRecord& record, const EmergencyStopResult& outcome) {
  record.confirmed = outcome.confirmed;
  record.text = outcome.text;
  if (outcome.sent_after) record.sent_after_us = outcome.sent_after->count();
  if (outcome.answered_after) record.answered_after_us = outcome.answered_after->count();
}

void attribute(EmergencyRecord& record, const std::string& api_key, const CommandReceptionOptions& options) {
  if (api_key.empty()) return;
  const auto holder = holder_of(api_key, options);
  if (holder) {
    record.actor = holder->name;
    record.key_id = holder->key_id;
    return;
  }
  record.reason = record.reason.substr(0, kMaxEmergencyText / 2);
  record.reason +=
      std::string(record.reason.empty() ? "" : " ") + "(with a key that is not valid: " + holder.error().context + ")";
  log_warn("stop", "'{}' was stopped by MQTT with a key that is not valid: {}", record.machine, holder.error().context);
}

CommandReply reply_to(const EmergencyRecord& record, WallTime now) {
  CommandMessage asked;
  asked.id = record.command_id;
  asked.command = name_of(CommandKind::kEmergencyStop);
  CommandReply reply;
  reply.command_id = record.command_id;
  reply.json =
      reply_json(record.machine, asked, record.confirmed ? "completed" : "not_confirmed", {}, "", record.text, now);
  return reply;
}

}  // namespace millrace
