// SPDX-License-Identifier: Apache-2.0
// A simulated machine seen through real sockets.
#include <gtest/gtest.h>

#include "producers/simulator/shop.h"
#include "producers/simulator/simulator.h"
#include "sim_client.h"

namespace millrace::testing {
namespace {

class SimMoonrakerTest : public ::testing::Test {
 protected:
  ~SimMoonrakerTest() override {
    clients_.clear();
    thread_.call([&] { simulator_.reset(); });
  }

  void start(const std::string& behaviour, const std::string& scene = "", double speed = 1) {
    SimulatorOptions options;
    options.machines = {{"Test printer", "printer", 0, behaviour, scene, 0.05}};
    options.seed = 11;
    options.speed = speed;
    options.update_interval_s = 0.05;
    thread_.call([&] {
      auto started = Simulator::start(thread_.loop(), thread_.clock(), options);
      ASSERT_TRUE(started) << started.error().message();
      simulator_ = std::move(*started);
      port_ = simulator_->ports().at(0);
    });
  }

  SimClient& client() {
    clients_.push_back(std::make_unique<SimClient>(thread_, port_));
    EXPECT_TRUE(clients_.back()->open());
    return *clients_.back();
  }

  static bool has_status(const std::vector<Document>& frames, const std::function<bool(const Document&)>& wanted) {
    for (const Document& frame : frames) {
      if (frame.is_object() && frame.value("method", "") == "notify_status_update" && wanted(frame["params"][0])) {
        return true;
      }
    }
    return false;
  }

  LoopThread thread_;
  std::unique_ptr<Simulator> simulator_;
  uint16_t port_ = 0;
  std::vector<std::unique_ptr<SimClient>> clients_;
};

const Document kAll = Document::parse(
    R"({"objects":{"webhooks":null,"print_stats":null,"extruder":null,"toolhead":null,"idle_timeout":null,
        "virtual_sdcard":null,"heater_bed":["temperature"]}})");

TEST_F(SimMoonrakerTest, HandshakeGivesTheRealShapes) {
  start("idle");
  SimClient& c = client();
  EXPECT_TRUE(c.request("server.connection.identify", {{"client_name", "t"}})["result"]["connection_id"].is_number());
  const auto info = c.request("server.info")["result"];
  EXPECT_EQ(info["klippy_state"], "ready");
  EXPECT_TRUE(info["klippy_connected"]);
  EXPECT_EQ(info["api_version"], Document::parse("[1,5,0]"));
  EXPECT_EQ(c.request("printer.info")["result"]["state"], "ready");
  const auto objects = c.request("printer.objects.list")["result"]["objects"];
  for (const char* name :
       {"webhooks", "print_stats", "virtual_sdcard", "display_status", "toolhead", "gcode_move", "motion_report",
        "extruder", "heater_bed", "temperature_sensor chamber", "fan", "heater_fan hotend_fan", "idle_timeout",
        "pause_resume", "filament_switch_sensor runout", "exclude_object", "mcu", "system_stats"}) {
    EXPECT_NE(std::find(objects.begin(), objects.end(), name), objects.end()) << name;
  }
  for (const char* method :
       {"server.history.totals", "server.files.list", "server.temperature_store", "server.gcode_store",
        "machine.system_info", "machine.proc_stats", "server.job_queue.status", "access.info", "server.history.list"}) {
    EXPECT_TRUE(c.request(method).contains("result")) << method;
  }
  EXPECT_TRUE(c.wait_for_method("notify_proc_stat_update"));
}

