// SPDX-License-Identifier: Apache-2.0
// The older 3d-print-logger's surface over real sockets, with a recorder that appends at once.
#include <nlohmann/json.hpp>
#include <thread>

#include "bus/base64.h"
#include "bus/sha256.h"
#include "net/http_client.h"
#include "tests/support/event_fixtures.h"
#include "tests/unit/projections/shop.h"
#include "web/edge/edge.h"
#include "web/edge/print_logger/older_errors.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr int64_t kMonday = 1'767'571'200'000'000;  // 2026-01-05T00:00:00Z
constexpr int64_t kDay = 86'400 * kSecond;
const std::string kPng = "\x89PNG picture";

schema::MachineConfiguredT configured(const std::string& name) {
  schema::MachineConfiguredT event;
  event.name = name;
  event.kind = "printer";
  event.managed_by = "api";
  event.enabled = true;
  event.authentication = "none";
  event.moonraker_url = "http://127.0.0.1:1";
  return event;
}

class PrintLogger : public ::testing::Test {
 protected:
  void SetUp() override {
    shop.say(configured("Voron 2"));
    shop.say(configured("Ender 3"), "ender-3");
    clock.set_wall(from_unix_us(shop.now_us));
  }
  void TearDown() override {
    if (!thread.joinable()) return;
    loop.post([this] {
      edge->stop();
      loop.stop();
    });
    thread.join();
    projector->stop();
  }
  // One print that took 60 s and 100 mm.
  void print(int64_t start_us, schema::JobOutcome outcome, const std::string& machine = "voron-2") {
    const std::string id = machine + "." + std::to_string(start_us);
    shop.say(started(id, start_us, "cube.gcode"), machine);
    auto end = finished(id, outcome, schema::JobEvidence::conclusive, 90);
    end.print_duration = 60;
    end.filament_used = 100;
    end.end_us = start_us + 90 * kSecond;
    end.row_status = "completed";
    shop.say(end, machine);
  }
  void print_all_endings() {
    print(kMonday, schema::JobOutcome::completed);
    print(kMonday + 6 * kDay, schema::JobOutcome::failed);
    print(kMonday + 7 * kDay, schema::JobOutcome::interrupted, "ender-3");
    print(kMonday + 40 * kDay, schema::JobOutcome::cancelled);
  }
  void open(EdgeOptions options = {}) {
    options.port = 0;
    options.version = "0.1.0";
    options.view_wait = 10s;
    const SubmitEvents submit = [this](std::vector<EventDraft> drafts, auto done) {
      const auto commit = shop.append(std::move(drafts));
      projector->offer(commit);
      done(commit->last);
    };
    edge = std::make_unique<Edge>(EdgeParts{loop, *shop.log, *store, clock, *metrics, health, submit, blobs.get()},
                                  options);
    projector = std::make_unique<Projector>(*shop.log, *store, make_projections(), *metrics, health);
    projector->on_applied = [this](auto group) { edge->on_applied(std::move(group)); };
    ASSERT_TRUE(projector->start());
    ASSERT_TRUE(projector->wait_for(shop.log->last(), 10s));
    ASSERT_TRUE(edge->start());
    thread = std::thread([this] { loop.run(); });
  }
  struct Answer {
    int status = 0;
    json body;
  };
  Answer ask(const std::string& method, const std::string& target, const std::string& body = "") {
    HttpClientRequest request{.method = method, .url = "http://127.0.0.1:" + std::to_string(edge->port()) + target};
    if (!body.empty()) request.headers = {{"Content-Type", "application/json"}};
    request.body = body;
    const auto answer = http_request(request);
    EXPECT_TRUE(answer.has_value()) << method << " " << target;
    if (!answer) return {};
    EXPECT_EQ(answer->body.find("canary"), std::string::npos) << "a key was answered";
    return {answer->status, json::parse(answer->body, nullptr, false)};
  }
  json get(const std::string& target) {
    const Answer answer = ask("GET", target);
    EXPECT_EQ(answer.status, 200) << target << answer.body;
    return answer.body;
  }
  // FastAPI's shape of a refused value, and where it was.
  void expect_invalid(const Answer& answer, const std::string& where, const std::string& name) {
    EXPECT_EQ(answer.status, 422) << answer.body;
    ASSERT_TRUE(answer.body["detail"].is_array()) << answer.body;
    EXPECT_EQ(answer.body["detail"][0]["loc"], json({where, name})) << answer.body;
    EXPECT_FALSE(answer.body["detail"][0]["msg"].get<std::string>().empty());
  }
  void expect_error(const Answer& answer, int status, const std::string& words) {
    EXPECT_EQ(answer.status, status) << answer.body;
    ASSERT_TRUE(answer.body["detail"].is_string()) << answer.body;
    EXPECT_NE(answer.body["detail"].get<std::string>().find(words), std::string::npos) << answer.body;
  }
  std::vector<int> ids(const json& page) {
    std::vector<int> numbers;
    for (const json& item : page["items"]) numbers.push_back(item["id"]);
    return numbers;
  }
  std::set<std::string> keys_of(const json& object) {
    std::set<std::string> keys;
    for (const auto& [key, value] : object.items()) keys.insert(key);
    return keys;
  }

