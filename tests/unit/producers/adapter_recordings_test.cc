// SPDX-License-Identifier: Apache-2.0
// Each recorded session goes through the real adapter in virtual time and must give exactly the jobs that were printed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "bus/json_reader.h"
#include "tests/unit/producers/adapter_bench.h"

namespace millrace {
namespace {

using namespace testing;

std::filesystem::path recordings() {
  const char* elsewhere = std::getenv("MILLRACE_RECORDINGS");
  return elsewhere != nullptr ? std::filesystem::path(elsewhere)
                              : std::filesystem::path(MILLRACE_SOURCE_DIR) / "tests/recordings";
}

// Serves one recording: requests by method, notifications at their recorded distance after the subscription.
class Playback : private MachineLink, private EventSink {
 public:
  explicit Playback(const std::string& name, double speed = 1) : speed_(speed) {
    options_.machine_id = "m";
    options_.name = "m";
    load(recordings() / (name + ".jsonl"));
    adapter_ = std::make_unique<MoonrakerAdapter>(options_, "", clock_, random_, static_cast<MachineLink&>(*this),
                                                  static_cast<EventSink&>(*this), *metrics_);
  }

  void run() {
    clock_.set_wall(from_unix_us(static_cast<int64_t>(wall_at_start_ * 1e6)));
    adapter_->start();
    adapter_->on_link_open();
    answer();
    for (const Notification& notification : notifications_) {
      pass_until(notification.t);
      learn(notification.text);
      adapter_->on_link_text(notification.text);
      answer();
    }
    pass_until(now_ + 20);
    adapter_->stop();
  }

  // Of jobs that were not there before.
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    for (const EventDraft& draft : events) {
      const std::string line = describe(draft);
      const bool of_a_job =
          line.starts_with("Job") && !line.starts_with("JobProgressed") && !line.starts_with("JobQueue");
      if (of_a_job && !is_before(line)) lines.push_back(line);
    }
    return lines;
  }
  size_t count(EventType type) const {
    return static_cast<size_t>(std::ranges::count_if(events, [&](const auto& e) { return e.payload.type == type; }));
  }
  const schema::JobFinishedT* finished(const std::string& id) const {
    for (const EventDraft& draft : events) {
      const auto* end = draft.payload.AsJobFinished();
      if (end != nullptr && end->job_id == id) return end;
    }
    return nullptr;
  }
  // "paused q one.gcode, q two.gcode"
  std::vector<std::string> queues() const {
    std::vector<std::string> lines;
    for (const EventDraft& draft : events) {
      const auto* queue = draft.payload.AsJobQueueChanged();
      if (queue == nullptr) continue;
      lines.push_back(queue->state);
      for (const auto& job : queue->jobs) lines.back() += (&job == &queue->jobs[0] ? " " : ", ") + job->filename;
    }
    return lines;
  }
  // "m/klipper_shutdown: text" of each that was raised.
  std::vector<std::string> alarms() const {
    std::vector<std::string> lines;
    for (const EventDraft& draft : events) {
      if (const auto* raised = draft.payload.AsAlarmRaised()) lines.push_back(raised->alarm_id + ": " + raised->text);
    }
    return lines;
  }
  std::vector<std::string> before() const {
    std::vector<std::string> lines;
    for (const EventDraft& draft : events) {
      const std::string line = describe(draft);
      if (line.starts_with("JobFinished") && is_before(line)) lines.push_back(line);
    }
    return lines;
  }

  std::vector<EventDraft> events;

 private:
  struct Notification {
    double t;
    std::string text;
  };