TEST_F(SimMoonrakerTest, SnapshotThenOnlyDeltasOfWhatWasAskedFor) {
  start("steady", "under_way");
  SimClient& c = client();
  const auto answer = c.request("printer.objects.subscribe", kAll)["result"];
  EXPECT_EQ(answer["status"]["print_stats"]["state"], "printing");
  EXPECT_EQ(answer["status"]["heater_bed"].size(), 1u);
  ASSERT_TRUE(c.wait_for_method("notify_status_update"));
  ASSERT_TRUE(c.wait([&](const auto& frames) {
    return has_status(frames, [](const Document& delta) { return delta.contains("print_stats"); });
  }));
  for (const Document& frame : c.notifications("notify_status_update")) {
    for (const auto& [object, fields] : frame["params"][0].items()) {
      EXPECT_TRUE(kAll["objects"].contains(object)) << object;
      EXPECT_FALSE(fields.contains("filename"));  // never changed
    }
    EXPECT_TRUE(frame["params"][1].is_number());
  }
}

TEST_F(SimMoonrakerTest, FoldedDeltasEqualAFreshQuery) {
  start("idle");
  SimClient& c = client();
  Document status = c.request("printer.objects.subscribe",
                              {{"objects", {{"print_stats", nullptr}, {"extruder", {"target"}}}}})["result"]["status"];
  EXPECT_EQ(c.request("printer.gcode.script", {{"script", "M104 S205"}})["result"], "ok");
  ASSERT_TRUE(c.wait([&](const auto& frames) {
    return has_status(frames, [](const Document& delta) { return delta.contains("extruder"); });
  }));
  for (const Document& frame : c.notifications("notify_status_update")) fold(status, frame["params"][0]);
  const auto fresh =
      c.request("printer.objects.query", {{"objects", {{"print_stats", nullptr}, {"extruder", {"target"}}}}});
  EXPECT_EQ(fresh["result"]["status"], status);
  EXPECT_EQ(status["extruder"]["target"], 205.0);
}

TEST_F(SimMoonrakerTest, EmptySubscriptionEndsTheUpdatesOfThisConnectionOnly) {
  start("steady", "under_way");
  SimClient& quiet = client();
  SimClient& loud = client();
  quiet.request("printer.objects.subscribe", kAll);
  loud.request("printer.objects.subscribe", kAll);
  EXPECT_EQ(quiet.request("printer.objects.subscribe", {{"objects", Document::object()}})["result"]["status"],
            Document::object());
  const size_t before = quiet.notifications("notify_status_update").size();
  const size_t seen = loud.notifications("notify_status_update").size();
  ASSERT_TRUE(loud.wait([&](const auto& frames) {
    size_t count = 0;
    for (const auto& frame : frames) count += frame.value("method", "") == "notify_status_update";
    return count >= seen + 3;
  }));
  EXPECT_EQ(quiet.notifications("notify_status_update").size(), before);
}

TEST_F(SimMoonrakerTest, ErrorsAreMoonrakers) {
  start("idle");
  SimClient& c = client();
  EXPECT_EQ(c.request("no.such")["error"], Document::parse(R"({"code":-32601,"message":"Method not found"})"));
  EXPECT_EQ(c.request("server.history.get_job", {{"uid", "ABCDEF"}})["error"]["code"], -32601);
  EXPECT_EQ(c.request("server.files.metadata", {{"filename", "x"}})["error"]["message"],
            "Metadata not available for <x>");
  EXPECT_EQ(c.request("printer.objects.query", {{"objects", "bad"}})["error"]["code"], 400);
  EXPECT_EQ(c.request("printer.print.start", {{"filename", "missing.gcode"}})["error"],
            Document::parse(R"({"code":400,"message":"Unable to open file"})"));
  EXPECT_EQ(c.request("printer.info", Document::array())["error"]["code"], -32602);
  c.send("{not json");
  ASSERT_TRUE(c.wait(
      [](const auto& frames) { return frames.back().contains("error") && frames.back()["error"]["code"] == -32700; }));
  c.send(R"({"method":"server.info","id":"no version"})");
  ASSERT_TRUE(c.wait(
      [](const auto& frames) { return frames.back().contains("error") && frames.back()["error"]["code"] == -32600; }));
}

