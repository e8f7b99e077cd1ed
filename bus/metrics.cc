// SPDX-License-Identifier: Apache-2.0
// The only file that includes prometheus-cpp.
#include "bus/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>

namespace millrace {
namespace {

class PrometheusCounter final : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter& series) : series_(series) {}
  void add(double amount) override { series_.Increment(amount); }
  double value() const override { return series_.Value(); }

 private:
  prometheus::Counter& series_;
};

class PrometheusGauge final : public Gauge {
 public:
  explicit PrometheusGauge(prometheus::Gauge& series) : series_(series) {}
  void set(double value) override { series_.Set(value); }
  double value() const override { return series_.Value(); }

 private:
  prometheus::Gauge& series_;
};

using SeriesKey = std::pair<std::string, Labels>;

class PrometheusMetrics final : public Metrics {
 public:
  Counter& counter(const std::string& name, const std::string& help, const Labels& labels) override {
    std::lock_guard lock(mutex_);
    auto& series = counters_[{name, labels}];
    if (!series) {
      auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
      series = std::make_unique<PrometheusCounter>(family.Add(labels));
    }
    return *series;
  }

  Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels) override {
    std::lock_guard lock(mutex_);
    auto& series = gauges_[{name, labels}];
    if (!series) {
      auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
      series = std::make_unique<PrometheusGauge>(family.Add(labels));
    }
    return *series;
  }

  std::string text() const override { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

 private:
  std::mutex mutex_;
  // Merge: asking for a family again with the same name gives the same one.
  prometheus::Registry registry_{prometheus::Registry::InsertBehavior::Merge};
  std::map<SeriesKey, std::unique_ptr<PrometheusCounter>> counters_;
  std::map<SeriesKey, std::unique_ptr<PrometheusGauge>> gauges_;
};

}  // namespace

std::unique_ptr<Metrics> make_metrics() { return std::make_unique<PrometheusMetrics>(); }

}  // namespace millrace