  // History must not show the future: a row counts from the start only if its print began before the recording.
  void load(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::string line;
    JsonReader reader;
    std::map<int64_t, std::string> asked;
    bool subscribed = false;
    while (std::getline(file, line)) {
      const auto entry = reader.parse(line).value();
      const double t = *number_member(entry, "t");
      const std::string dir(*text_member(entry, "dir"));
      const auto message = *member(entry, "msg");
      if (const auto wall = number_member(message, "wall"); dir == "meta" && wall) wall_at_start_ = *wall;
      const auto id = integer_member(message, "id");
      const auto method = text_member(message, "method");
      if (dir == "tx" && method && id) asked[*id] = std::string(*method);
      if (dir != "rx") continue;
      if (method) {
        if (subscribed) notifications_.push_back({t, to_text(message)});
        continue;
      }
      if (!id || !asked.contains(*id)) continue;
      const auto result = member(message, "result");
      if (!result) continue;
      if (asked[*id] == "printer.objects.subscribe" && !subscribed) {
        subscribed = true;
        now_ = t;
      }
      if (asked[*id] == "server.history.list") remember_rows(*result);
      if (asked[*id] == "server.job_queue.status" && subscribed) continue;  // it would show the future
      answers_.try_emplace(asked[*id], to_text(*result));
    }
  }

  void remember_rows(const Json& result) {
    for (const Json row : member(result, "jobs")->get_array()) {
      const double start = *number_member(row, "start_time");
      if (start < wall_at_start_) rows_.emplace(start, to_text(row));
    }
  }

  void learn(const std::string& text) {
    JsonReader reader;
    const auto message = reader.parse(text).value();
    if (text_member(message, "method") != "notify_history_changed") return;
    const auto job = *member(message.at_key("params").at(0).value(), "job");
    rows_[*number_member(job, "start_time")] = to_text(job);
  }

  bool is_before(const std::string& line) const {
    return std::ranges::any_of(rows_, [&](const auto& row) {
      return row.first < wall_at_start_ &&
             line.find(std::to_string(static_cast<int64_t>(row.first))) != std::string::npos;
    });
  }

  void pass_until(double t) {
    const Micros step(static_cast<int64_t>(std::max(0.0, t - now_) / speed_ * 1e6));
    const MonotonicTime end = clock_.monotonic() + step;
    now_ = std::max(now_, t);
    for (;;) {
      const auto deadline = adapter_->next_deadline();
      if (!deadline || *deadline > end) break;
      if (*deadline > clock_.monotonic()) clock_.advance(*deadline - clock_.monotonic());
      adapter_->on_timer();
      answer();
    }
    if (end > clock_.monotonic()) clock_.advance(end - clock_.monotonic());
  }

  void answer() {
    while (!asked_.empty()) {
      const std::string request = asked_.front();
      asked_.erase(asked_.begin());
      JsonReader reader;
      const auto json = reader.parse(request).value();
      const std::string method(*text_member(json, "method"));
      std::string body = R"("error":{"code":-32601,"message":"Method not found"})";
      if (method == "server.history.list") {
        std::string rows;
        for (auto row = rows_.rbegin(); row != rows_.rend(); ++row) rows += (rows.empty() ? "" : ",") + row->second;
        if (*integer_member(*member(json, "params"), "start") > 0) rows.clear();
        body = fmt::format(R"("result":{{"count":{},"jobs":[{}]}})", rows_.size(), rows);
      } else if (const auto known = answers_.find(method); known != answers_.end()) {
        body = R"("result":)" + known->second;
      }
      adapter_->on_link_text(fmt::format(R"({{"jsonrpc":"2.0",{},"id":{}}})", body, *integer_member(json, "id")));
    }
  }

  void open() override {}
  bool send(std::string text) override {
    asked_.push_back(std::move(text));
    return true;
  }
  void close() override {}
  EventId next_id() const override { return {"m", 1, sequence_}; }
  void emit(std::vector<EventDraft> drafts, std::string_view) override {
    sequence_ += drafts.size();
    for (EventDraft& draft : drafts) events.push_back(std::move(draft));
  }