  ::millrace::testing::TemporaryDirectory folder;
  Shop shop;
  ::millrace::testing::ManualClock clock;
  std::unique_ptr<ViewStore> store = make_memory_view_store(view_names());
  std::unique_ptr<BlobStore> blobs = *open_blob_folder(folder / "blobs");
  std::unique_ptr<Metrics> metrics = make_metrics();
  Health health;
  IoLoop loop;
  std::unique_ptr<Projector> projector;
  std::unique_ptr<Edge> edge;
  std::thread thread;
};

using Numbers = std::vector<int>;

TEST_F(PrintLogger, ThePlainPathIsKlipperiwcsAndItsOwnParametersAskForAPage) {
  shop.say(connected());
  shop.say(started(row_id(), kStart));
  open();
  EXPECT_EQ(get("/api/jobs"), json::array()) << "of the first machine, ender-3";
  const json of_voron = get("/api/jobs?machine=voron-2");
  ASSERT_EQ(of_voron.size(), 1u);
  EXPECT_EQ(of_voron[0]["status"], "running");
  expect_error(ask("GET", "/api/jobs?machine=nobody"), 404, "nobody");
  for (const char* own : {"limit=5", "offset=0", "status=printing", "printer_id=1", "start_after=2020-01-01",
                          "start_before=2100-01-01T00:00:00Z", "q=cube", "sort=filename", "order=asc"}) {
    EXPECT_EQ(get(std::string("/api/jobs?") + own)["total"], 1) << own;
  }
  expect_invalid(ask("GET", "/api/jobs?machine=voron-2&limit=5"), "query", "machine");
}

TEST_F(PrintLogger, TheConfigurationMayGiveThePlainPathToIt) {
  EdgeOptions options;
  options.plain_jobs_as_page = true;
  open(options);
  EXPECT_EQ(get("/api/jobs"),
            json({{"items", json::array()}, {"total", 0}, {"limit", 20}, {"offset", 0}, {"has_more", false}}));
  EXPECT_TRUE(get("/api/jobs?machine=voron-2").is_array());
}

TEST_F(PrintLogger, JobsAreFilteredSortedAndPagedWithTrueTotals) {
  print_all_endings();
  open();
  EXPECT_EQ(ids(get("/api/jobs?limit=20")), (Numbers{4, 3, 2, 1}));
  EXPECT_EQ(ids(get("/api/jobs?status=error")), (Numbers{3, 2}));
  EXPECT_EQ(ids(get("/api/jobs?status=completed")), (Numbers{1}));
  EXPECT_EQ(ids(get("/api/jobs?printer_id=2")), (Numbers{3}));
  EXPECT_EQ(ids(get("/api/jobs?printer_id=99")), Numbers{});
  EXPECT_EQ(ids(get("/api/jobs?start_after=2026-01-05&start_before=2026-01-11T00:00:00")), (Numbers{2, 1}));
  EXPECT_EQ(ids(get("/api/jobs?q=ender")), (Numbers{3}));
  EXPECT_EQ(ids(get("/api/jobs?sort=start_time&order=asc&limit=2&offset=1")), (Numbers{2, 3}));
  const json page = get("/api/jobs?limit=2&offset=2");
  EXPECT_EQ(page["total"], 4);
  EXPECT_EQ(page["has_more"], false);
  EXPECT_EQ(get("/api/jobs?limit=2&offset=1")["has_more"], true);
  EXPECT_EQ(ids(get("/api/jobs?offset=1000000000")), Numbers{});
}

