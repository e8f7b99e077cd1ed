// SPDX-License-Identifier: Apache-2.0
// The only file that includes Paho.  Reconnection is our own: a thread per client connects, makes the subscriptions
// again and only then tells its owner.  Paho's consumer queue is not used: it acknowledges messages nobody has taken
// yet.
#include "bus/mqtt_client.h"

#include <fmt/format.h>
#include <mqtt/async_client.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "bus/flight_control.h"
#include "bus/logging.h"

namespace millrace {
namespace {

constexpr int kMaxInflight = 1000;  // the broker is configured alike; fewer make the sender wait for whole seconds
// Bytes of QoS 1 that wait for their acknowledgement.  More would fill the socket's buffer, and a write that Paho could
// not finish at once goes on only when its receiving thread looks next, a second later; some of what was handed to it
// meanwhile is never sent (seen with 1.3.12: 4 of 14,392 publishes of 60 KiB, docs/decisions/0019).  A connection
// within this computer has a buffer of 2.5 MB, one to another computer begins with 87 KB.
constexpr size_t kBytesInFlightWithin = 384u << 10;
constexpr size_t kBytesInFlightBeyond = 64u << 10;
const std::string kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";  // of Debian's ca-certificates
constexpr size_t kMaxTlsError = 200;                                          // bytes, in the log
constexpr const char* kConnectFailure = "TCP/TLS connect failure";            // of Paho
constexpr int kMaxBuffered = 2 * kMaxInflight;
constexpr std::chrono::seconds kConnectTimeout{5};
constexpr std::chrono::seconds kSubscribeTimeout{5};
constexpr std::chrono::seconds kDisconnectTimeout{2};

// "mqtt://host:port" in Paho's words.
std::string paho_url(const std::string& url) {
  if (url.starts_with("mqtts://")) return "ssl://" + url.substr(8);
  if (url.starts_with("mqtt://")) return "tcp://" + url.substr(7);
  return url;
}

bool is_tls(std::string_view url) { return url.starts_with("mqtts://"); }

// "C0F6...:error:0A000086:SSL routines:some_function:certificate verify failed:file.c:1889:" is how OpenSSL prints its
// errors: the reason is what people need.
std::string_view reason_of_tls_error(std::string_view said) {
  constexpr std::string_view kMark = ":error:";
  const size_t mark = said.find(kMark);
  std::string_view rest = mark == std::string_view::npos ? said : said.substr(mark + kMark.size());
  for (int part = 0; mark != std::string_view::npos && part < 3; ++part) {
    const size_t colon = rest.find(':');
    if (colon == std::string_view::npos) return said;
    rest.remove_prefix(colon + 1);
  }
  return rest.substr(0, rest.find_first_of(":\n"));
}

bool is_this_computer(const std::string& url) {
  const auto host = url.substr(std::min(url.size(), url.find("//") + 2));
  return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]");
}

// Fills `connect` where it lies: this Paho's copies of options with properties point into the original.
void fill(mqtt::connect_options& connect, const MqttOptions& options, mqtt::ssl_options::error_handler on_tls_error) {
  if (options.mqtt5) {
    connect.set_mqtt_version(MQTTVERSION_5);
    connect.set_clean_start(true);
  } else {
    connect.set_mqtt_version(MQTTVERSION_3_1_1);
    connect.set_clean_session(true);
  }
  connect.set_keep_alive_interval(options.keep_alive);
  connect.set_connect_timeout(kConnectTimeout);
  connect.set_max_inflight(kMaxInflight);
  if (!options.username.empty()) connect.set_user_name(options.username);
  if (!options.password.empty()) connect.set_password(options.password);
  if (!options.will_topic.empty()) {
    connect.set_will_message(mqtt::message(options.will_topic, options.will_payload, 1, true));
  }
  if (is_tls(options.url)) {
    // The certificate has to be for the URL's host.
    auto tls = mqtt::ssl_options_builder().verify(true).enable_server_cert_auth(true);
    tls.trust_store(options.ca_file.empty() ? kSystemAuthorities : options.ca_file);
    tls.error_handler(std::move(on_tls_error));
    connect.set_ssl(tls.finalize());
  }
  if (options.mqtt5) connect.set_properties(mqtt::properties{});
}

mqtt::create_options create_options_for(const MqttOptions& options) {
  return mqtt::create_options_builder()
      .mqtt_version(options.mqtt5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1)
      .send_while_disconnected(false)
      .max_buffered_messages(kMaxBuffered)
      .finalize();
}

// Of a message of MQTT 5; empty where there is none, and for any other message.
std::string property_of(const mqtt::message& message, mqtt::property::code code) {
  const mqtt::properties& properties = message.get_properties();
  return properties.contains(code) ? mqtt::get<std::string>(properties, code) : std::string();
}

class PahoClient final : public MqttClient, private mqtt::iaction_listener {
 public:
  explicit PahoClient(MqttOptions options)
      : options_(std::move(options)),
        client_(paho_url(options_.url), options_.client_id, create_options_for(options_)) {
    fill(connect_options_, options_, [this](const std::string& said) { note_tls_error(said); });
  }