TEST_F(SimMoonrakerTest, BatchIsOneAnswerAndOddFramesAreSilent) {
  start("idle");
  SimClient& c = client();
  for (const char* silent : {"[]", "7", R"({"jsonrpc":"2.0","id":1})", R"({"jsonrpc":"2.0","method":"server.info"})"}) {
    c.send(silent);
  }
  c.send(R"([{"jsonrpc":"2.0","method":"server.info","id":"a"},{"jsonrpc":"2.0","method":"nope","id":"b"}])");
  ASSERT_TRUE(c.wait([](const auto& frames) {
    return std::any_of(frames.begin(), frames.end(), [](const Document& frame) { return frame.is_array(); });
  }));
  for (const Document& frame : c.frames()) {
    if (frame.is_array()) {
      ASSERT_EQ(frame.size(), 2u);
      EXPECT_EQ(frame[0]["id"], "a");
      EXPECT_EQ(frame[1]["error"]["code"], -32601);
    } else {
      EXPECT_TRUE(frame.contains("method")) << frame;  // only notifications besides
    }
  }
}

TEST_F(SimMoonrakerTest, SameMethodsOverHttp) {
  start("steady", "under_way");
  EXPECT_EQ(web(port_, "GET", "/server/info").body["result"]["klippy_state"], "ready");
  const auto query =
      web(port_, "GET", "/printer/objects/query?webhooks&extruder=temperature,target&heater_fan%20hotend_fan");
  EXPECT_EQ(query.body["result"]["status"]["extruder"].size(), 2u);
  EXPECT_TRUE(query.body["result"]["status"]["heater_fan hotend_fan"].contains("speed"));
  EXPECT_EQ(web(port_, "GET", "/server/history/list?limit=2&order=asc").body["result"]["count"], 2);
  EXPECT_EQ(web(port_, "GET", "/server/history/job?uid=000001").body["result"]["job"]["job_id"], "000001");
  EXPECT_EQ(web(port_, "GET", "/server/history/job?uid=ABCDEF").status, 404);
  EXPECT_EQ(web(port_, "GET", "/no/such/endpoint").body["error"]["message"], "Not Found");
  EXPECT_EQ(web(port_, "GET", "/printer/print/start").status, 405);
  EXPECT_EQ(web(port_, "POST", "/printer/objects/query", "{not json").body["result"]["status"], Document::object());
  EXPECT_EQ(web(port_, "POST", "/printer/objects/query", R"({"objects":{"fan":null}})").body["result"]["status"].size(),
            1u);
  EXPECT_EQ(web(port_, "POST", "/printer/objects/subscribe", R"({"objects":{"fan":null}})").status, 400);
  EXPECT_EQ(web(port_, "POST", "/printer/gcode/script").body["error"]["message"], "Missing Argument [script]");
  EXPECT_EQ(web(port_, "POST", "/printer/print/pause").body["result"], "ok");
  EXPECT_EQ(web(port_, "POST", "/printer/emergency_stop").body["result"], "ok");
  const auto refused = web(port_, "POST", "/printer/gcode/script?script=M117%20x");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.body["error"]["message"], "Unknown");
  EXPECT_EQ(web(port_, "POST", "/server/jsonrpc", R"({"jsonrpc":"2.0","method":"nope","id":6})").body["error"]["code"],
            -32601);
}

