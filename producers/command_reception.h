// SPDX-License-Identifier: Apache-2.0
// Where commands arrive on the broker: decides who asks, and hands each to the adapter of its machine.  What it cannot
// understand or believe is handed on too, with the reason, so that the refusal is an event.
//
// Threads: the broker's only copies into a bounded queue; everything else is the loop's.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "bus/clock.h"
#include "bus/metrics.h"
#include "bus/mqtt_client.h"
#include "bus/topics.h"
#include "net/io_loop.h"
#include "producers/moonraker/command_desk.h"
#include "producers/stop_answers.h"

namespace millrace {

// Whose API key a command carries.
struct KeyHolder {
  std::string key_id;
  std::string name;
  ScopeSet scopes;
  std::vector<std::string> machines;  // empty: all
};

struct CommandReceptionOptions {
  std::filesystem::path key_file;  // of the signature; read when it is needed
  ScopeSet mqtt_scopes;            // of whoever may publish on the broker and shows no key
  // The error says why it is no valid key; never the key.  Empty: no key can be checked here.
  std::function<Result<KeyHolder>(std::string_view api_key)> key_holder;
  // Whether a command on this topic is to be looked at, on the loop.  Empty: each but the emergency stops, which wait
  // for no loop.
  std::function<bool(const Topics::MachineAndCommand&)> wanted;
  size_t max_queued = 1'024;  // further ones are dropped, counted, and told as expired by the hub
};

// Whose key it is; the error says why it is nobody's.
Result<KeyHolder> holder_of(std::string_view api_key, const CommandReceptionOptions& options);

// To result/<machine>/<id> and, where the sender named one, to its response topic.  `client` speaks MQTT 5.
void send_reply(MqttClient& client, const Topics& topics, const std::string& machine, const CommandReply& reply);

class CommandReception {
 public:
  // On the loop.  False: the machine is none of this role's, and nothing is said about the command.
  using Deliver = std::function<bool(const std::string& machine, AskedCommand)>;

  // `client` speaks MQTT 5, is started by the owner after start() and stopped before this is destroyed; it is used for
  // nothing else.  References outlive this.
  CommandReception(IoLoop& loop, MqttClient& client, Topics topics, CommandReceptionOptions options, const Clock& clock,
                   Metrics& metrics, Deliver deliver);

  void start();
  // send_reply() by its own connection.  Loop's thread.
  void reply(const std::string& machine, const CommandReply& reply);
  // The same for an emergency stop, which somebody else has taken.  Loop's thread.
  void reply_to_stop(StopRequest request, const std::string& machine, CommandReply reply);

 private:
  struct Arrived {
    Topics::MachineAndCommand address;
    std::string payload;
    bool retained = false;
    std::string response_topic;
    std::string correlation_data;
    MonotonicTime received{};
  };

  void receive(const MqttClient::Message& message);
  void note_stop(const MqttClient::Message& message, const std::string& level);
  void take_arrived();
  AskedCommand understood(const Arrived& arrived);
  void attribute(AskedCommand& asked, const std::string& api_key) const;
  const std::string& signing_key();

  IoLoop& loop_;
  MqttClient& client_;
  const Topics topics_;
  const CommandReceptionOptions options_;
  const Clock& clock_;
  Counter& received_;
  Counter& dropped_;
  const Deliver deliver_;
  std::string signing_key_;  // as last read
  StopAnswers stop_answers_;

  std::mutex mutex_;
  std::deque<Arrived> arrived_;
  bool posted_ = false;
};

}  // namespace millrace
