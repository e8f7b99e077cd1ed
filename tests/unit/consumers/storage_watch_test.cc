// SPDX-License-Identifier: Apache-2.0
#include "consumers/storage_watch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

TEST(StorageForecast, NothingIsSaidBeforeEnoughIsKnown) {
  StorageForecast forecast;
  EXPECT_FALSE(forecast.bytes_per_day());
  forecast.add({MonotonicTime{0s}, 0, kMiB});
  forecast.add({MonotonicTime{60s}, kMiB, kMiB});
  EXPECT_FALSE(forecast.bytes_per_day());
  EXPECT_FALSE(forecast.days_until_full());
}

TEST(StorageForecast, GrowthOfTheLastDayCounts) {
  StorageForecast forecast;
  uint64_t used = 0;
  for (int hour = 0; hour <= 72; ++hour) {
    used += hour <= 48 ? 100 * kMiB : 10 * kMiB;  // two busy days, then a quiet one
    forecast.add({MonotonicTime{hour * 3600s}, used, 2400 * kMiB});
  }
  EXPECT_NEAR(*forecast.bytes_per_day(), 240.0 * kMiB, 0.05 * 240 * kMiB);
  EXPECT_NEAR(*forecast.days_until_full(), 10, 0.5);
}

TEST(StorageForecast, DataThatShrinkNeverFillTheDisk) {
  StorageForecast forecast;
  forecast.add({MonotonicTime{0s}, 10 * kMiB, kMiB});
  forecast.add({MonotonicTime{3600s}, 5 * kMiB, kMiB});
  EXPECT_LT(*forecast.bytes_per_day(), 0);
  EXPECT_FALSE(forecast.days_until_full());
}

TEST(StorageWatch, FiguresAreOfTheFolderAndAWarningSaysWhatToDo) {
  const TemporaryDirectory directory;
  ManualClock clock;
  const auto metrics = make_metrics();
  Health health;
  StorageWatch watch({.warn_days = 1e9, .warn_share = 0}, directory.path(), clock, *metrics, health);
  std::filesystem::create_directories(directory / "log");
  std::ofstream(directory / "log" / "a") << std::string(100'000, 'x');
  watch.look();
  EXPECT_EQ(metrics->gauge("millrace_data_bytes", "").value(), 100'000);
  EXPECT_GT(metrics->gauge("millrace_disk_free_bytes", "").value(), 0);
  EXPECT_TRUE(std::isnan(metrics->gauge("millrace_data_growth_bytes_per_day", "").value()));
  EXPECT_TRUE(health.parts().at("storage").text.empty());
  clock.advance(12h);
  std::ofstream(directory / "log" / "b") << std::string(50'000, 'x');
  EXPECT_TRUE(std::isnan(metrics->gauge("millrace_disk_written_bytes_per_day", "").value()));
  watch.look();
  EXPECT_NEAR(metrics->gauge("millrace_data_growth_bytes_per_day", "").value(), 100'000, 1);
  EXPECT_GE(metrics->gauge("millrace_disk_written_bytes_per_day", "").value(), 0);
  const PartHealth part = health.parts().at("storage");
  EXPECT_TRUE(part.ready);
  EXPECT_NE(part.text.find("full in about"), std::string::npos) << part.text;
  EXPECT_NE(part.text.find("hub.telemetry_days"), std::string::npos);
}

}  // namespace
}  // namespace millrace
