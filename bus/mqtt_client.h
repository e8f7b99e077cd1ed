// SPDX-License-Identifier: Apache-2.0
// A connection to the broker that comes back by itself.
//
// Threads: publish() and subscribe() from any thread.  Message and connection callbacks run on the library's receive
// thread or on the client's own: they must only enqueue and return, and must never publish or wait (a callback that
// blocks stops every client in the process).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "bus/result.h"

namespace millrace {

struct MqttOptions {
  std::string url = "mqtt://127.0.0.1:1883";  // mqtts:// for TLS
  std::string username;
  std::string password;
  std::string ca_file;    // PEM, of a private authority, for mqtts; empty: the system's
  std::string client_id;  // empty: the broker gives one
  std::chrono::seconds keep_alive{15};
  std::chrono::milliseconds reconnect_min{250};
  std::chrono::milliseconds reconnect_max{10'000};
  // Last will, published retained by the broker when the connection breaks; empty topic: none.
  std::string will_topic;
  std::string will_payload;
  // MQTT 5 instead of 3.1.1: messages bring response topic and correlation data, and one that was published as retained
  // is seen to be so.
  bool mqtt5 = false;
};

enum class Retain { kNo, kYes };

class MqttClient {
 public:
  struct Message {
    std::string_view topic;
    std::string_view payload;
    bool retained;
    std::string_view response_topic = {};    // of MQTT 5; empty: none
    std::string_view correlation_data = {};  // likewise, any bytes
  };
  virtual ~MqttClient() = default;

  // All before start().  `on_connected` runs after every connection once the subscriptions are in force: publish
  // births from the thread that it wakes.  Each call adds one; the others replace.
  virtual void on_message(std::function<void(const Message&)> callback) = 0;
  virtual void on_connected(std::function<void()> callback) = 0;
  virtual void on_disconnected(std::function<void(std::string reason)> callback) = 0;
  // Once after publish() gave kFull, when there is room again.
  virtual void on_room(std::function<void()> callback) = 0;

  // Remembered, and made again at every connection.  May be called before or after start().
  virtual void subscribe(std::string filter, int qos) = 0;

  // Begins to connect, and goes on for ever.
  virtual void start() = 0;
  // Says goodbye (the will is not sent) and joins the client's threads: no callback runs afterwards.  Not from a
  // callback.
  virtual void stop() = 0;
  virtual bool connected() const = 0;

  // Hands the message to the library.  kUnavailable while not connected, kFull when too many messages or bytes wait for
  // the broker's acknowledgement; nothing is buffered in either case.
  virtual Result<void> publish(std::string_view topic, std::string_view payload, int qos, Retain retain) = 0;
  // To a response topic, at QoS 1, with the request's correlation data where the connection speaks MQTT 5.
  virtual Result<void> respond(std::string_view topic, std::string_view payload,
                               std::string_view /*correlation_data*/) {
    return publish(topic, payload, 1, Retain::kNo);
  }
};

std::unique_ptr<MqttClient> make_mqtt_client(MqttOptions options);

}  // namespace millrace
