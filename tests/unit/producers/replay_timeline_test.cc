// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "producers/replay/slices.h"
#include "producers/replay/timeline.h"
#include "replay_story.h"

namespace millrace {
namespace {

using Document = nlohmann::json;
using testing::kRestartStory;

ReplayTimeline timeline(std::string_view text) {
  auto recording = parse_recording(text);
  EXPECT_TRUE(recording) << recording.error().message();
  return ReplayTimeline(*recording);
}

std::string klippy(const ReplayTimeline& timeline, double t) {
  const auto answer = timeline.answer("server.info", "{}", t);
  return answer ? Document::parse(*answer)["klippy_state"].get<std::string>() : "none";
}

TEST(ReplaySlicesTest, KeepTheBytes) {
  const std::string text = R"( {"a" : 1.50 , "b\u00fc":[ "x,}" , {"c":"\"]"} ], "d":null} )";
  const auto members = object_slices(text);
  ASSERT_EQ(members.size(), 3u);
  EXPECT_EQ(members[0].value, "1.50");
  EXPECT_EQ(members[1].key, "b\xc3\xbc");
  const auto items = array_slices(members[1].value);
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0], "\"x,}\"");
  EXPECT_EQ(items[1], R"({"c":"\"]"})");
  EXPECT_TRUE(array_slices("[]").empty());
  EXPECT_TRUE(object_slices("{}").empty());
}

TEST(ReplaySlicesTest, BrokenTextGivesWhatCanBeHadAndNeverCrashes) {
  for (const char* text :
       {"", "{", "{\"", "{\"a\"", "{\"a\":", "{\"a\":[", "[1,", "[\"\\", "{\"a\":1,,}", "x", "[]]"}) {
    object_slices(text);
    array_slices(text);
  }
  EXPECT_EQ(object_slices("{\"a\":1,\"b\"").size(), 1u);
}

TEST(ReplaySlicesTest, CanonicalFormIgnoresTheOrderOfMembers) {
  JsonReader a, b;
  EXPECT_EQ(canonical_json(*a.parse(R"({"x":{"q":1,"p":[2,1]},"a":null})")),
            canonical_json(*b.parse(R"({"a":null,"x":{"p":[2,1],"q":1}})")));
}

TEST(ReplaySlicesTest, OnlyWallTimesAreShifted) {
  JsonReader reader;
  const auto shifted = Document::parse(shift_wall_times(
      *reader.parse(R"({"start_time":1795209786.5,"end_time":null,"total_duration":1795209786.5,"time":12.5,
                        "list":[{"modified":1795209786}]})"),
      100));
  EXPECT_EQ(shifted["start_time"], 1795209886.5);
  EXPECT_TRUE(shifted["end_time"].is_null());
  EXPECT_EQ(shifted["total_duration"], 1795209786.5);
  EXPECT_EQ(shifted["time"], 12.5);
  EXPECT_EQ(shifted["list"][0]["modified"], 1795209886.0);
}

TEST(ReplayRecordingTest, TornLastLineIsLeftOutAndABrokenOneNamed) {
  const std::string good = R"({"t":1,"dir":"rx","msg":{"a":1}})";
  EXPECT_TRUE(parse_recording(good + "\n" + R"({"t":2,"dir":"rx","ms)"));
  const auto broken = parse_recording(good + "\nnonsense\n" + good + "\n");
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().context.find("line 2"), std::string::npos);
  EXPECT_FALSE(parse_recording(""));
  EXPECT_FALSE(parse_recording("[1,2]\n{}\n"));
  EXPECT_EQ(read_recording("/nonexistent/file.jsonl").error().code, Errc::kNotFound);
}

TEST(ReplayRecordingTest, FramesKeepTheirBytes) {
  const auto recording = parse_recording(
      "{\"t\":1,\"dir\":\"rx\",\"msg\":{\"a\": 1.500}}\n"
      "{\"t\":2,\"dir\":\"tx\",\"msg\":{\"_raw_text\":\"{bad\"}}\n");
  ASSERT_TRUE(recording);
  EXPECT_EQ(recording->frames[0].text, "{\"a\": 1.500}");
  EXPECT_EQ(recording->frames[1].text, "{bad");
}

