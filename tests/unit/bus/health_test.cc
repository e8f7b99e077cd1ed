// SPDX-License-Identifier: Apache-2.0
#include "bus/health.h"

#include <gtest/gtest.h>

#include <thread>

#include "bus/metrics.h"

namespace millrace {
namespace {

TEST(Health, IsReadyWhenEveryPartIs) {
  Health health;
  EXPECT_TRUE(health.ready());
  health.set("log", true);
  health.set("recorder", false, "waiting for the broker");
  EXPECT_FALSE(health.ready());
  EXPECT_EQ(health.parts().at("recorder").text, "waiting for the broker");
  health.set("recorder", true);
  EXPECT_TRUE(health.ready());
  EXPECT_EQ(health.parts().at("recorder").text, "");
}

TEST(Health, ManyThreadsMaySpeakAndAsk) {
  Health health;
  std::thread speaker([&] {
    for (int i = 0; i < 500; ++i) health.set("log", i % 2 == 0, std::to_string(i));
  });
  for (int i = 0; i < 500; ++i) (void)(health.ready() ? health.parts().size() : 0);
  speaker.join();
  EXPECT_EQ(health.parts().at("log").text, "499");
}

TEST(Metrics, TextIsThePrometheusFormat) {
  const auto metrics = make_metrics();
  metrics->counter("events_total", "Events", {{"outcome", "appended"}}).add(3);
  metrics->gauge("queue_bytes", "Bytes waiting").set(1.5);
  const std::string text = metrics->text();
  for (const char* line :
       {"# HELP events_total Events\n", "# TYPE events_total counter\n", "events_total{outcome=\"appended\"} 3\n",
        "# TYPE queue_bytes gauge\n", "queue_bytes 1.5\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST(Metrics, SameNameAndLabelsAreTheSameSeries) {
  const auto metrics = make_metrics();
  Counter& first = metrics->counter("c_total", "C", {{"machine", "a"}});
  first.add();
  EXPECT_EQ(&metrics->counter("c_total", "C", {{"machine", "a"}}), &first);
  metrics->counter("c_total", "C", {{"machine", "b"}}).add(2);
  EXPECT_EQ(first.value(), 1);
  EXPECT_EQ(metrics->counter("c_total", "C", {{"machine", "b"}}).value(), 2);
}

TEST(Metrics, LabelsAreEscaped) {
  const auto metrics = make_metrics();
  metrics->counter("c_total", "C", {{"text", "a\"b\\c\nd"}}).add();
  EXPECT_NE(metrics->text().find(R"(c_total{text="a\"b\\c\nd"} 1)"), std::string::npos) << metrics->text();
}

TEST(Metrics, CountFromManyThreads) {
  const auto metrics = make_metrics();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) metrics->counter("c_total", "C").add();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(metrics->counter("c_total", "C").value(), 4000);
}

}  // namespace
}  // namespace millrace