  const double speed_;
  MoonrakerAdapterOptions options_;
  ManualClock clock_;
  SeededRandom random_{1};
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  std::unique_ptr<MoonrakerAdapter> adapter_;
  std::map<std::string, std::string> answers_;
  std::map<double, std::string> rows_;
  std::vector<Notification> notifications_;
  std::vector<std::string> asked_;
  double wall_at_start_ = 0;
  double now_ = 0;
  uint64_t sequence_ = 1;
};

struct Story {
  std::string recording;
  std::vector<std::string> lines;
  std::string job;  // "" = none
  double total = 0;
  std::optional<double> printing;
  std::optional<double> filament;
};

void PrintTo(const Story& story, std::ostream* out) { *out << story.recording; }

class RecordingTest : public ::testing::TestWithParam<Story> {};

TEST_P(RecordingTest, GivesExactlyItsJobs) {
  const Story& story = GetParam();
  Playback playback(story.recording);
  playback.run();
  EXPECT_EQ(playback.lines(), story.lines);
  if (story.job.empty()) return;
  const auto* end = playback.finished(story.job);
  ASSERT_NE(end, nullptr);
  EXPECT_NEAR(end->total_duration.value_or(-1), story.total, 0.005);
  if (story.printing) {
    EXPECT_NEAR(end->print_duration.value_or(-1), *story.printing, 0.005);
  }
  if (story.filament) {
    EXPECT_NEAR(end->filament_used.value_or(-1), *story.filament, 0.0005);
  }
}

// Holds run in real time while a replay runs faster; the jobs must not depend on it.
TEST_P(RecordingTest, GivesTheSameAtTwentyTimesTheSpeed) {
  Playback playback(GetParam().recording, 20);
  playback.run();
  EXPECT_EQ(playback.lines(), GetParam().lines);
}

// Before these, whoever recorded them set the rig's temperatures by hand, to save the time of warming up.
bool was_warmed_by_hand(const std::string& recording) {
  for (const char* prefix : {"a10", "a11", "a13", "a14"}) {
    if (recording.starts_with(prefix)) return true;
  }
  return false;
}

// They are sessions of a machine that is well.  At another speed its clock does run away from the adapter's.
TEST_P(RecordingTest, RaisesNoAlarmAtAnySpeed) {
  for (const double speed : {1.0, 20.0}) {
    Playback playback(GetParam().recording, speed);
    playback.run();
    std::vector<std::string> alarms = playback.alarms();
    if (speed != 1.0) std::erase_if(alarms, [](const auto& alarm) { return alarm.starts_with("m/clock_off"); });
    if (was_warmed_by_hand(GetParam().recording)) {
      std::erase_if(alarms, [](const std::string& alarm) {
        return alarm.starts_with("m/sensor_jump/") || alarm.starts_with("m/temperature_runaway/");
      });
    }
    EXPECT_EQ(alarms, std::vector<std::string>()) << "speed " << speed;
  }
}

// Sub-folder, umlauts, CJK, emoji and a percent sign, byte for byte.
constexpr const char* kUnicodeName = "sub dir/ünï/Würfel 20mm – тест 測試 🚀 (v2) 100%.gcode";

std::string started(const std::string& id, const std::string& file) {
  return "JobStarted m." + id + " " + file + " live";
}
std::string finished(const std::string& id, const std::string& outcome, const std::string& total) {
  return "JobFinished m." + id + " " + outcome + " - rank 2 " + total;
}

TEST(Recordings, TheJobQueueIsToldWheneverItChanges) {
  Playback playback("a07_exclude_object_job_queue");
  playback.run();
  EXPECT_EQ(playback.queues(),
            (std::vector<std::string>{"paused q one.gcode, q two.gcode", "loading q one.gcode, q two.gcode",
                                      "starting q one.gcode, q two.gcode", "paused q two.gcode", "paused"}));
}

TEST(Recordings, ShowEarlierPrintsAsJobsOfTheirOwn) {
  Playback first("a01_complete_orca");
  first.run();
  EXPECT_EQ(first.before(),
            (std::vector<std::string>{"JobFinished m.1795209667123813 failed klipper_error rank 2 1.96"}));
  Playback tenth("a10_cancel_standard_macro");
  tenth.run();
  EXPECT_EQ(tenth.before(), (std::vector<std::string>{"JobFinished m.1795210257053286 cancelled - rank 2 137.01"}));
}

TEST(Recordings, ProgressOfAPrintIsTold) {
  Playback playback("a01_complete_orca");
  playback.run();
  EXPECT_GE(playback.count(EventType::JobProgressed), 2u);
  EXPECT_LE(playback.count(EventType::JobProgressed), 8u);  // 72 s, at most one in 10 s
  EXPECT_GE(playback.count(EventType::TelemetrySampled), 50u);
  EXPECT_LE(playback.count(EventType::TelemetrySampled), 100u);
}

INSTANTIATE_TEST_SUITE_P(
    Table, RecordingTest,
    ::testing::Values(
        Story{"a01_complete_orca",
              {started("1795209786041954", "xyz-10mm-cube.gcode"), finished("1795209786041954", "completed", "71.99")},
              "m.1795209786041954",
              71.99,
              27.20,
              26.188},
        Story{"a02_pause_resume_prusa",
              {started("1795209961964364", "prusa_cubes.gcode"), "JobPaused m.1795209961964364 unknown",
               "JobResumed m.1795209961964364", finished("1795209961964364", "completed", "143.83")},
              "m.1795209961964364",
              143.83,
              45.24,
              18.813},
        Story{"a03_cancel_superslicer",
              {started("1795210110673221", "superslicer.gcode"), finished("1795210110673221", "cancelled", "33.28")},
              "m.1795210110673221",
              33.28,
              0.0,
              0.0},
        Story{"a04_gpio_objects", {}, ""}, Story{"a06_gcode_script_semantics", {}, ""},
        Story{"a08_metadata_all_slicers", {}, ""},
        Story{"a05_unicode_filename_runout",
              {started("1795210181459043", kUnicodeName), "JobPaused m.1795210181459043 filament_runout",
               "JobResumed m.1795210181459043", finished("1795210181459043", "completed", "66.64")},
              "m.1795210181459043",
              66.64},
        Story{"a07_exclude_object_job_queue",
              {started("1795210555891030", "q one.gcode"), finished("1795210555891030", "completed", "102.02")},
              "m.1795210555891030",
              102.02},
        Story{"a10_cancel_standard_macro",
              {started("1795210471367653", "superslicer.gcode"), finished("1795210471367653", "cancelled", "63.85")},
              "m.1795210471367653",
              63.85,
              1.50,
              1.276},
        Story{
            "a11_complete_simplify3d",
            {started("1795210677310079", "simplify3d part.gcode"), finished("1795210677310079", "completed", "66.16")},
            "m.1795210677310079",
            66.16},
        Story{"a12_complete_kisslicer",
              {started("1795210762324949", "kisslicer part.gcode"), finished("1795210762324949", "completed", "45.39")},
              "m.1795210762324949",
              45.39},
        // 1795210825.2763646 s: the product is ...364.5, and halves go to even.
        Story{
            "a13_complete_ideamaker",
            {started("1795210825276364", "ideamaker part.gcode"), finished("1795210825276364", "completed", "109.64")},
            "m.1795210825276364",
            109.64},
        Story{"a14_exclude_object",
              {started("1795211014467017", "excl.gcode"),
               "JobObjectExcluded m.1795211014467017 XYZ-10MM-CALIBRATION-CUBE.STL_ID_0_COPY_0 1/1",
               finished("1795211014467017", "completed", "22.92")},
              "m.1795211014467017",
              22.92,
              2.21,
              2.589}),
    [](const auto& info) { return info.param.recording.substr(0, 3); });

}  // namespace
}  // namespace millrace