TEST_F(PrintLogger, APauseIsAStatusOfItsOwn) {
  shop.say(started(row_id(), kStart));
  schema::JobPausedT paused;
  paused.job_id = row_id();
  shop.say(paused);
  open();
  EXPECT_EQ(get("/api/jobs?status=paused")["items"][0]["status"], "paused");
  EXPECT_EQ(get("/api/jobs?status=printing")["total"], 0);
}

TEST_F(PrintLogger, WrongParametersAreNamedAsFastApiDoes) {
  open();
  for (const auto& [query, name] :
       std::vector<std::pair<std::string, std::string>>{{"limit=0", "limit"},
                                                        {"limit=101", "limit"},
                                                        {"offset=-1", "offset"},
                                                        {"status=running", "status"},
                                                        {"printer_id=voron", "printer_id"},
                                                        {"start_after=yesterday", "start_after"},
                                                        {"sort=colour", "sort"},
                                                        {"order=up", "order"},
                                                        {"colour=red&limit=1", "colour"}}) {
    expect_invalid(ask("GET", "/api/jobs?" + query), "query", name);
  }
  expect_invalid(ask("GET", "/api/jobs/voron-2.1"), "path", "id");
  expect_error(ask("GET", "/api/jobs/77"), 404, "77");
  expect_error(ask("PUT", "/api/jobs/77"), 405, "PATCH");
  expect_error(ask("GET", "/api/printers/1/nothing"), 404, "/api/printers/1/nothing");
  expect_invalid(ask("GET", "/api/analytics/timeline?period=year"), "query", "period");
}

TEST_F(PrintLogger, AJobHasTheOlderFieldsValidTimesAndTheDetailsOfItsFile) {
  print(kMonday, schema::JobOutcome::completed);
  schema::JobMetadataReadT sliced;
  sliced.job_id = row_id(kMonday);
  sliced.slicer_name = "OrcaSlicer";
  sliced.nozzle_temp = 219.6;
  sliced.settings_json = R"({"layer_height":"0.2"})";
  sliced.thumbnail_blob = hex_of(Sha256Digester().digest(kPng));
  sliced.thumbnail_type = "image/png";
  ASSERT_TRUE(blobs->put(sliced.thumbnail_blob, kPng));
  for (const double used : {12.5, 7.5}) {
    sliced.extruders.push_back(std::make_unique<schema::SlicedExtruderT>());
    sliced.extruders.back()->used_g = used;
    sliced.extruders.back()->filament_type = used > 10 ? "PLA" : "PETG";
    sliced.extruders.back()->filament_vendor = "eSUN";
  }
  shop.say(sliced);
  open();
  const json job = get("/api/jobs/1");
  EXPECT_EQ(job["status"], "completed");
  EXPECT_EQ(job["start_time"], "2026-01-05T00:00:00.000000Z");
  EXPECT_EQ(job["end_time"], "2026-01-05T00:01:30.000000Z");
  EXPECT_TRUE(parse_rfc3339(job["created_at"].get<std::string>()));
  const json& details = job["details"];
  EXPECT_EQ(details["nozzle_temp"], 220);
  EXPECT_EQ(details["filament_used_g"], json({12.5, 7.5}));
  EXPECT_EQ(details["filament_used_mm"], nullptr);
  EXPECT_EQ(details["filament_type"], "PLA;PETG");
  EXPECT_EQ(details["filament_brand"], "eSUN");
  EXPECT_EQ(details["thumbnail_base64"], base64(kPng));
  EXPECT_EQ(details["config_block"]["layer_height"], "0.2");
  EXPECT_EQ(get("/api/printers/1/jobs")["items"][0]["details"]["thumbnail_base64"], base64(kPng));
}

