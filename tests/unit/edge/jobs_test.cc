// SPDX-License-Identifier: Apache-2.0
// Jobs over real sockets: lists, what people say, photos and the export, with a recorder that appends at once.
#include <nlohmann/json.hpp>
#include <thread>

#include "bus/sha256.h"
#include "net/http_client.h"
#include "tests/support/event_fixtures.h"
#include "tests/unit/projections/shop.h"
#include "web/edge/edge.h"
#include "web/edge/live_state.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using std::string_view_literals::operator""sv;

const std::string kPng("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x90\0\0\x01\x2c\x08\x06", 26);
std::string name_of_bytes(std::string_view bytes) { return hex_of(Sha256Digester().digest(bytes)); }

class JobRoutesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    shop.say(registered("Voron 2"));
    for (int i = 0; i < 5; ++i) {
      const int64_t start = kStart + i * kSecond;
      shop.say(started(row_id(start), start, i == 3 ? "Gehäuse PLA.gcode" : "cube_" + std::to_string(i) + ".gcode"));
      if (i > 0) {
        shop.say(finished(row_id(start), i == 1 ? schema::JobOutcome::failed : schema::JobOutcome::completed,
                          schema::JobEvidence::conclusive, 100 * i));
      }
    }
    clock.set_wall(from_unix_us(shop.now_us));
    EdgeOptions options;
    options.port = 0;
    options.view_wait = 10s;
    const SubmitEvents submit = [this](std::vector<EventDraft> drafts, auto done) {
      submitted += drafts.size();
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
  void TearDown() override {
    loop.post([this] {
      edge->stop();
      loop.stop();
    });
    thread.join();
    projector->stop();
  }
  HttpResponse ask(const std::string& method, const std::string& target, const std::string& body = "",
                   std::vector<std::pair<std::string, std::string>> headers = {}) {
    if (!body.empty() && headers.empty()) headers.emplace_back("Content-Type", "application/json");
    const auto answer = http_request({.method = method,
                                      .url = "http://127.0.0.1:" + std::to_string(edge->port()) + target,
                                      .headers = std::move(headers),
                                      .body = body});
    EXPECT_TRUE(answer.has_value()) << method << " " << target;
    return answer ? *answer : HttpResponse{};
  }
  json get(const std::string& target) { return json::parse(ask("GET", target).body); }
  // The numbers of the jobs in a list, in its order.
  std::string listed(const std::string& query) {
    std::string numbers;
    const json page = get("/api/v1/jobs?" + query);
    for (const json& item : page["items"]) {
      const std::string id = item["id"];
      numbers += std::to_string((std::stoll(id.substr(id.find('.') + 1)) - kStart) / kSecond);
    }
    return numbers;
  }
  void expect_problem(const HttpResponse& answer, int status, const std::string& code) {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(json::parse(answer.body)["code"], code) << answer.body;
  }
  std::string header_of(const HttpResponse& response, const std::string& wanted) {
    for (const auto& [name, value] : response.headers) {
      if (name == wanted) return value;
    }
    return "none";
  }
  const std::string job = "/api/v1/jobs/" + row_id();

  ::millrace::testing::TemporaryDirectory folder;
  Shop shop;
  ::millrace::testing::ManualClock clock;
  std::unique_ptr<ViewStore> store = make_memory_view_store(view_names());
  std::unique_ptr<BlobStore> blobs = *open_blob_folder(folder / "blobs", {.max_bytes = 100});
  std::unique_ptr<Metrics> metrics = make_metrics();
  Health health;
  IoLoop loop;
  std::unique_ptr<Projector> projector;
  std::unique_ptr<Edge> edge;
  std::thread thread;
  std::atomic<size_t> submitted{0};
};

TEST_F(JobRoutesTest, ListsAreFilteredSortedAndPaged) {
  EXPECT_EQ(listed(""), "43210");
  EXPECT_EQ(listed("outcome=failed,running"), "10");
  EXPECT_EQ(listed("machine=voron-2,other&q=gehause%20pla"), "3");
  EXPECT_EQ(listed("machine=other"), "");
  EXPECT_EQ(listed("sort=total_duration&order=asc"), "12340");
  EXPECT_EQ(listed("sort=filename&order=asc"), "01243");
  const json first = get("/api/v1/jobs?sort=total_duration&limit=2");
  EXPECT_EQ(first["total"], 5);
  EXPECT_EQ(listed("sort=total_duration&limit=2&cursor=" + first["next_cursor"].get<std::string>()), "21");
  expect_problem(ask("GET", "/api/v1/jobs?cursor=" + first["next_cursor"].get<std::string>()), 400,
                 "invalid_parameter");
  for (const char* wrong : {"sort=colour", "order=up", "verdict=nice", "hidden=yes", "machine=A%20B"}) {
    expect_problem(ask("GET", std::string("/api/v1/jobs?") + wrong), 400, "invalid_parameter");
  }
}