TEST_F(SimMoonrakerTest, PrintTellsStatusBeforeHistory) {
  start("idle");
  SimClient& c = client();
  c.request("printer.objects.subscribe", kAll);
  const std::string file = c.request("server.files.list")["result"][0]["path"];
  EXPECT_EQ(c.request("printer.print.start", {{"filename", file}})["result"], "ok");
  ASSERT_TRUE(c.wait_for_method("notify_history_changed"));
  size_t printing = 0, added = 0, at = 0;
  for (const Document& frame : c.frames()) {
    ++at;
    if (frame.value("method", "") == "notify_history_changed") added = at;
    if (printing == 0 && has_status({frame}, [](const Document& delta) {
          return delta.contains("print_stats") && delta["print_stats"].value("state", "") == "printing";
        })) {
      printing = at;
    }
  }
  EXPECT_GT(printing, 0u);
  EXPECT_GT(added, printing);
  const auto change = c.notifications("notify_history_changed")[0]["params"][0];
  EXPECT_EQ(change["action"], "added");
  EXPECT_EQ(change["job"]["filename"], file);
  EXPECT_EQ(change["job"]["status"], "in_progress");
  EXPECT_EQ(c.request("server.history.list", {{"limit", 1}})["result"]["jobs"][0], change["job"]);
}

TEST_F(SimMoonrakerTest, ShutdownAndFirmwareRestartAsMeasured) {
  start("idle");
  SimClient& c = client();
  c.request("printer.objects.subscribe", kAll);
  EXPECT_EQ(c.request("printer.emergency_stop")["result"], "ok");
  ASSERT_TRUE(c.wait_for_method("notify_klippy_shutdown"));
  EXPECT_FALSE(c.notifications("notify_klippy_shutdown")[0].contains("params"));
  EXPECT_TRUE(has_status(c.frames(), [](const Document& delta) {
    return delta.contains("webhooks") && delta["webhooks"]["state"] == "shutdown";
  }));
  EXPECT_EQ(c.request("server.info")["result"]["klippy_state"], "shutdown");
  EXPECT_EQ(c.request("printer.firmware_restart")["result"], "ok");
  ASSERT_TRUE(c.wait_for_method("notify_klippy_disconnected"));
  EXPECT_EQ(c.request("printer.info")["error"],
            Document::parse(R"({"code":503,"message":"Klippy Host not connected"})"));
  const size_t before = c.notifications("notify_status_update").size();
  ASSERT_TRUE(c.wait_for_method("notify_klippy_ready"));
  EXPECT_EQ(c.notifications("notify_status_update").size(), before);  // the subscription is gone
  EXPECT_EQ(c.request("printer.objects.subscribe", kAll)["result"]["status"]["webhooks"]["state"], "ready");
}

TEST_F(SimMoonrakerTest, MoonrakerRestartClosesThePortForAWhile) {
  start("steady", "under_way");
  SimClient& c = client();
  c.request("printer.objects.subscribe", kAll);
  EXPECT_EQ(c.request("server.restart")["result"], "ok");
  ASSERT_TRUE(c.wait_closed());
  EXPECT_EQ(c.closed().code, 1001);
  const auto finished = c.notifications("notify_history_changed");
  ASSERT_FALSE(finished.empty());
  EXPECT_EQ(finished.back()["params"][0]["job"]["status"], "server_exit");
  bool refused = false;
  const auto deadline = std::chrono::steady_clock::now() + SimClient::kDeadline;
  while (!c.open() && std::chrono::steady_clock::now() < deadline) refused = true;
  EXPECT_TRUE(refused);
  // Fresh from its start it knows no Klipper, then no methods of it, then all.
  EXPECT_EQ(c.request("printer.info")["error"]["code"], -32601);
  ASSERT_TRUE(c.wait_for_method("notify_klippy_ready"));
  const auto status = c.request("printer.objects.subscribe", kAll)["result"]["status"];
  EXPECT_EQ(status["print_stats"]["state"], "printing");
}