TEST(ReplayTimelineTest, BeginsAtTheFirstSubscription) {
  const auto line = timeline(kRestartStory);
  EXPECT_EQ(line.begin(), 1.0);
  ASSERT_FALSE(line.steps().empty());
  EXPECT_GT(line.steps().front().t, 1.0);
}

TEST(ReplayTimelineTest, KlipperIsAsItWasAtEachInstant) {
  const auto line = timeline(kRestartStory);
  EXPECT_EQ(klippy(line, 1.0), "ready");
  EXPECT_EQ(klippy(line, 10.5), "disconnected");  // told by the notification, before anybody asked
  EXPECT_FALSE(line.answer("printer.info", "{}", 10.5));
  EXPECT_EQ(line.answer("printer.info", "{}", 10.5).error().code, 503);
  EXPECT_FALSE(line.objects(10.5));
  EXPECT_EQ(klippy(line, 11.5), "startup");
  EXPECT_EQ(klippy(line, 12.1), "ready");
}

TEST(ReplayTimelineTest, ClientThatAsksSoonerThanTheRecordedOneGetsItsAnswers) {
  const auto line = timeline(kRestartStory);
  // Klipper is ready again at 12.0; the recorded client asked at 12.5 and subscribed at 12.6.
  EXPECT_EQ(Document::parse(*line.answer("printer.info", "{}", 12.1))["process_id"], 200);
  EXPECT_EQ(line.objects(12.1)->field("print_stats", "state"), "\"standby\"");
  EXPECT_EQ(line.objects(9.0)->field("print_stats", "state"), "\"printing\"");
}

TEST(ReplayTimelineTest, HistoryShowsNoFuture) {
  const auto line = timeline(kRestartStory);
  const auto status = [&](double t) {
    std::string text;
    for (const auto& row : line.history(t)) {
      text += Document::parse(row.json)["job_id"].get<std::string>() + " " +
              Document::parse(row.json)["status"].get<std::string>() + "; ";
    }
    return text;
  };
  EXPECT_EQ(status(1.0), "000001 completed; ");
  EXPECT_EQ(status(5.0), "000001 completed; 000002 in_progress; ");
  EXPECT_EQ(status(10.2), "000001 completed; 000002 klippy_disconnect; ");
  EXPECT_EQ(status(30.0), "000001 completed; 000002 klippy_disconnect; ");
}

TEST(ReplayTimelineTest, ClosesBetweenConnectionsAreStepsAndTheLastOneIsNot) {
  const auto line = timeline(kRestartStory);
  std::vector<std::pair<double, int>> closes;
  for (const auto& step : line.steps()) {
    if (step.kind == ReplayStep::Kind::kClosed) closes.emplace_back(step.t, step.code);
  }
  EXPECT_EQ(closes, (std::vector<std::pair<double, int>>{{20.0, 1001}}));
}

TEST(ReplayTimelineTest, UnknownMethodsAndParametersSaySo) {
  const auto line = timeline(kRestartStory);
  EXPECT_EQ(line.answer("server.spoolman.status", "{}", 2).error().code, 404);
  EXPECT_EQ(line.answer("server.files.metadata", R"({"filename":"other"})", 2).error().code, 400);
  EXPECT_TRUE(line.answer("server.files.metadata", R"({"filename":"a.gcode"})", 2));
}

TEST(ReplayTimelineTest, OddFramesAreSurvived) {
  const auto line = timeline(R"({"t":0,"dir":"rx","msg":{"method":"notify_status_update","params":[]}}
{"t":1,"dir":"rx","msg":{"method":"notify_status_update","params":[7,"x"]}}
{"t":2,"dir":"rx","msg":{"method":"notify_history_changed","params":[{"job":{"job_id":7}}]}}
{"t":3,"dir":"rx","msg":[]}
{"t":4,"dir":"rx","msg":{"id":{},"result":null}}
{"t":5,"dir":"tx","msg":{"method":"printer.objects.subscribe","id":1}}
{"t":6,"dir":"rx","msg":{"id":1,"result":{"status":[1,2]}}}
{"t":7,"dir":"rx","msg":"text"}
{"t":8,"dir":"meta","msg":{"event":"closed","code":"x"}}
)");
  EXPECT_EQ(line.begin(), 6.0);
  EXPECT_TRUE(line.objects(8.0));
  EXPECT_TRUE(line.history(8.0).empty());
}

}  // namespace
}  // namespace millrace