  ~PahoClient() override { stop(); }

  void on_message(std::function<void(const Message&)> callback) override { on_message_ = std::move(callback); }
  void on_connected(std::function<void()> callback) override { on_connected_.push_back(std::move(callback)); }
  void on_disconnected(std::function<void(std::string)> callback) override { on_disconnected_ = std::move(callback); }
  void on_room(std::function<void()> callback) override { on_room_ = std::move(callback); }

  void subscribe(std::string filter, int qos) override {
    std::unique_lock lock(mutex_);
    subscriptions_[filter] = qos;
    if (!connected_) return;  // the connecting thread makes it
    lock.unlock();
    try {
      client_.subscribe(filter, qos, subscribe_options());
    } catch (const mqtt::exception& error) {
      lose(error.what());
    }
  }

  void start() override {
    client_.set_message_callback([this](mqtt::const_message_ptr message) {
      if (!on_message_) return;
      std::lock_guard lock(callbacks_);
      const auto& payload = message->get_payload_ref();
      const std::string response_topic = property_of(*message, mqtt::property::RESPONSE_TOPIC);
      const std::string correlation = property_of(*message, mqtt::property::CORRELATION_DATA);
      on_message_({message->get_topic(),
                   {payload.data(), payload.size()},
                   message->is_retained(),
                   response_topic,
                   correlation});
    });
    client_.set_connection_lost_handler([this](const std::string& cause) { lose(cause); });
    thread_ = std::thread([this] { keep_connected(); });
  }

  void stop() override {
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
    connected_ = false;
    disconnect();
    std::lock_guard lock(callbacks_);  // one that is still running ends first
  }

  bool connected() const override { return connected_; }

  Result<void> publish(std::string_view topic, std::string_view payload, int qos, Retain retain) override {
    return send(mqtt::make_message(std::string(topic), payload.data(), payload.size(), qos, retain == Retain::kYes));
  }

  Result<void> respond(std::string_view topic, std::string_view payload, std::string_view correlation) override {
    auto message = mqtt::make_message(std::string(topic), payload.data(), payload.size(), 1, false);
    if (options_.mqtt5 && !correlation.empty()) {
      mqtt::properties properties;
      properties.add(mqtt::property(mqtt::property::CORRELATION_DATA, mqtt::binary(correlation)));
      message->set_properties(properties);
    }
    return send(std::move(message));
  }

 private:
  Result<void> send(mqtt::message_ptr message) {
    const std::string& topic = message->get_topic();
    if (!connected_) return make_error(Errc::kUnavailable, fmt::format("no connection to {}", options_.url));
    const auto mark = flight_.take_off(topic.size() + message->get_payload_ref().size());
    if (!mark) return make_error(Errc::kFull, fmt::format("publish to {}: too much waits for the broker", topic));
    try {
      client_.publish(message, reinterpret_cast<void*>(*mark), *this);
      return {};
    } catch (const mqtt::exception& error) {
      flight_.land(*mark);
      const bool full = error.get_return_code() == MQTTASYNC_MAX_MESSAGES_INFLIGHT ||
                        error.get_return_code() == MQTTASYNC_MAX_BUFFERED_MESSAGES ||
                        error.get_return_code() == MQTTASYNC_NO_MORE_MSGIDS;
      return make_error(full ? Errc::kFull : Errc::kUnavailable, fmt::format("publish to {}: {}", topic, error.what()));
    }
  }

  mqtt::subscribe_options subscribe_options() const {
    mqtt::subscribe_options subscribe;
    subscribe.set_retain_as_published(options_.mqtt5);
    return subscribe;
  }

  // The broker has the message, or never will.  On Paho's thread.
  void on_success(const mqtt::token& token) override { landed(token); }
  void on_failure(const mqtt::token& token) override { landed(token); }
  void landed(const mqtt::token& token) {
    if (!flight_.land(reinterpret_cast<uint64_t>(token.get_user_context())) || !on_room_) return;
    std::lock_guard lock(callbacks_);
    on_room_();
  }

  // Runs on Paho's thread: only takes note and wakes our own.
  void lose(const std::string& cause) {
    std::lock_guard lock(mutex_);
    connected_ = false;
    lost_ = true;
    lost_cause_ = cause;
    wake_.notify_all();  // under the lock: whoever has it afterwards may end this object
  }

