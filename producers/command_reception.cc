// SPDX-License-Identifier: Apache-2.0
#include "producers/command_reception.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/command_key.h"
#include "bus/logging.h"
#include "safety/command.h"

namespace millrace {
namespace {

constexpr size_t kMaxPayload = 2 * kMaxCommandBytes;
constexpr size_t kMaxResponseTopic = 1'024;

ScopeSet scopes_of(const std::vector<std::string>& names) {
  ScopeSet scopes;
  for (const std::string& name : names) {
    if (const auto scope = scope_from(name)) scopes.add(*scope);
  }
  return scopes;
}

void publish(MqttClient& client, const std::string& topic, const CommandReply& reply) {
  if (auto sent = client.respond(topic, reply.json, reply.correlation_data); !sent) {
    log_debug("commands", "the answer to {} is only in the log: {}", reply.command_id, sent.error().message());
  }
}

}  // namespace

Result<KeyHolder> holder_of(std::string_view api_key, const CommandReceptionOptions& options) {
  if (options.key_holder) return options.key_holder(api_key);
  return make_error(Errc::kUnavailable, "API keys cannot be checked at this host");
}

void send_reply(MqttClient& client, const Topics& topics, const std::string& machine, const CommandReply& reply) {
  publish(client, topics.result(machine, reply.command_id), reply);
  if (topics.is_for_replies(reply.response_topic)) publish(client, reply.response_topic, reply);
}

CommandReception::CommandReception(IoLoop& loop, MqttClient& client, Topics topics, CommandReceptionOptions options,
                                   const Clock& clock, Metrics& metrics, Deliver deliver)
    : loop_(loop),
      client_(client),
      topics_(std::move(topics)),
      options_(std::move(options)),
      clock_(clock),
      received_(metrics.counter("millrace_commands_received_total", "Commands that came by the broker")),
      dropped_(metrics.counter("millrace_commands_dropped_total", "Commands that found no room in the queue")),
      deliver_(std::move(deliver)) {}

void CommandReception::start() {
  client_.on_message([this](const MqttClient::Message& message) { receive(message); });
  client_.subscribe(topics_.command_all(), 1);
}

void CommandReception::receive(const MqttClient::Message& message) {
  auto address = topics_.machine_and_command_of(message.topic);
  if (!address) return;
  if (!options_.wanted && address->command == name_of(CommandKind::kEmergencyStop)) {
    return note_stop(message, address->machine);  // the stop itself waits for no loop
  }
  Arrived arrived{std::move(*address),
                  std::string(message.payload.substr(0, kMaxPayload + 1)),
                  message.retained,
                  std::string(message.response_topic.substr(0, kMaxResponseTopic)),
                  std::string(message.correlation_data.substr(0, kMaxResponseTopic)),
                  clock_.monotonic()};
  std::lock_guard lock(mutex_);
  if (arrived_.size() >= options_.max_queued) return dropped_.add();
  arrived_.push_back(std::move(arrived));
  if (std::exchange(posted_, true)) return;
  loop_.post([this] { take_arrived(); });
}

// Only where the answer goes; whoever serves the machine has stopped it by now.
void CommandReception::note_stop(const MqttClient::Message& message, const std::string& level) {
  if (message.retained) return;
  StopRequest request{level, std::string(message.payload.substr(0, StopAnswers::kMaxPayload))};
  std::string topic(topics_.is_for_replies(message.response_topic) ? message.response_topic : "");
  std::string correlation(message.correlation_data.substr(0, kMaxResponseTopic));
  loop_.post(
      [this, request = std::move(request), topic = std::move(topic), correlation = std::move(correlation)]() mutable {
        for (const CommandReply& answer :
             stop_answers_.asked(std::move(request), std::move(topic), std::move(correlation), clock_.monotonic())) {
          publish(client_, answer.response_topic, answer);
        }
      });
}

void CommandReception::take_arrived() {
  std::deque<Arrived> arrived;
  {
    std::lock_guard lock(mutex_);
    arrived.swap(arrived_);
    posted_ = false;
  }
  for (const Arrived& one : arrived) {
    if (options_.wanted && !options_.wanted(one.address)) continue;
    received_.add();
    deliver_(one.address.machine, understood(one));
  }
}

const std::string& CommandReception::signing_key() {
  if (!signing_key_.empty()) return signing_key_;
  auto key = read_command_key(options_.key_file);
  if (key) {
    signing_key_ = std::move(*key);
  } else {
    log_warn("commands", "{}", key.error().message());
  }
  return signing_key_;
}

AskedCommand CommandReception::understood(const Arrived& arrived) {
  AskedCommand asked;
  auto decoded = decode_command(arrived.address.machine, arrived.address.command, arrived.payload, signing_key());
  if (!decoded && decoded.error().code == Errc::kConflict) {
    signing_key_.clear();  // perhaps the hub has made another one since
    decoded = decode_command(arrived.address.machine, arrived.address.command, arrived.payload, signing_key());
  }
  if (decoded) {
    asked.message = std::move(decoded->message);
    if (decoded->is_signed) {
      asked.scopes = scopes_of(asked.message.scopes);
    } else {
      attribute(asked, decoded->api_key);
    }
  } else {
    asked.message.machine = arrived.address.machine;
    asked.message.command = arrived.address.command;
    asked.message.client = "mqtt";
    const bool forged = decoded.error().code == Errc::kConflict;
    asked.refused = Refusal{forged ? "signature_invalid" : "malformed", decoded.error().context};
  }
  asked.received = arrived.received;
  asked.response_topic = arrived.response_topic;
  asked.correlation_data = arrived.correlation_data;
  if (arrived.retained) {
    asked.refused = Refusal{"retained",
                            "a command must not be published as retained: it would be carried out at each "
                            "connection anew; publish an empty retained message to this topic to take it away"};
  }
  return asked;
}

// Mosquitto does not say who published (decision 18).
void CommandReception::attribute(AskedCommand& asked, const std::string& api_key) const {
  asked.message.actor = "mqtt";
  asked.scopes = options_.mqtt_scopes;
  if (api_key.empty()) {
    if (asked.message.command != name_of(CommandKind::kResetEmergency)) return;
    asked.refused = Refusal{"key_required",
                            "after an emergency stop a person opens the latch, who is known: put the 'key' of somebody "
                            "who may operate the machine into the message, or ask by HTTP"};
    return;
  }
  const auto holder = holder_of(api_key, options_);
  if (!holder) {
    asked.message.actor.clear();
    asked.scopes = {};
    asked.refused = Refusal{"key_invalid", holder.error().context};
    return;
  }
  asked.message.actor = holder->name;
  asked.message.key_id = holder->key_id;
  asked.scopes = holder->scopes;
  const auto& machines = holder->machines;
  if (!machines.empty() && std::find(machines.begin(), machines.end(), asked.message.machine) == machines.end()) {
    asked.refused = Refusal{"machine_not_allowed",
                            fmt::format("key '{}' is not for machine '{}'", holder->name, asked.message.machine)};
  }
}

void CommandReception::reply(const std::string& machine, const CommandReply& reply) {
  send_reply(client_, topics_, machine, reply);
}

void CommandReception::reply_to_stop(StopRequest request, const std::string& machine, CommandReply reply) {
  publish(client_, topics_.result(machine, reply.command_id), reply);
  const auto answer = stop_answers_.ended(std::move(request), machine, std::move(reply), clock_.monotonic());
  if (answer) publish(client_, answer->response_topic, *answer);
}

}  // namespace millrace
