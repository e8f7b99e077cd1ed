// SPDX-License-Identifier: Apache-2.0
// Recordings served through real sockets: what a client folds is what was recorded.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "producers/simulator/simulator.h"
#include "replay_story.h"
#include "sim_client.h"
#include "tests/support/event_fixtures.h"

namespace millrace::testing {
namespace {

const std::filesystem::path kRecordings = std::filesystem::path(MILLRACE_SOURCE_DIR) / "tests" / "recordings";

struct Told {
  Document objects = Document::object();  // as subscribed to
  Document status = Document::object();
  std::optional<double> last_eventtime;
  size_t updates = 0;
};

// What the file itself says, folded independently of the product.
Told told_by(const std::filesystem::path& path) {
  Told told;
  std::ifstream file(path);
  std::map<std::string, Document> asked;
  for (std::string line; std::getline(file, line);) {
    const Document entry = Document::parse(line);
    const Document& message = entry["msg"];
    if (!message.is_object()) continue;
    if (entry["dir"] == "tx" && message.value("method", "") == "printer.objects.subscribe") {
      asked[message["id"].dump()] = message["params"]["objects"];
    }
    if (entry["dir"] != "rx") continue;
    if (message.contains("id") && asked.contains(message["id"].dump())) {
      told.objects = asked[message["id"].dump()];
      fold(told.status, message["result"]["status"]);
      asked.erase(message["id"].dump());
    } else if (message.value("method", "") == "notify_status_update") {
      fold(told.status, message["params"][0]);
      told.last_eventtime = message["params"][1].get<double>();
      ++told.updates;
    }
  }
  return told;
}

class ReplayServerTest : public ::testing::Test {
 protected:
  ~ReplayServerTest() override {
    client_.reset();
    thread_.call([&] { server_.reset(); });
  }

  void start(const std::filesystem::path& recording, double speed, bool rebase = false) {
    ReplayOptions options;
    options.recording = recording;
    options.speed = speed;
    options.rebase = rebase;
    thread_.call([&] {
      auto started = ReplayServer::start(thread_.loop(), thread_.clock(), options);
      ASSERT_TRUE(started) << started.error().message();
      server_ = std::move(*started);
      port_ = server_->port();
    });
    client_ = std::make_unique<SimClient>(thread_, port_);
    ASSERT_TRUE(client_->open());
  }

  void start_story(double speed) {
    story_.emplace();
    std::ofstream(*story_ / "story.jsonl") << kRestartStory;
    start(*story_ / "story.jsonl", speed);
  }

  static bool has_eventtime(const std::vector<Document>& frames, double eventtime) {
    for (const Document& frame : frames) {
      if (frame.value("method", "") == "notify_status_update" && frame["params"][1] == eventtime) return true;
    }
    return false;
  }

  void reopen() {
    const auto deadline = std::chrono::steady_clock::now() + SimClient::kDeadline;
    while (!client_->open() && std::chrono::steady_clock::now() < deadline) {
    }
  }

