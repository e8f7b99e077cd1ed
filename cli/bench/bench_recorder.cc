// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/bench_recorder.h"

#include "cli/bench/harness.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kConnectTimeout{10};

}  // namespace

Result<std::unique_ptr<BenchRecorder>> BenchRecorder::start(const std::filesystem::path& directory,
                                                            const Config& config, const Clock& clock,
                                                            Metrics& metrics) {
  auto log = open_rocksdb_event_log(directory / "log", clock);
  if (!log) return log.error();
  std::unique_ptr<BenchRecorder> made(new BenchRecorder);
  made->log_ = std::move(*log);
  const Topics topics(config.mqtt_root);
  made->broker_ = BrokerConnections::make(config, topics, std::string(kHubProducer));
  MqttClient& subscriber = *made->broker_.subscriber;
  MqttClient& publisher = *made->broker_.publisher;
  made->recorder_ = std::make_unique<Recorder>(RecorderOptions{}, *made->log_, subscriber, publisher, topics, clock,
                                               metrics, made->health_, [](auto) {});
  made->recorder_->start();
  made->broker_.start();
  if (!wait_until(clock, kConnectTimeout, [&] { return subscriber.connected() && publisher.connected(); })) {
    return make_error(Errc::kTimeout, "the recorder has no connection to the broker");
  }
  return made;
}

BenchRecorder::~BenchRecorder() { stop(); }

void BenchRecorder::stop() {
  broker_.subscriber->stop();
  recorder_->stop();
  broker_.publisher->stop();
}

}  // namespace millrace