TEST_F(JobRoutesTest, AVerdictIsAnEventWithAnActorAndShownAtOnce) {
  const HttpResponse answer = ask("PATCH", job, R"({"verdict":"scrap","reason":"warping","tags":["a","a","b"]})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json shown = json::parse(answer.body);
  EXPECT_EQ(shown["verdict"], "scrap");
  EXPECT_EQ(shown["tags"], json({"a", "b"}));
  EXPECT_EQ(shown["changes"][0]["actor"], "local");
  EXPECT_EQ(shown["changes"][0]["before"], nullptr);
  EXPECT_EQ(shown["changes"][0]["after"], "scrap");
  EXPECT_EQ(listed("verdict=scrap&tag=b"), "0");
  EXPECT_EQ(listed("q=b"), "0");
  EXPECT_EQ(get("/api/v1/jobs/tags")["items"][0], json({{"tag", "a"}, {"jobs", 1}}));
  EXPECT_EQ(json::parse(ask("PATCH", job, R"({"verdict":null,"tags":null})").body)["verdict"], nullptr);
  EXPECT_EQ(submitted, 2u);
}

TEST_F(JobRoutesTest, AChangeWithoutEffectRecordsNothing) {
  EXPECT_EQ(ask("PATCH", job, R"({"verdict":"unknown","notes":null,"filename":"cube_0.gcode","tags":[]})").status, 200);
  EXPECT_EQ(ask("PATCH", job, "{}").status, 200);
  EXPECT_EQ(submitted, 0u);
}

TEST_F(JobRoutesTest, ACorrectionWinsOverTheMachine) {
  const HttpResponse answer =
      ask("PATCH", "/api/v1/jobs/" + row_id(kStart + kSecond),
          R"({"outcome":"completed","total_duration":71.5,"correction_reason":"looked at it"})");
  const json shown = json::parse(answer.body);
  EXPECT_EQ(shown["outcome"], "completed");
  EXPECT_EQ(shown["evidence"], "person");
  EXPECT_EQ(shown["corrected"], json({"outcome", "total_duration"}));
  EXPECT_EQ(shown["changes"][0]["before"], "failed");
  EXPECT_EQ(shown["changes"][0]["reason"], "looked at it");
  EXPECT_EQ(listed("outcome=failed"), "");
}

TEST_F(JobRoutesTest, WrongChangesSayWhatWouldBeRight) {
  for (const char* body : {R"({"verdict":"nice"})", R"({"link":"javascript:x"})", R"({"tags":["a,b"]})",
                           R"({"tags":[""]})", R"({"outcome":null})", R"({"outcome":"running"})",
                           R"({"ended_at":"2020-01-01T00:00:00Z"})", R"({"total_duration":-1})", R"({"colour":"red"})",
                           R"({"title":"a\nb"})", R"({"started_at":"1950-01-01T00:00:00Z"})"}) {
    expect_problem(ask("PATCH", job, body), 400, "invalid_field");
  }
  expect_problem(ask("PATCH", "/api/v1/jobs/none", "{}"), 404, "job_not_found");
  expect_problem(ask("PATCH", job, "{", {{"Content-Type", "application/json"}}), 400, "invalid_body");
  EXPECT_EQ(ask("PATCH", "/api/v1/jobs/tags", "{}").status, 405);
  EXPECT_EQ(submitted, 0u);
}

TEST_F(JobRoutesTest, AJobIsHiddenOnceAndShownAgain) {
  EXPECT_EQ(ask("DELETE", job).status, 204);
  EXPECT_EQ(ask("DELETE", job).status, 204);
  EXPECT_EQ(submitted, 1u);
  EXPECT_EQ(listed(""), "4321");
  EXPECT_EQ(listed("hidden=true"), "0");
  EXPECT_EQ(listed("hidden=any"), "43210");
  EXPECT_EQ(get(job)["hidden"], true);
  EXPECT_EQ(json::parse(ask("POST", job + "/restore").body)["hidden"], false);
  EXPECT_EQ(listed(""), "43210");
  expect_problem(ask("DELETE", "/api/v1/jobs/none"), 404, "job_not_found");
}

TEST_F(JobRoutesTest, AJobIsEnteredByHand) {
  const std::string body = R"({"machine":"voron-2","filename":"by hand.gcode","outcome":"completed","verdict":"good",)"
                           R"("started_at":"2026-01-02T03:04:05Z","ended_at":"2026-01-02T04:04:05Z"})";
  const HttpResponse answer = ask("POST", "/api/v1/jobs", body);
  ASSERT_EQ(answer.status, 201) << answer.body;
  const json shown = json::parse(answer.body);
  EXPECT_EQ(shown["seen"], "entered");
  EXPECT_EQ(shown["total_duration"], 3600);
  EXPECT_EQ(shown["verdict"], "good");
  EXPECT_EQ(header_of(answer, "location"), "/api/v1/jobs/" + shown["id"].get<std::string>());
  EXPECT_EQ(get("/api/v1/jobs?q=hand")["total"], 1);
  expect_problem(ask("POST", "/api/v1/jobs", body), 409, "job_exists");
  for (
      const char* wrong :
      {R"({"machine":"voron-2","outcome":"completed"})",
       R"({"machine":"nobody","outcome":"completed","started_at":"2026-01-02T03:04:05Z"})",
       R"({"machine":"voron-2","outcome":"running","started_at":"2026-01-02T03:04:05Z"})",
       R"({"machine":"voron-2","outcome":"failed","started_at":"2026-01-02T03:04:05Z","ended_at":"2026-01-01T00:00:00Z"})"}) {
    expect_problem(ask("POST", "/api/v1/jobs", wrong), 400, "invalid_field");
  }
}

TEST_F(JobRoutesTest, TheReasonsCanBeChanged) {
  EXPECT_EQ(get("/api/v1/jobs/reasons")["reasons"][0], "adhesion");
  const HttpResponse answer = ask("PUT", "/api/v1/jobs/reasons", R"({"reasons":["wet filament","other","other"]})");
  EXPECT_EQ(json::parse(answer.body)["reasons"], json({"wet filament", "other"}));
  EXPECT_EQ(get("/api/v1/jobs/reasons"), json::parse(answer.body));
  EXPECT_EQ(ask("PUT", "/api/v1/jobs/reasons", R"({"reasons":["wet filament","other"]})").status, 200);
  EXPECT_EQ(submitted, 1u);
  expect_problem(ask("PUT", "/api/v1/jobs/reasons", R"({"reasons":"x"})"), 400, "invalid_field");
  expect_problem(ask("PUT", "/api/v1/jobs/reasons", "{}"), 400, "invalid_field");
}

TEST_F(JobRoutesTest, APhotoIsPutShownAndTakenAway) {
  const std::string name = name_of_bytes(kPng);
  const std::string blob = "/api/v1/blobs/" + name;
  const HttpResponse put = ask("PUT", blob, kPng, {{"Content-Type", "image/png"}});
  ASSERT_EQ(put.status, 201) << put.body;
  EXPECT_EQ(json::parse(put.body)["width"], 400);
  EXPECT_EQ(ask("PUT", blob, kPng, {{"Content-Type", "image/png"}}).status, 200);
  const HttpResponse got = ask("GET", blob);
  EXPECT_EQ(got.body, kPng);
  EXPECT_EQ(header_of(got, "content-type"), "image/png");
  EXPECT_EQ(header_of(got, "etag"), "\"" + name + "\"");
  EXPECT_EQ(header_of(got, "cache-control"), "private, max-age=31536000, immutable");
  EXPECT_EQ(header_of(got, "x-content-type-options"), "nosniff");
  EXPECT_EQ(ask("GET", blob, "", {{"If-None-Match", "\"" + name + "\""}}).status, 304);

  const std::string entry = R"({"blob":")" + name + R"(","caption":"from above"})";
  const HttpResponse added = ask("POST", job + "/photos", entry);
  EXPECT_EQ(added.status, 201);
  EXPECT_EQ(json::parse(added.body)["photos"][0]["caption"], "from above");
  EXPECT_EQ(json::parse(added.body)["photos"][0]["height"], 300);
  EXPECT_EQ(ask("POST", job + "/photos", entry).status, 200);
  EXPECT_EQ(get("/api/v1/jobs")["items"][4]["photo_count"], 1);
  EXPECT_EQ(ask("DELETE", job + "/photos/" + name).status, 204);
  EXPECT_EQ(ask("DELETE", job + "/photos/" + name).status, 204);
  EXPECT_EQ(get(job)["photos"], json::array());
  EXPECT_EQ(submitted, 2u);
}

TEST_F(JobRoutesTest, WhatAdaptersBringOfASlicedFileIsTaken) {
  const std::string settings = R"({"wall_loops":"3"})";
  const std::string qoi = std::string("qoif\0\0\0\x10\0\0\0\x08\3\0", 14) + "pixels";
  for (const auto& [bytes, type] :
       std::map<std::string, std::string>{{settings, "application/json"}, {qoi, "image/qoi"}}) {
    const std::string blob = "/api/v1/blobs/" + name_of_bytes(bytes);
    ASSERT_EQ(ask("PUT", blob, bytes, {{"Content-Type", "application/octet-stream"}}).status, 201) << type;
    EXPECT_EQ(ask("GET", blob).body, bytes);
    EXPECT_EQ(header_of(ask("GET", blob), "content-type"), type);
    EXPECT_EQ(ask("POST", job + "/photos", R"({"blob":")" + name_of_bytes(bytes) + "\"}").status, 415) << "is no photo";
  }
  for (const std::string bytes : {"{not json}", "[1]", "qoif"}) {
    expect_problem(ask("PUT", "/api/v1/blobs/" + name_of_bytes(bytes), bytes, {{"Content-Type", "image/png"}}), 415,
                   "not_a_picture");
  }
}

