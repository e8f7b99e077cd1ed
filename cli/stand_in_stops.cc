// SPDX-License-Identifier: Apache-2.0
#include "cli/stand_in_stops.h"

#include <algorithm>

#include "bus/json_reader.h"
#include "bus/logging.h"
#include "safety/command.h"

namespace millrace {
namespace {

constexpr size_t kMaxTopic = 1'024;
constexpr size_t kMaxAnswered = 4'096;  // machines
constexpr size_t kMaxOwnAnswers = 256;

}  // namespace

StandInStops::StandInStops(StandInStopsOptions options, Parts parts)
    : options_(options),
      parts_(std::move(parts)),
      done_(parts_.metrics.counter("millrace_emergency_stops_stood_in_total",
                                   "Emergency stops by the broker that the hub did because no adapter answered")),
      ids_(random_seed()),
      held_(loop_, parts_.clock, options_.patience, options_.max_held, [this](const Held& held) { do_now(held); }) {}

StandInStops::~StandInStops() { stop(); }

void StandInStops::start() {
  parts_.client->on_message([this](const MqttClient::Message& message) { receive(message); });
  parts_.client->subscribe(parts_.topics.command("+", name_of(CommandKind::kEmergencyStop)), 1);
  parts_.client->subscribe(parts_.topics.result("+", "+"), 0);
  thread_ = std::thread([this] { loop_.run(); });
  parts_.client->start();
}

void StandInStops::stop() {
  if (!thread_.joinable()) return;
  parts_.client->stop();
  loop_.post([this] {
    held_.cancel();
    loop_.stop();
  });
  thread_.join();
}

// On the broker's thread.
void StandInStops::receive(const MqttClient::Message& message) {
  if (message.retained) return;
  const MonotonicTime now = parts_.clock.monotonic();
  if (auto address = parts_.topics.machine_and_command_of(message.topic)) {
    Held held{mqtt_stop(std::move(address->machine), message.payload, ids_, parts_.clock.wall()),
              std::string(message.response_topic.substr(0, kMaxTopic)),
              std::string(message.correlation_data.substr(0, kMaxTopic)), now};
    return loop_.post(
        [this, received = now, held = std::move(held)]() mutable { held_.hold(std::move(held), received); });
  }
  if (message.payload.find(name_of(CommandKind::kEmergencyStop)) == std::string_view::npos) return;
  loop_.post([this, result = std::string(message.payload), now] { note_result(result, now); });
}

// {command_id, machine, command, ...}
void StandInStops::note_result(const std::string& result, MonotonicTime now) {
  JsonReader reader;
  const auto json = reader.parse(result);
  if (!json || text_member(*json, "command") != name_of(CommandKind::kEmergencyStop)) return;
  const std::string_view id = text_member(*json, "command_id").value_or("");
  if (std::find(own_answers_.begin(), own_answers_.end(), id) != own_answers_.end()) return;
  const std::string machine(text_member(*json, "machine").value_or(""));
  if (answered_.size() < kMaxAnswered || answered_.contains(machine)) answered_[machine] = now;
}

void StandInStops::do_now(const Held& held) {
  const std::string& level = held.asked.level;
  for (const auto& machine : level == kAllMachines ? parts_.stopper.machines() : std::vector<std::string>{level}) {
    if (was_answered(held, machine) || !parts_.stopper.knows(machine)) continue;
    log_warn("stop", "'{}' is stopped from here: no adapter has answered an emergency stop by MQTT", machine);
    done_.add();
    parts_.stopper.stop(machine, [this, held, machine](const EmergencyStopResult& outcome) {
      EmergencyRecord record = record_of(held.asked, machine);
      take_outcome(record, outcome);
      loop_.post([this, held, record = std::move(record)]() mutable { ended(held, std::move(record)); });
    });
  }
}

bool StandInStops::was_answered(const Held& held, const std::string& machine) const {
  const auto answered = answered_.find(machine);
  return answered != answered_.end() && answered->second >= held.received;
}

void StandInStops::ended(const Held& held, EmergencyRecord record) {
  // There was an adapter, which the machine kept waiting as well, and it has told so.
  if (!record.confirmed && was_answered(held, record.machine)) return;
  CommandReply reply = reply_to(record, parts_.clock.wall());
  reply.response_topic = held.response_topic;
  reply.correlation_data = held.correlation_data;
  own_answers_.push_back(reply.command_id);
  if (own_answers_.size() > kMaxOwnAnswers) own_answers_.pop_front();
  send_reply(*parts_.client, parts_.topics, record.machine, reply);
  attribute(record, held.asked.api_key, parts_.keys);
  parts_.record(std::move(record));
}

}  // namespace millrace