TEST_F(SimMoonrakerTest, KilledMoonrakerDropsTheConnection) {
  start("steady", "under_way");
  SimClient& c = client();
  EXPECT_EQ(web(port_, "POST", "/sim/event?kind=moonraker_kill").body["result"], "ok");
  ASSERT_TRUE(c.wait_closed());
  EXPECT_NE(c.closed().code, 1001);
  const auto deadline = std::chrono::steady_clock::now() + SimClient::kDeadline;
  while (!c.open() && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_EQ(c.request("server.history.list", {{"limit", 1}})["result"]["jobs"][0]["status"], "interrupted");
}

TEST_F(SimMoonrakerTest, ControlSurfaceMakesThingsHappen) {
  start("idle");
  EXPECT_EQ(web(port_, "POST", "/sim/event?kind=nonsense").status, 400);
  EXPECT_EQ(web(port_, "POST", "/sim/event?kind=cancel").status, 409);  // nothing is printed
  EXPECT_EQ(web(port_, "GET", "/sim/event?kind=pause").status, 405);
  EXPECT_EQ(web(port_, "POST", "/sim/nothing").status, 404);
  EXPECT_EQ(web(port_, "POST", "/sim/behaviour?name=nonsense").status, 400);
  EXPECT_EQ(web(port_, "POST", "/sim/behaviour?name=steady").body["result"], "ok");
  EXPECT_EQ(web(port_, "GET", "/sim/state").body["result"]["behaviour"], "steady");
  EXPECT_EQ(web(port_, "POST", "/sim/event?kind=mcu_lost").body["result"], "ok");
  EXPECT_EQ(web(port_, "GET", "/sim/state").body["result"]["klippy_state"], "shutdown");
}

TEST_F(SimMoonrakerTest, ToggleIsToldAtOnceWithTheTimeOfSending) {
  start("idle");
  SimClient& c = client();
  c.request("printer.objects.subscribe", kAll);
  const int64_t before = to_unix_us(SystemClock().wall());
  const auto toggled = c.request("sim.toggle")["result"];
  const int64_t after = to_unix_us(SystemClock().wall());
  EXPECT_EQ(toggled["state"], "printing");
  EXPECT_GE(toggled["sent_at_us"].get<int64_t>(), before);
  EXPECT_LE(toggled["sent_at_us"].get<int64_t>(), after);
  EXPECT_TRUE(has_status(c.frames(), [](const Document& delta) {
    return delta.contains("print_stats") && delta["print_stats"].value("state", "") == "printing";
  }));
  EXPECT_EQ(c.request("sim.toggle")["result"]["state"], "paused");
  EXPECT_EQ(web(port_, "POST", "/sim/toggle").body["result"]["state"], "printing");
}

TEST(SimulatorStartTest, SaysWhatIsWrong) {
  IoLoop loop;
  SystemClock clock;
  SimulatorOptions options;
  options.machines = {{"x", "printer", 0, "dancing", "", 1}};
  EXPECT_EQ(Simulator::start(loop, clock, options).error().code, Errc::kInvalidArgument);
  options.machines = {{"x", "oven", 0, "idle", "", 1}};
  EXPECT_EQ(Simulator::start(loop, clock, options).error().code, Errc::kInvalidArgument);
  options.machines = {{"x", "printer", 0, "idle", "", 1}};
  options.speed = 0;
  EXPECT_EQ(Simulator::start(loop, clock, options).error().code, Errc::kInvalidArgument);
  options.speed = 1;
  auto first = Simulator::start(loop, clock, options);
  ASSERT_TRUE(first);
  options.machines[0].port = (*first)->ports()[0];
  EXPECT_EQ(Simulator::start(loop, clock, options).error().code, Errc::kConflict);
}

TEST(SimShopTest, ConfigurationNamesEveryMachineWithItsPort) {
  const auto shop = demo_shop();
  ASSERT_EQ(shop.size(), 6u);
  const auto text = shop_configuration(shop, {1, 2, 3, 4, 5, 6});
  for (size_t i = 0; i < shop.size(); ++i) {
    EXPECT_NE(text.find("id = \"" + shop[i].id + "\""), std::string::npos);
    EXPECT_NE(text.find("\"http://127.0.0.1:" + std::to_string(i + 1) + "\""), std::string::npos);
  }
}

}  // namespace
}  // namespace millrace::testing