TEST_F(JobRoutesTest, WhatIsNoPictureOrNotItsNameIsRefused) {
  const auto put = [&](const std::string& name, const std::string& bytes) {
    return ask("PUT", "/api/v1/blobs/" + name, bytes, {{"Content-Type", "image/png"}});
  };
  expect_problem(put(name_of_bytes("<svg/>"), "<svg/>"), 415, "not_a_picture");
  expect_problem(put(name_of_bytes("x"), kPng), 422, "hash_mismatch");
  expect_problem(put("xyz", kPng), 400, "invalid_parameter");
  std::string wide = kPng;
  wide[17] = 1;  // 65,936 pixels
  expect_problem(put(name_of_bytes(wide), wide), 422, "picture_too_large");
  const std::string large = kPng + std::string(100, 'x');
  expect_problem(put(name_of_bytes(large), large), 507, "blobs_full");
  EXPECT_EQ(put(name_of_bytes(kPng), std::string((10 << 20) + 1, 'x')).status, 413);
  const std::string unknown = name_of_bytes("unknown");
  expect_problem(ask("GET", "/api/v1/blobs/" + unknown), 404, "blob_not_found");
  expect_problem(ask("POST", job + "/photos", R"({"blob":")" + unknown + "\"}"), 404, "blob_not_found");
  expect_problem(ask("POST", job + "/photos", R"({"blob":"x"})"), 400, "invalid_field");
  EXPECT_EQ(ask("PATCH", job, R"({"notes":")" + std::string(2 << 20, 'x') + "\"}").status, 413);
}