  LoopThread thread_;
  std::unique_ptr<ReplayServer> server_;
  std::unique_ptr<SimClient> client_;
  std::optional<TemporaryDirectory> story_;
  uint16_t port_ = 0;
};

class EveryRecordingTest : public ReplayServerTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(EveryRecordingTest, ClientFoldsWhatTheFileFolds) {
  const auto path = kRecordings / (GetParam() + ".jsonl");
  const Told told = told_by(path);
  start(path, 200);
  client_->request("server.connection.identify", {{"client_name", "test"}});
  EXPECT_EQ(client_->request("server.info")["result"]["klippy_state"], "ready");
  const auto answer = client_->request("printer.objects.subscribe", {{"objects", told.objects}});
  ASSERT_TRUE(answer.contains("result")) << answer;
  Document status = answer["result"]["status"];
  if (told.last_eventtime) {
    ASSERT_TRUE(client_->wait([&](const auto& frames) { return has_eventtime(frames, *told.last_eventtime); }));
  }
  const auto updates = client_->notifications("notify_status_update");
  EXPECT_EQ(updates.size(), told.updates);
  for (const Document& update : updates) fold(status, update["params"][0]);
  EXPECT_TRUE(status == told.status) << Document::diff(told.status, status).dump().substr(0, 2'000);
}

INSTANTIATE_TEST_SUITE_P(Recorded, EveryRecordingTest,
                         ::testing::Values("a01_complete_orca", "a02_pause_resume_prusa", "a03_cancel_superslicer",
                                           "a04_gpio_objects", "a05_unicode_filename_runout",
                                           "a06_gcode_script_semantics", "a07_exclude_object_job_queue",
                                           "a08_metadata_all_slicers", "a10_cancel_standard_macro",
                                           "a11_complete_simplify3d", "a12_complete_kisslicer",
                                           "a13_complete_ideamaker", "a14_exclude_object"),
                         [](const auto& info) { return info.param; });

TEST_F(ReplayServerTest, RequestsAreAnsweredByMethodAndParameters) {
  start(kRecordings / "a01_complete_orca.jsonl", 1);
  EXPECT_EQ(client_->request("printer.info")["result"]["process_id"], 10669);
  EXPECT_EQ(client_->request("server.files.metadata", {{"filename", "xyz-10mm-cube.gcode"}})["result"]["layer_count"],
            50);
  EXPECT_EQ(client_->request("server.spoolman.status")["error"]["code"], -32601);
  EXPECT_EQ(client_->request("no.such.method")["error"]["code"], -32601);
  EXPECT_EQ(web(port_, "GET", "/printer/info").body["result"]["process_id"], 10669);
  const auto some =
      client_->request("printer.objects.subscribe", {{"objects", {{"extruder", {"temperature"}}, {"nope", nullptr}}}});
  EXPECT_EQ(some["result"]["status"], Document::parse(R"({"extruder":{"temperature":23.52},"nope":{}})"));
}

TEST_F(ReplayServerTest, TheQueueIsAsItWasToldSoFar) {
  start(kRecordings / "a07_exclude_object_job_queue.jsonl", 200);
  EXPECT_EQ(client_->request("server.job_queue.status")["result"]["queued_jobs"], Document::array());
  client_->request("printer.objects.subscribe", {{"objects", {{"print_stats", nullptr}}}});
  ASSERT_TRUE(client_->wait([](const auto& frames) {
    size_t changes = 0;
    for (const auto& frame : frames) changes += frame.value("method", "") == "notify_job_queue_changed";
    return changes >= 4;
  }));
  EXPECT_LE(client_->request("server.job_queue.status")["result"]["queued_jobs"].size(), 1u);
}

TEST_F(ReplayServerTest, HistoryGrowsWithTheReplay) {
  start(kRecordings / "a01_complete_orca.jsonl", 200);
  const auto before = client_->request("server.history.list", {{"limit", 50}, {"order", "desc"}})["result"];
  ASSERT_EQ(before["count"], 1);
  EXPECT_EQ(before["jobs"][0]["status"], "klippy_shutdown");
  client_->request("printer.objects.subscribe", {{"objects", {{"print_stats", nullptr}}}});
  ASSERT_TRUE(client_->wait([](const auto& frames) {
    size_t changes = 0;
    for (const auto& frame : frames) changes += frame.value("method", "") == "notify_history_changed";
    return changes == 2;
  }));
  const auto after = client_->request("server.history.list", {{"limit", 1}})["result"]["jobs"];
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0]["start_time"], 1795209786.0419538);
  EXPECT_EQ(after[0]["status"], "completed");
  EXPECT_EQ(client_->request("server.history.list", {{"limit", 1}, {"order", "asc"}})["result"]["jobs"][0]["job_id"],
            "000001");
}

TEST_F(ReplayServerTest, RebaseBringsTheTimesToNow) {
  start(kRecordings / "a01_complete_orca.jsonl", 200, true);
  const double now = static_cast<double>(to_unix_us(SystemClock().wall())) / 1e6;
  client_->request("printer.objects.subscribe", {{"objects", {{"print_stats", nullptr}}}});
  ASSERT_TRUE(client_->wait_for_method("notify_history_changed"));
  const double start = client_->notifications("notify_history_changed")[0]["params"][0]["job"]["start_time"];
  EXPECT_NEAR(start, now + 1.25, 10);
  EXPECT_EQ(client_->request("server.history.list", {{"limit", 1}})["result"]["jobs"][0]["start_time"], start);
}

TEST_F(ReplayServerTest, RestartsOfKlipperAndMoonrakerArePlayedToo) {
  start_story(20);
  const Document objects{{"objects", {{"webhooks", nullptr}, {"print_stats", nullptr}}}};
  client_->request("printer.objects.subscribe", objects);
  ASSERT_TRUE(client_->wait_for_method("notify_klippy_disconnected"));
  EXPECT_FALSE(client_->notifications("notify_klippy_disconnected")[0].contains("params"));
  ASSERT_TRUE(client_->wait_for_method("notify_klippy_ready"));
  EXPECT_EQ(client_->request("printer.objects.subscribe", objects)["result"]["status"]["print_stats"]["state"],
            "standby");
  ASSERT_TRUE(client_->wait_closed());
  EXPECT_EQ(client_->closed().code, 1001);
  reopen();
  client_->request("printer.objects.subscribe", objects);
  ASSERT_TRUE(client_->wait([](const auto& frames) { return has_eventtime(frames, 73.0); }));
  EXPECT_EQ(client_->request("printer.objects.query", objects)["result"]["status"]["print_stats"]["filename"],
            "b.gcode");
  EXPECT_EQ(client_->request("server.history.list")["result"]["jobs"][0]["status"], "klippy_disconnect");
}

TEST_F(ReplayServerTest, ClientThatComesLateGetsTheStateOfThatInstant) {
  start_story(500);
  const Document objects{{"objects", {{"print_stats", nullptr}}}};
  client_->request("printer.objects.subscribe", objects);
  ASSERT_TRUE(client_->wait_closed());
  const auto deadline = std::chrono::steady_clock::now() + SimClient::kDeadline;
  bool ended = false;
  while (!ended && std::chrono::steady_clock::now() < deadline) thread_.call([&] { ended = server_->ended(); });
  ASSERT_TRUE(ended);
  reopen();
  EXPECT_EQ(client_->request("printer.objects.subscribe", objects)["result"]["status"]["print_stats"]["state"],
            "printing");
}

TEST_F(ReplayServerTest, HttpRecordingIsServedByMethodPathAndQueryInOrder) {
  start(kRecordings / "http_04_emergency_stop_not_ready_503.jsonl", 1);
  EXPECT_EQ(web(port_, "POST", "/printer/emergency_stop").body["result"], "ok");
  EXPECT_EQ(web(port_, "GET", "/printer/info").body["result"]["state"], "shutdown");
  const auto gcode = web(port_, "POST", "/printer/gcode/script?script=M117%20x");
  EXPECT_EQ(gcode.status, 400);
  EXPECT_EQ(gcode.body["error"]["message"], "Unknown");
  int last = 200;
  bool was_away = false;
  for (int i = 0; i < 40; ++i) {
    last = web(port_, "GET", "/printer/info").status;
    was_away = was_away || last == 503;
  }
  EXPECT_TRUE(was_away);
  EXPECT_EQ(last, 200);
  EXPECT_EQ(web(port_, "GET", "/never/recorded").status, 404);
}

TEST(ReplayStartTest, SaysWhatIsWrong) {
  IoLoop loop;
  SystemClock clock;
  ReplayOptions options;
  options.recording = "/nonexistent.jsonl";
  EXPECT_EQ(ReplayServer::start(loop, clock, options).error().code, Errc::kNotFound);
  options.recording = kRecordings / "a01_complete_orca.jsonl";
  options.speed = -1;
  EXPECT_EQ(ReplayServer::start(loop, clock, options).error().code, Errc::kInvalidArgument);
}

}  // namespace
}  // namespace millrace::testing
