// SPDX-License-Identifier: Apache-2.0
// Plain MQTT sensors, a real Mosquitto, the producer of the [[sensor]] entries and a hub's recorder.
#include "producers/sensors/sensors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "bus/sensor_names.h"
#include "tests/component/line/line.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;

constexpr auto kTopic = "tele/shelf/SENSOR";

class SensorsComponentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    broker_.start();
    publisher_ = client();
    publisher_->start();
    ASSERT_TRUE(eventually([&] { return publisher_->connected(); }));
  }
  ~SensorsComponentTest() override { stop_sensors(); }

  std::unique_ptr<MqttClient> client() const {
    MqttOptions options;
    options.url = broker_.url();
    options.reconnect_min = options.reconnect_max = 50ms;
    return make_mqtt_client(options);
  }
  void start_hub() { hub_.emplace(directory_ / "log", broker_.url()); }
  void start_sensors() {
    SensorsOptions options;
    options.entries = {{kTopic, "AM2301.Temperature", "voron-2", "sensor shelf", "temperature", 600s}};
    options.outbox_directory = directory_ / "outbox";
    sensor_subscriber_ = client();
    sensor_publisher_ = client();
    loop_.emplace();
    sensors_ = std::make_unique<Sensors>(*loop_, options, *sensor_subscriber_, *sensor_publisher_, Topics{}, clock_,
                                         *metrics_, health_);
    ASSERT_TRUE(sensors_->start().has_value());
    thread_ = std::thread([this] { loop_->run(); });
    sensor_subscriber_->start();
    sensor_publisher_->start();
    ASSERT_TRUE(eventually([&] { return sensor_subscriber_->connected() && sensor_publisher_->connected(); }));
  }
  void stop_sensors() {
    if (!thread_.joinable()) return;
    sensor_subscriber_->stop();
    sensor_publisher_->stop();
    loop_->post([this] { sensors_->stop(); });
    loop_->stop();
    thread_.join();
    sensors_.reset();
    loop_.reset();
  }
  void say(double celsius, Retain retain = Retain::kNo) {
    const std::string payload = fmt::format(R"({{"Time":"now","AM2301":{{"Temperature":{}}}}})", celsius);
    (void)publisher_->publish(kTopic, payload, 1, retain);
  }
  // The values in the log, in its order.
  std::vector<double> recorded() const {
    std::vector<double> values;
    EventFilter filter;
    filter.types = {EventType::TelemetrySampled};
    const auto page = hub_->log().read(Position{0}, {.events = 1000}, filter);
    for (const RecordedEvent& event : page->events) {
      if (event.envelope.producer() != kSensorsProducer || event.envelope.machine() != "voron-2") continue;
      for (const schema::Signal* signal : *event.envelope.as<schema::TelemetrySampled>()->signals()) {
        if (text(signal->object()) == "sensor shelf" && text(signal->field()) == "temperature") {
          values.push_back(signal->value());
        }
      }
    }
    return values;
  }
  double refused(const std::string& reason) {
    return metrics_->counter("millrace_sensor_refused_total", "", {{"reason", reason}}).value();
  }
  // Again and again, because nobody knows when the subscription is in force.
  bool say_until_recorded(double celsius) {
    return eventually([&] {
      say(celsius);
      const auto values = recorded();
      return !values.empty() && values.back() == celsius;
    });
  }

  SystemClock clock_;
  TemporaryDirectory directory_;
  Broker broker_{directory_.path()};
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  Health health_;
  std::unique_ptr<MqttClient> publisher_, sensor_subscriber_, sensor_publisher_;
  std::optional<LineHub> hub_;
  std::optional<IoLoop> loop_;
  std::unique_ptr<Sensors> sensors_;
  std::thread thread_;
};

TEST_F(SensorsComponentTest, WhatASensorSaysIsInTheLogAsItsMachinesSample) {
  start_hub();
  start_sensors();
  ASSERT_TRUE(say_until_recorded(21.5));
  ASSERT_TRUE(say_until_recorded(22.25));
  EXPECT_LE(recorded().size(), 3u);  // changes at most once a second, and nothing twice
}

TEST_F(SensorsComponentTest, WhatTheBrokerKeptIsRefused) {
  say(99, Retain::kYes);
  start_hub();
  start_sensors();
  ASSERT_TRUE(eventually([&] { return refused("retained") == 1; }));
  ASSERT_TRUE(say_until_recorded(21.5));
  EXPECT_EQ(recorded().front(), 21.5);
}

TEST_F(SensorsComponentTest, NonsenseAndHugePayloadsAreCountedAndTheNextNumberArrives) {
  start_hub();
  start_sensors();
  ASSERT_TRUE(say_until_recorded(21.5));
  ASSERT_TRUE(publisher_->publish(kTopic, "warm", 1, Retain::kNo).has_value());
  ASSERT_TRUE(eventually([&] { return refused("no_number") == 1; }));
  ASSERT_TRUE(publisher_->publish(kTopic, std::string(1u << 20, '1'), 1, Retain::kNo).has_value());
  ASSERT_TRUE(eventually([&] { return refused("too_large") == 1; }));
  ASSERT_TRUE(say_until_recorded(23));
}

TEST_F(SensorsComponentTest, ValuesWaitInTheOutboxForAHubThatIsAway) {
  start_sensors();
  ASSERT_TRUE(eventually([&] {
    say(21.5);
    return metrics_->counter("millrace_sensor_messages_total", "").value() > 0;
  }));
  stop_sensors();  // as a process that ends
  start_hub();
  start_sensors();
  EXPECT_TRUE(eventually([&] { return recorded() == std::vector<double>{21.5}; }));
}

}  // namespace
}  // namespace millrace
