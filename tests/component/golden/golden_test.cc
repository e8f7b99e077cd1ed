// SPDX-License-Identifier: Apache-2.0
// Logs that released versions wrote are read by every later one.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "bus/log_schema.h"
#include "tests/golden/golden_log.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;
using nlohmann::json;
namespace fs = std::filesystem;

std::vector<fs::path> golden_logs() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(std::string(MILLRACE_SOURCE_DIR) + "/tests/golden")) {
    if (fs::exists(entry.path() / "expected.json")) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

class GoldenLogTest : public ::testing::TestWithParam<fs::path> {
 protected:
  GoldenLogTest() {
    fs::copy(GetParam() / "log", directory_ / "log", fs::copy_options::recursive);
    std::ifstream file(GetParam() / "expected.json");
    expected_ = json::parse(file);
  }

  uint64_t readable() const { return expected_["events"].get<uint64_t>() - expected_["expired"].get<uint64_t>(); }

  TemporaryDirectory directory_;
  SystemClock clock_;
  json expected_;
};

// Whatever was there is there with the same value; newer programs may say more.
void expect_within(const json& stored, const json& now, const std::string& where) {
  if (stored.is_object()) {
    for (const auto& [key, value] : stored.items()) {
      ASSERT_TRUE(now.contains(key)) << where << "." << key << " is gone";
      expect_within(value, now[key], where + "." + key);
    }
  } else if (stored.is_array()) {
    ASSERT_EQ(stored.size(), now.size()) << where;
    for (size_t i = 0; i < stored.size(); ++i) expect_within(stored[i], now[i], where + "[]");
  } else {
    EXPECT_EQ(stored, now) << where;
  }
}

TEST_P(GoldenLogTest, EveryEventReadsAsItDid) {
  const auto log = open_rocksdb_event_log(directory_ / "log", clock_).value();
  EXPECT_EQ(log->last().value, expected_["events"]);
  EXPECT_EQ(log->incarnation(), expected_["incarnation"]);
  EXPECT_EQ(root_text(log->info().value()), expected_["chain_root"]);
  std::istringstream now(golden_events_json(*log));
  std::ifstream stored(GetParam() / "events.jsonl");
  std::string line;
  std::string line_now;
  uint64_t events = 0;
  while (std::getline(stored, line)) {
    ASSERT_TRUE(std::getline(now, line_now)) << "after event " << events;
    expect_within(json::parse(line), json::parse(line_now), "event " + std::to_string(++events));
  }
  EXPECT_EQ(events, readable());
  EXPECT_FALSE(std::getline(now, line_now));
}

TEST_P(GoldenLogTest, ReaderBesideAHubReadsItToo) {
  const auto log = open_rocksdb_event_log_reader(directory_ / "log", directory_ / "scratch");
  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ((*log)->last().value, expected_["events"]);
}

TEST_P(GoldenLogTest, VerifiesAsItDid) {
  EXPECT_EQ(json::parse(golden_faults_json(directory_ / "log")), expected_["faults"]);
}

TEST_P(GoldenLogTest, ViewsAreWhatTheyWere) {
  const auto log = open_rocksdb_event_log(directory_ / "log", clock_).value();
  const json views = json::parse(golden_views_json(*log));
  for (const auto& [name, versions] : views.items()) {
    for (const auto& [version, digest] : versions.items()) {
      ASSERT_TRUE(expected_["views"].contains(name) && expected_["views"][name].contains(version))
          << "version " << version << " of " << name
          << " is new: look at what it makes of this log, then run golden_tool "
          << "views " << GetParam();
      EXPECT_EQ(expected_["views"][name][version], digest)
          << name << " gives something else for the same events: raise its version()";
    }
  }
}

TEST_P(GoldenLogTest, LogGoesOnWithThisProgramsSchema) {
  const auto log = open_rocksdb_event_log(directory_ / "log", clock_).value();
  const std::vector<Envelope> events{fact("later", 1, 1)};
  ASSERT_TRUE(log->append({events, {}, clock_.wall()}));
  EXPECT_EQ(log->last().value, expected_["events"].get<uint64_t>() + 1);
  const auto schemas = log->schemas().value();
  ASSERT_FALSE(schemas.empty());
  EXPECT_EQ(schemas.front().since, Position{1});
  EXPECT_EQ(schemas.back().crc, own_event_schema_crc());
  EXPECT_EQ(log->read({}, {}, {}).value().events.size(), readable() + 1);
}

INSTANTIATE_TEST_SUITE_P(Releases, GoldenLogTest, ::testing::ValuesIn(golden_logs()), [](const auto& info) {
  std::string name = info.param.filename().string();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

TEST(GoldenLogs, OneIsOfThisProgramsSchema) {
  bool found = false;
  for (const auto& golden : golden_logs()) {
    TemporaryDirectory directory;
    fs::copy(golden / "log", directory / "log", fs::copy_options::recursive);
    const auto log = open_rocksdb_event_log(directory / "log", SystemClock()).value();
    found |= log->schemas().value().back().crc == own_event_schema_crc();
  }
  EXPECT_TRUE(found) << "the schema has grown since the newest golden log: write it anew if its version is not yet "
                        "released, else raise the version; see tests/golden/README.md";
}

TEST(GoldenToolTest, WritesEveryEventTypeOfThisProgramAndAlwaysTheSame) {
  TemporaryDirectory directory;
  SystemClock clock;
  std::set<std::string> roots;
  std::set<EventType> types;
  for (const char* name : {"one", "two"}) {
    write_golden_log(directory / name);
    const auto log = open_rocksdb_event_log(directory / name, clock).value();
    roots.insert(root_text(log->info().value()));
    const auto read = log->read({}, {.events = 4096}, {}).value();
    for (const auto& event : read.events) types.insert(event.envelope.type());
  }
  EXPECT_EQ(roots.size(), 1u);
  for (const EventType type : schema::EnumValuesPayload()) {
    if (type == EventType::NONE) continue;
    EXPECT_TRUE(types.contains(type)) << name_of(type);
  }
}

}  // namespace
}  // namespace millrace