TEST_F(PrintLogger, TitleAndUrlAreChangedAndADeletedJobIsGone) {
  print(kMonday, schema::JobOutcome::completed);
  open();
  const Answer changed = ask("PATCH", "/api/jobs/1", R"({"title":"Benchy","url":"https://a/b","status":"error"})");
  EXPECT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(changed.body["title"], "Benchy");
  EXPECT_EQ(changed.body["status"], "completed") << "what is of answers alone is left as it is";
  EXPECT_EQ(ask("PATCH", "/api/jobs/1", R"({"title":null})").body["title"], nullptr);
  EXPECT_EQ(get("/api/jobs/1")["url"], "https://a/b");
  expect_invalid(ask("PATCH", "/api/jobs/1", R"({"url":"ftp://a/b"})"), "body", "url");
  expect_invalid(ask("PATCH", "/api/jobs/1", R"({"url":")" + std::string(1001, 'a') + R"("})"), "body", "url");
  expect_invalid(ask("PATCH", "/api/jobs/1", R"({"title":")" + std::string(501, 'a') + R"("})"), "body", "title");
  expect_invalid(ask("PATCH", "/api/jobs/1", R"({"colour":"red"})"), "body", "colour");
  EXPECT_EQ(ask("PATCH", "/api/jobs/1", "{").status, 422);
  EXPECT_EQ(ask("DELETE", "/api/jobs/1").status, 204);
  expect_error(ask("DELETE", "/api/jobs/1"), 404, "1");
  expect_error(ask("GET", "/api/jobs/1"), 404, "1");
  EXPECT_EQ(get("/api/jobs?limit=1")["total"], 0);
}

TEST_F(PrintLogger, PrintersAreMadeChangedAndRemovedByEvents) {
  EdgeOptions options;
  options.secrets_file = folder / "secrets.json";
  open(options);
  const Answer made = ask("POST", "/api/printers", R"({"name":"Mk4","moonraker_url":"http://mk4:7125",
      "moonraker_api_key":"canary","printer_type":"FDM","has_heated_bed":true,"loaded_materials":[{"m":"PLA"}]})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.body["id"], 3);
  EXPECT_EQ(made.body["filament_diameter"], 1.75);
  EXPECT_EQ(made.body["loaded_materials"][0]["m"], "PLA");
  EXPECT_EQ(made.body["last_seen"], nullptr);
  EXPECT_EQ(MachineSecrets(options.secrets_file).read("mk4").value().api_key, "canary");
  expect_error(ask("POST", "/api/printers", R"({"name":"mk4 ","moonraker_url":"http://other:7125"})"), 409, "mk4");
  json back = get("/api/printers/3");
  back["location"] = "Shelf";
  back["is_active"] = false;
  const Answer changed = ask("PUT", "/api/printers/3", back.dump());
  ASSERT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(changed.body["location"], "Shelf");
  EXPECT_EQ(changed.body["has_heated_bed"], true);
  EXPECT_EQ(get("/api/printers").size(), 2u);
  EXPECT_EQ(get("/api/printers?include_inactive=true").size(), 3u);
  EXPECT_EQ(ask("DELETE", "/api/printers/3").status, 204);
  expect_error(ask("GET", "/api/printers/3"), 404, "3");
  expect_error(ask("PUT", "/api/printers/3", "{}"), 404, "3");
  expect_error(ask("DELETE", "/api/printers/3"), 404, "3");
  EXPECT_TRUE(MachineSecrets(options.secrets_file).read("mk4").value().empty());
}

TEST_F(PrintLogger, AWrongPrinterIsRefusedByTheOlderNames) {
  open();
  expect_invalid(ask("POST", "/api/printers", R"({"name":"A"})"), "body", "moonraker_url");
  expect_invalid(ask("POST", "/api/printers", R"({"name":"A","moonraker_url":"ftp://a"})"), "body", "moonraker_url");
  expect_invalid(ask("PUT", "/api/printers/1", R"({"printer_type":"laser"})"), "body", "printer_type");
  expect_invalid(ask("PUT", "/api/printers/1", R"({"nozzle_diameter":-1})"), "body", "nozzle_diameter");
  expect_invalid(ask("PUT", "/api/printers/1", R"({"enabled":true})"), "body", "enabled");
  expect_invalid(ask("PUT", "/api/printers/1", R"({"is_active":"yes"})"), "body", "is_active");
  EXPECT_EQ(ask("PUT", "/api/printers/1", "[]").status, 422);
  expect_error(ask("PUT", "/api/printers/1", R"({"name":"Ender 3"})"), 409, "Ender 3");
  expect_invalid(ask("GET", "/api/printers?include_inactive=maybe"), "query", "include_inactive");
}

TEST_F(PrintLogger, TheStatusSaysWhatTheMachineDoesNow) {
  shop.say(connected());
  shop.say(state_changed(schema::MachineState::printing));
  shop.say(started(row_id(), kStart));
  shop.say(progressed(row_id(), 0.25, 3));
  auto never = state_changed(schema::MachineState::offline, "");
  never.text = "no route to host";
  shop.say(never, "ender-3");
  open();
  EXPECT_EQ(get("/api/printers/1/status"), json({{"printer_id", 1},
                                                 {"name", "Voron 2"},
                                                 {"is_connected", true},
                                                 {"state", "printing"},
                                                 {"progress", 0.25},
                                                 {"current_file", "cube.gcode"},
                                                 {"error", nullptr}}));
  const json away = get("/api/printers/2/status");
  EXPECT_EQ(away["is_connected"], false);
  EXPECT_EQ(away["state"], "offline");
  EXPECT_EQ(away["progress"], nullptr);
  EXPECT_EQ(away["error"], "no route to host");
}

TEST_F(PrintLogger, AnErrorHasItsText) {
  shop.say(connected());
  auto event = state_changed(schema::MachineState::shutdown, "shutdown");
  event.text = "MCU 'mcu' shutdown: Timer too close";
  shop.say(event);
  shop.say(connected(), "ender-3");
  auto gone = disconnected("timeout");
  gone.text = "no answer";
  shop.say(gone, "ender-3");
  open();
  EXPECT_EQ(get("/api/printers/1/status")["error"], "MCU 'mcu' shutdown: Timer too close");
  EXPECT_EQ(get("/api/printers/2/status")["error"], "no answer");
  EXPECT_NE(get("/api/printers/2")["last_seen"], nullptr);
}

TEST_F(PrintLogger, TheHistoryIsThereAlreadyOrCannotBeHad) {
  print(kMonday, schema::JobOutcome::completed);
  shop.say(connected());
  open();
  EXPECT_EQ(ask("POST", "/api/printers/1/import-history?limit=10").body, json({{"printer_id", 1},
                                                                               {"printer_name", "Voron 2"},
                                                                               {"imported", 0},
                                                                               {"updated", 0},
                                                                               {"skipped", 1},
                                                                               {"errors", 0}}));
  EXPECT_EQ(ask("POST", "/api/printers/1/backfill-details").body,
            json({{"printer_id", 1}, {"printer_name", "Voron 2"}, {"processed", 0}, {"created", 0}, {"errors", 0}}));
  expect_invalid(ask("POST", "/api/printers/1/import-history?limit=0"), "query", "limit");
  expect_error(ask("POST", "/api/printers/2/import-history"), 502, "Ender 3");
  expect_error(ask("POST", "/api/printers/9/import-history"), 404, "9");
}

TEST_F(PrintLogger, WithoutAnAddressThereIsNothingToImportFrom) {
  auto event = configured("No address");
  event.moonraker_url.clear();
  shop.say(event, "none");
  open();
  expect_error(ask("POST", "/api/printers/3/import-history"), 400, "URL");
  expect_error(ask("POST", "/api/printers/3/backfill-details"), 400, "URL");
}

TEST_F(PrintLogger, MaintenanceOfAllPrintersIsOneListNewestFirst) {
  open();
  const Answer made = ask("POST", "/api/maintenance", R"({"printer_id":1,"date":"2026-01-05T10:00:00",
      "category":"cleaning","description":"Bed","cost":2.5})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.body["id"], 1);
  EXPECT_EQ(made.body["done"], false);
  EXPECT_EQ(made.body["date"], "2026-01-05T10:00:00.000000Z");
  const Answer other = ask("POST", "/api/maintenance", R"({"printer_id":2,"date":"2026-01-06","category":"repair",
      "description":"Belt","done":true,"notes":"x"})");
  EXPECT_EQ(other.status, 201) << other.body;
  EXPECT_EQ(ids(get("/api/maintenance")), (Numbers{2, 1}));
  EXPECT_EQ(ids(get("/api/maintenance?printer_id=1")), (Numbers{1}));
  EXPECT_EQ(ids(get("/api/maintenance?done=true")), (Numbers{2}));
  const json page = get("/api/maintenance?limit=1&offset=1");
  EXPECT_EQ(ids(page), (Numbers{1}));
  EXPECT_EQ(page["total"], 2);
  clock.advance(1s);
  const Answer changed = ask("PUT", "/api/maintenance/2", R"({"notes":null,"cost":1})");
  EXPECT_EQ(changed.body["notes"], nullptr);
  EXPECT_EQ(changed.body["description"], "Belt");
  EXPECT_LT(changed.body["created_at"], changed.body["updated_at"]);
  EXPECT_EQ(ask("DELETE", "/api/maintenance/2").status, 204);
  expect_error(ask("GET", "/api/maintenance/2"), 404, "2");
  expect_error(ask("PUT", "/api/maintenance/2", "{}"), 404, "2");
  expect_error(ask("DELETE", "/api/maintenance/2"), 404, "2");
}

TEST_F(PrintLogger, AWrongMaintenanceRecordIsRefused) {
  open();
  const std::string rest = R"("date":"2026-01-05","category":"cleaning","description":"Bed"})";
  expect_error(ask("POST", "/api/maintenance", R"({"printer_id":9,)" + rest), 404, "9");
  expect_invalid(ask("POST", "/api/maintenance", "{" + rest), "body", "printer_id");
  expect_invalid(ask("POST", "/api/maintenance", R"({"printer_id":1,"category":"cleaning","description":"Bed"})"),
                 "body", "date");
  expect_invalid(
      ask("POST", "/api/maintenance", R"({"printer_id":1,"date":"soon","category":"cleaning","description":"Bed"})"),
      "body", "date");
  expect_invalid(
      ask("POST", "/api/maintenance", R"({"printer_id":1,"date":"2026-01-05","category":"magic","description":"Bed"})"),
      "body", "category");
  expect_invalid(ask("POST", "/api/maintenance", R"({"printer_id":1,"cost":-1,)" + rest), "body", "cost");
  EXPECT_EQ(get("/api/maintenance")["total"], 0);
}

TEST_F(PrintLogger, FiguresCountEachPrintOnceAndInterruptionsAsFailed) {
  print_all_endings();
  open();
  EXPECT_EQ(get("/api/analytics/summary"), json({{"total_jobs", 4},
                                                 {"total_print_time", 240},
                                                 {"total_filament_used", 400},
                                                 {"successful_jobs", 1},
                                                 {"failed_jobs", 2},
                                                 {"active_printers", 2}}));
  const json printers = get("/api/analytics/printers");
  ASSERT_EQ(printers.size(), 2u);
  EXPECT_EQ(printers[0]["total_jobs"], 3);
  EXPECT_EQ(printers[1]["failed_jobs"], 1);
  EXPECT_EQ(printers[1]["last_job_at"], "2026-01-12T00:00:00.000000Z");
  EXPECT_EQ(get("/api/analytics/filament"),
            json::array({{{"filament_type", "unknown"}, {"total_used", 400}, {"job_count", 4}}}));
}

TEST_F(PrintLogger, FilamentOfSeveralTypesIsSharedAsItWasPlanned) {
  print(kMonday, schema::JobOutcome::completed);
  print(kMonday + kDay, schema::JobOutcome::completed);
  for (const bool says_lengths : {true, false}) {
    schema::JobMetadataReadT sliced;
    sliced.job_id = row_id(says_lengths ? kMonday : kMonday + kDay);
    for (const char* type : {"PLA", "PETG"}) {
      sliced.extruders.push_back(std::make_unique<schema::SlicedExtruderT>());
      sliced.extruders.back()->filament_type = type;
      if (says_lengths) sliced.extruders.back()->used_mm = type[1] == 'L' ? 300 : 100;
    }
    shop.say(sliced);
  }
  open();
  EXPECT_EQ(get("/api/analytics/filament"),
            json::array({{{"filament_type", "PETG"}, {"total_used", 25}, {"job_count", 1}},
                         {{"filament_type", "PLA"}, {"total_used", 75}, {"job_count", 1}},
                         {{"filament_type", "PLA;PETG"}, {"total_used", 100}, {"job_count", 1}}}));
}

TEST_F(PrintLogger, TheTimelineNamesDaysIsoWeeksAndMonths) {
  print_all_endings();
  print(kMonday - 7 * kDay, schema::JobOutcome::completed);  // 2025-12-29 lies in the first week of 2026
  open();
  const auto periods = [&](const std::string& query) {
    std::string names;
    for (const json& each : get("/api/analytics/timeline" + query)) {
      names += each["period"].get<std::string>() + ":" + std::to_string(each["job_count"].get<int>()) + " ";
    }
    return names;
  };
  EXPECT_EQ(periods(""), "2025-12-29:1 2026-01-05:1 2026-01-11:1 2026-01-12:1 2026-02-14:1 ");
  EXPECT_EQ(periods("?period=week"), "2026-W01:1 2026-W02:2 2026-W03:1 2026-W07:1 ");
  EXPECT_EQ(periods("?period=month"), "2025-12:1 2026-01:3 2026-02:1 ");
}

TEST_F(PrintLogger, SystemAndHealthAreTrue) {
  print(kMonday, schema::JobOutcome::completed);
  open();
  const json system = get("/api/admin/system");
  EXPECT_EQ(system["version"], "0.1.0");
  EXPECT_EQ(system["active_printers"], 2);
  EXPECT_EQ(system["total_jobs"], 1);
  clock.advance(3s);
  EXPECT_EQ(get("/api/admin/system")["uptime_seconds"].get<double>() - system["uptime_seconds"].get<double>(), 3);
  EXPECT_EQ(get("/health")["status"], "healthy");
  health.set("disk", false, "full");
  const Answer ill = ask("GET", "/health");
  EXPECT_EQ(ill.status, 503);
  EXPECT_EQ(ill.body["status"], "unhealthy");
}

TEST_F(PrintLogger, TheApiDocumentDescribesWhatTheAnswersHold) {
  print(kMonday, schema::JobOutcome::completed);
  schema::JobMetadataReadT sliced;
  sliced.job_id = row_id(kMonday);
  sliced.slicer_name = "OrcaSlicer";
  shop.say(sliced);
  open();
  const Answer made = ask("POST", "/api/maintenance", R"({"printer_id":1,"date":"2026-01-05","category":"cleaning",
      "description":"Bed"})");
  ASSERT_EQ(made.status, 201) << made.body;
  const json schemas = get("/api/openapi.json")["components"]["schemas"];
  const auto expect_keys = [&](const json& answer, const std::string& name) {
    EXPECT_EQ(keys_of(answer), keys_of(schemas[name]["properties"])) << name;
  };
  expect_keys(get("/api/printers")[0], "OlderPrinter");
  expect_keys(get("/api/printers/1/status"), "OlderStatus");
  expect_keys(get("/api/jobs?limit=1"), "OlderJobPage");
  expect_keys(get("/api/jobs/1"), "OlderJob");
  expect_keys(get("/api/jobs/1")["details"], "OlderJobDetails");
  expect_keys(get("/api/maintenance/1"), "OlderRecord");
  expect_keys(get("/api/maintenance"), "OlderRecordPage");
  expect_keys(get("/api/analytics/summary"), "OlderSummary");
  expect_keys(get("/api/analytics/printers")[0], "OlderPrinterFigure");
  expect_keys(get("/api/analytics/filament")[0], "OlderFilamentUse");
  expect_keys(get("/api/analytics/timeline")[0], "OlderPeriod");
  expect_keys(get("/api/admin/system"), "OlderSystem");
  expect_keys(get("/health"), "OlderHealth");
}

TEST(OlderErrors, OnlyTheOlderPathsSpeakTheOlderWords) {
  for (const char* older : {"/health", "/api/status", "/api/jobs", "/api/jobs/1", "/api/admin/system"}) {
    EXPECT_TRUE(is_older_surface(older)) << older;
  }
  for (const char* ours : {"/health/ready", "/api/v1/jobs", "/api/openapi.json", "/api/jobsmith", "/"}) {
    EXPECT_FALSE(is_older_surface(ours)) << ours;
  }
}

}  // namespace
}  // namespace millrace
