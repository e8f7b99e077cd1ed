// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "producers/simulator/history.h"
#include "producers/simulator/status.h"

namespace millrace {
namespace {

using Document = nlohmann::json;

StatusFilter filter(const std::string& objects) {
  JsonReader reader;
  std::string error;
  auto filter = StatusFilter::read(*reader.parse(objects), error);
  EXPECT_TRUE(filter) << error;
  return filter.value_or(StatusFilter{});
}

TEST(SimStatusTest, DeltaHoldsOnlyWhatChanged) {
  HostState state;
  const auto before = render_status(state);
  state.extruder.temperature = 41.5;
  state.print = PrintState::kPrinting;
  const auto delta = status_delta(before, render_status(state));
  const auto frame = status_notification(delta, filter(R"({"extruder":null,"print_stats":null,"fan":null})"), 12.5);
  ASSERT_TRUE(frame);
  EXPECT_EQ(Document::parse(*frame)["params"],
            Document::parse(R"([{"extruder":{"temperature":41.5},"print_stats":{"state":"printing"}},12.5])"));
}

TEST(SimStatusTest, NothingWantedGivesNoFrame) {
  HostState state;
  const auto before = render_status(state);
  state.extruder.temperature = 41.5;
  const auto delta = status_delta(before, render_status(state));
  EXPECT_FALSE(status_notification(delta, filter(R"({"extruder":["target"],"fan":null})"), 1));
  EXPECT_FALSE(status_notification({}, filter(R"({"extruder":null})"), 1));
}

TEST(SimStatusTest, AnswerHasEveryObjectAskedForAndUnknownOnesEmpty) {
  const auto answer = Document::parse(
      status_answer(render_status({}), filter(R"({"nope":null,"extruder":["target","x"],"webhooks":null})"), 3));
  EXPECT_EQ(
      answer["status"],
      Document::parse(
          R"({"nope":{},"extruder":{"target":0.0},"webhooks":{"state":"ready","state_message":"Printer is ready"}})"));
}

// config is what was written, settings what Klipper made of it.
TEST(SimStatusTest, TellsItsConfiguration) {
  const auto told = [](const HostState& state) {
    return Document::parse(status_answer(render_status(state), filter(R"({"configfile":["config","settings"]})"),
                                         3))["status"]["configfile"];
  };
  const auto file = told({});
  EXPECT_EQ(file["config"]["extruder"]["max_temp"], "300");
  EXPECT_EQ(file["settings"]["extruder"]["max_temp"], 300.0);
  EXPECT_EQ(file["settings"]["stepper_z"]["position_min"], HostState::axis_minimum[2]);
  EXPECT_EQ(file["config"]["heater_fan hotend_fan"]["heater"], "extruder");
  EXPECT_EQ(file["settings"]["heater_fan hotend_fan"]["heater"], Document::array({"extruder"}));
  HostState without_heaters;
  without_heaters.has_heaters = false;
  EXPECT_FALSE(told(without_heaters)["settings"].contains("extruder"));
}

TEST(SimStatusTest, WrongShapesAreErrors) {
  JsonReader reader;
  std::string error;
  EXPECT_FALSE(StatusFilter::read(*reader.parse("[]"), error));
  EXPECT_EQ(error, "Invalid Argument Type [objects]");
  EXPECT_FALSE(StatusFilter::read(*reader.parse(R"({"fan":"speed"})"), error));
  EXPECT_EQ(error, "Invalid argument");
}

TEST(SimStatusTest, FiltersWithTheSameMeaningShareTheirKey) {
  EXPECT_EQ(filter(R"({"a":null,"b":["x","y"]})").key(), filter(R"({"b":["y","x"],"a":null})").key());
  EXPECT_NE(filter(R"({"a":null})").key(), filter(R"({"a":[]})").key());
}

TEST(SimStatusTest, EveryValueIsJsonEvenWithOddNumbersAndNames) {
  HostState state;
  state.extruder.temperature = std::numeric_limits<double>::quiet_NaN();
  state.filename = "a\"\\\n\xff.gcode";
  state.objects = {"\"quoted\""};
  StatusFilter all = filter(R"({"extruder":null,"print_stats":null,"exclude_object":null,"toolhead":null,"mcu":null})");
  const auto answer = Document::parse(status_answer(render_status(state), all, 1));
  EXPECT_TRUE(answer["status"]["extruder"]["temperature"].is_null());
  EXPECT_EQ(answer["status"]["exclude_object"]["objects"][0]["name"], "\"quoted\"");
}

class SimHistoryTest : public ::testing::Test {
 protected:
  SimHistoryTest() {
    for (uint64_t number = 1; number <= 5; ++number) {
      ShownHistoryRow row;
      row.number = number;
      row.start_time = 1000.0 * static_cast<double>(number);
      if (number < 5) row.end_time = row.start_time + 500;
      row.total_duration = 500;
      row.ended = number < 5;
      row.json = R"({"job_id":")" + moonraker_job_id(number) + "\"}";
      rows_.push_back(row);
    }
  }
  std::vector<std::string> list(const std::string& params) {
    JsonReader reader;
    const auto answer = Document::parse(history_list_answer(rows_, read_history_query(*reader.parse(params))));
    std::vector<std::string> ids;
    for (const auto& row : answer["jobs"]) ids.push_back(row["job_id"]);
    EXPECT_EQ(answer["count"], ids.size());
    return ids;
  }
  using Ids = std::vector<std::string>;
  std::vector<ShownHistoryRow> rows_;
};

TEST_F(SimHistoryTest, NewestFirstInPages) {
  EXPECT_EQ(list(R"({"limit":2})"), (Ids{"000005", "000004"}));
  EXPECT_EQ(list(R"({"limit":2,"start":2})"), (Ids{"000003", "000002"}));
  EXPECT_EQ(list(R"({"limit":2,"start":4})"), (Ids{"000001"}));
  EXPECT_EQ(list(R"({"start":9})"), Ids{});
  EXPECT_EQ(list(R"({"limit":"2","start":"1","order":"asc"})"), (Ids{"000002", "000003"}));
}

TEST_F(SimHistoryTest, SinceComparesStartAndBeforeComparesEnd) {
  EXPECT_EQ(list(R"({"since":3000})"), (Ids{"000005", "000004"}));
  EXPECT_EQ(list(R"({"before":2600})"), (Ids{"000002", "000001"}));
}

TEST_F(SimHistoryTest, OddParametersCountAsAbsent) {
  EXPECT_EQ(list(R"({"limit":-3,"start":"x","order":7,"since":[],"before":{}})").size(), 5u);
  EXPECT_EQ(list(R"({"limit":1e300})").size(), 5u);
}

TEST_F(SimHistoryTest, TotalsCountEndedRows) {
  const auto totals = Document::parse(history_totals_answer(rows_))["job_totals"];
  EXPECT_EQ(totals["total_jobs"], 4.0);
  EXPECT_EQ(totals["total_time"], 2000.0);
  EXPECT_FALSE(history_job_answer(rows_, "ABCDEF"));
  EXPECT_FALSE(history_job_answer(rows_, "zz"));
  EXPECT_TRUE(history_job_answer(rows_, "000003"));
}

}  // namespace
}  // namespace millrace