TEST_F(JobRoutesTest, TheExportHasWhatTheListHas) {
  ask("PATCH", job, R"({"title":"=1+1","notes":"say \"hi\"; twice"})");
  const HttpResponse csv =
      ask("GET",
          "/api/v1/jobs/export?columns=filename,title,notes,total_duration,outcome&separator=semicolon"
          "&decimal=comma&bom=true&sort=total_duration&order=asc");
  EXPECT_EQ(header_of(csv, "content-disposition"), "attachment; filename=\"jobs-2026-11-20.csv\"");
  EXPECT_EQ(csv.body,
            "\xef\xbb\xbf"
            "filename;title;notes;total_duration;outcome\r\n"
            "cube_1.gcode;;;100;failed\r\n"
            "cube_2.gcode;;;200;completed\r\n"
            "Gehäuse PLA.gcode;;;300;completed\r\n"
            "cube_4.gcode;;;400;completed\r\n"
            "cube_0.gcode;'=1+1;\"say \"\"hi\"\"; twice\";;running\r\n");
  const HttpResponse lines =
      ask("GET", "/api/v1/jobs/export?format=jsonl&columns=id,total_duration,tags&ids=" + row_id());
  EXPECT_EQ(lines.body, R"({"id":")" + row_id() + "\",\"total_duration\":null,\"tags\":[]}\n");
  EXPECT_EQ(ask("GET", "/api/v1/jobs/export?machine=other&columns=id").body, "id\r\n");
  for (const char* wrong : {"format=xml", "separator=x", "decimal=x", "bom=x", "columns=colour", "sort=x"}) {
    expect_problem(ask("GET", std::string("/api/v1/jobs/export?") + wrong), 400, "invalid_parameter");
  }
}

TEST(LiveStateJobs, AHiddenJobLeavesTheLiveFeedAndComesBack) {
  Shop shop;
  Views views;
  shop.say(started(row_id(), kStart));
  views.fold(shop.events());
  auto state = LiveState::read(*views.store->reader());
  ASSERT_TRUE(state);
  const std::string key = "j/" + row_id();
  const auto say = [&](auto event) {
    event.job_id = row_id();
    const auto commit = shop.say(std::move(event));
    views.fold({shop.events().back()});
    const auto record = views.store->reader()->get(kJobHistoryView, key);
    return state->apply(
        {commit->last, {{std::string(kJobHistoryView), key, std::make_shared<const std::string>(**record)}}});
  };
  EXPECT_EQ(say(schema::JobHiddenT{}).removed_jobs, (std::set<std::string>{row_id()}));
  EXPECT_NE(state->snapshot_json("x", {}).find(R"("jobs":[])"), std::string::npos);
  EXPECT_EQ(say(schema::JobUnhiddenT{}).jobs, (std::set<std::string>{row_id()}));
}

}  // namespace
}  // namespace millrace
