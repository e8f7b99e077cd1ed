// SPDX-License-Identifier: Apache-2.0
// Counters and gauges for /metrics.  A family has one name, one help text and series that differ in their labels.
// Handles are cheap to copy, thread-safe, and valid as long as the registry.
#pragma once

#include <map>
#include <memory>
#include <string>

namespace millrace {

using Labels = std::map<std::string, std::string>;

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void add(double amount = 1) = 0;
  virtual double value() const = 0;
};

class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void set(double value) = 0;
  virtual double value() const = 0;
};

class Metrics {
 public:
  virtual ~Metrics() = default;
  // The same name and labels give the same series.  Names end in _total for counters and in their unit otherwise.
  virtual Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {}) = 0;
  virtual Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {}) = 0;
  // Prometheus text format 0.0.4.
  virtual std::string text() const = 0;
};

std::unique_ptr<Metrics> make_metrics();

}  // namespace millrace
