// SPDX-License-Identifier: Apache-2.0
#include "bus/logging.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "bus/clock.h"
#include "bus/file_io.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using testing::TemporaryDirectory;

class LoggingTest : public ::testing::Test {
 protected:
  ~LoggingTest() override { (void)start_logging({}); }  // back to what other tests expect

  void start(LogLevel level, bool json) {
    LoggingOptions options{.level = level, .json = json, .file = directory_ / "log"};
    ASSERT_TRUE(start_logging(options));
  }
  std::vector<std::string> lines() {
    std::istringstream stream(read_file(directory_ / "log").value());
    std::vector<std::string> found;
    for (std::string line; std::getline(stream, line);) found.push_back(line);
    return found;
  }

  TemporaryDirectory directory_;
};

TEST_F(LoggingTest, JsonLinesAreValidJson) {
  start(LogLevel::kInfo, true);
  log_info("recorder", "{} said \"{}\"", "m1", "a\nb\t\xff{}");
  log_warn("x\"y", "%v %n {{}}");
  const auto found = lines();
  ASSERT_EQ(found.size(), 2u);
  const auto first = nlohmann::json::parse(found[0]);
  EXPECT_EQ(first.at("level"), "info");
  EXPECT_EQ(first.at("component"), "recorder");
  EXPECT_EQ(first.at("message"), "m1 said \"a\nb\t\xEF\xBF\xBD{}\"");
  EXPECT_TRUE(parse_rfc3339(first.at("time").get<std::string>()));
  EXPECT_EQ(nlohmann::json::parse(found[1]).at("message"), "%v %n {}");
}

TEST_F(LoggingTest, TextLinesNameTheirPart) {
  start(LogLevel::kInfo, false);
  log_error("log", "disk {} full", 1);
  ASSERT_EQ(lines().size(), 1u);
  EXPECT_NE(lines()[0].find("[log] disk 1 full"), std::string::npos);
  EXPECT_NE(lines()[0].find("error"), std::string::npos);
}

TEST_F(LoggingTest, LowerLevelsAreLeftOut) {
  start(LogLevel::kWarn, true);
  EXPECT_FALSE(log_enabled(LogLevel::kInfo));
  EXPECT_TRUE(log_enabled(LogLevel::kError));
  log_info("a", "not this");
  log_debug("a", "nor this");
  log_warn("a", "this");
  EXPECT_EQ(lines().size(), 1u);
}

TEST_F(LoggingTest, FileThatCannotBeOpenedIsAnError) {
  ASSERT_TRUE(write_file_durably(directory_ / "plain", ""));
  LoggingOptions options;
  options.file = (directory_ / "plain").string() + "/log";
  EXPECT_EQ(start_logging(options).error().code, Errc::kIo);
}

TEST_F(LoggingTest, FileRotatesAtItsSize) {
  ASSERT_TRUE(
      start_logging({.level = LogLevel::kInfo, .file = directory_ / "log", .file_max_bytes = 2000, .file_count = 2}));
  for (int i = 0; i < 200; ++i) log_info("a", "line {}", i);
  EXPECT_LE(std::filesystem::file_size(directory_ / "log"), 2000u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_.path()), {}), 3);
}

TEST(LogLevel, NamesOfBothConventionsAreKnown) {
  EXPECT_EQ(parse_log_level("trace").value(), LogLevel::kTrace);
  EXPECT_EQ(parse_log_level("debug").value(), LogLevel::kDebug);
  EXPECT_EQ(parse_log_level("INFO").value(), LogLevel::kInfo);
  EXPECT_EQ(parse_log_level("WARNING").value(), LogLevel::kWarn);
  EXPECT_EQ(parse_log_level("Warn").value(), LogLevel::kWarn);
  EXPECT_EQ(parse_log_level("error").value(), LogLevel::kError);
  EXPECT_EQ(parse_log_level("CRITICAL").value(), LogLevel::kError);
  EXPECT_EQ(parse_log_level("off").value(), LogLevel::kOff);
  for (const char* bad : {"", "loud", "info ", "1"}) {
    EXPECT_EQ(parse_log_level(bad).error().code, Errc::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace millrace
