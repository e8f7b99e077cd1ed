// SPDX-License-Identifier: Apache-2.0
#include "cli/broker_connection.h"

namespace millrace {

namespace {

MqttOptions options_from(const Config& config) {
  MqttOptions options;
  options.url = config.mqtt_url;
  options.username = config.mqtt_username;
  options.password = config.mqtt_password;
  options.ca_file = config.mqtt_ca_file;
  return options;
}

}  // namespace

BrokerConnections BrokerConnections::make(const Config& config, const Topics& topics, const std::string& role) {
  MqttOptions options = options_from(config);
  BrokerConnections connections;
  connections.subscriber = make_mqtt_client(options);
  options.will_topic = topics.status(role);
  options.will_payload = "offline";
  connections.publisher = make_mqtt_client(options);
  return connections;
}

std::unique_ptr<MqttClient> make_command_client(const Config& config) {
  MqttOptions options = options_from(config);
  options.mqtt5 = true;
  return make_mqtt_client(options);
}

void BrokerConnections::start() {
  subscriber->start();
  publisher->start();
}

void BrokerConnections::stop() {
  subscriber->stop();
  publisher->stop();
}

}  // namespace millrace