  void keep_connected() {
    auto pause = options_.reconnect_min;
    while (!stopping()) {
      if (connect()) {
        pause = options_.reconnect_min;
        wait_until_lost();
      } else {
        std::unique_lock lock(mutex_);
        wake_.wait_for(lock, pause, [this] { return stopping_; });
        pause = std::min(pause * 2, options_.reconnect_max);
      }
    }
  }

  bool stopping() {
    std::lock_guard lock(mutex_);
    return stopping_;
  }

  void wait_until_lost() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return lost_ || stopping_; });
    if (stopping_) return;
    const std::string cause = lost_cause_;
    lock.unlock();
    log_warn("mqtt", "connection to {} lost{}{}", options_.url, cause.empty() ? "" : ": ", cause);
    if (on_disconnected_) on_disconnected_(cause);
  }

  bool connect() {
    {
      std::lock_guard lock(mutex_);
      lost_ = false;
    }
    flight_.begin();
    try {
      const auto token = client_.connect(connect_options_);
      if (!token->wait_for(kConnectTimeout + std::chrono::seconds(1)))
        throw mqtt::exception(MQTTASYNC_FAILURE, "timeout");
      while (!subscribed_and_connected()) {
      }
    } catch (const mqtt::exception& error) {
      report_refused(error.what());
      disconnect();  // a half-made connection would refuse every further attempt
      return false;
    }
    if (!connected_) return true;  // gone again: wait_until_lost() returns at once
    refused_reported_ = false;
    log_info("mqtt", "connected to {}", options_.url);
    for (const auto& callback : on_connected_) callback();
    return true;
  }

  void disconnect() {
    try {
      if (client_.is_connected())
        client_.disconnect(static_cast<int>(kDisconnectTimeout.count() * 1000))->wait_for(kDisconnectTimeout);
    } catch (const mqtt::exception& error) {
      log_debug("mqtt", "goodbye to {} failed: {}", options_.url, error.what());
    }
  }

  // Makes every subscription, then declares the connection up; false when one was added meanwhile.
  bool subscribed_and_connected() {
    std::map<std::string, int> subscriptions;
    {
      std::lock_guard lock(mutex_);
      subscriptions = subscriptions_;
    }
    for (const auto& [filter, qos] : subscriptions) {
      if (!client_.subscribe(filter, qos, subscribe_options())->wait_for(kSubscribeTimeout)) {
        throw mqtt::exception(MQTTASYNC_FAILURE, "no answer to subscribe");
      }
    }
    std::lock_guard lock(mutex_);
    if (subscriptions != subscriptions_) return false;
    connected_ = !lost_;
    return true;
  }

  // Once per outage, so that a broker that is away for hours does not fill the log.
  void report_refused(const std::string& cause) {
    std::string why;
    {
      std::lock_guard lock(mutex_);
      why.swap(tls_said_);
    }
    if (refused_reported_) return;
    refused_reported_ = true;
    if (why.empty() && is_tls(options_.url) && cause.find(kConnectFailure) != std::string::npos) {
      why = "nothing listens there, it speaks no TLS, or its certificate is for another name";
    }
    log_warn("mqtt", "cannot connect to {}: {}{}{}; trying on", options_.url, cause, why.empty() ? "" : ": ", why);
  }

  // Paho itself says only that there was something.  On its thread.
  void note_tls_error(std::string_view said) {
    std::lock_guard lock(mutex_);
    if (tls_said_.empty()) tls_said_ = reason_of_tls_error(said).substr(0, kMaxTlsError);
  }

  const MqttOptions options_;
  mqtt::connect_options connect_options_;  // one long-lived object: copies are unsafe in this Paho
  std::function<void(const Message&)> on_message_;
  std::vector<std::function<void()>> on_connected_;
  std::function<void(std::string)> on_disconnected_;
  std::function<void()> on_room_;
  std::mutex callbacks_;  // held while one of them runs on Paho's thread
  const SystemClock clock_;
  FlightControl flight_{is_this_computer(options_.url) ? kBytesInFlightWithin : kBytesInFlightBeyond, clock_};
  mqtt::async_client client_;  // its threads call back into what stands before it

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool lost_ = false;
  std::string lost_cause_;
  std::string tls_said_;
  std::map<std::string, int> subscriptions_;
  std::atomic<bool> connected_{false};
  bool refused_reported_ = false;  // the connecting thread's own
  std::thread thread_;
};

}  // namespace

std::unique_ptr<MqttClient> make_mqtt_client(MqttOptions options) {
  return std::make_unique<PahoClient>(std::move(options));
}

}  // namespace millrace
