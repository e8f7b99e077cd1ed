// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bus/health.h"
#include "bus/metrics.h"
#include "net/io_loop.h"
#include "tests/support/event_fixtures.h"
#include "tests/unit/projections/shop.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

// The routes without sockets: what the worker calls.
class TelemetryRoutesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    shop.now_us = ::millrace::testing::kNoonUs;
    shop.say(connected());
    shop.say(started("voron-2.1", 1), "voron-2");
    for (int second = 0; second < 600; second += 10) {
      shop.now_us = ::millrace::testing::kNoonUs + second * kSecond;
      shop.say(sampled({{"extruder", "target", 215},
                        {"extruder", "temperature", 200.0 + second % 60 / 10},
                        {"fan", "speed", 0.5},
                        {"sensor shelf", "co2", 400}}));
    }
    shop.say(finished("voron-2.1", schema::JobOutcome::completed, schema::JobEvidence::observed));
    clock.set_wall(from_unix_us(shop.now_us + 60 * kSecond));
    options.sensor_units["sensor shelf.co2"] = "ppm";
    views.fold(shop.events());
  }
  HttpResponse call(HttpResponse (*respond)(const RouteContext&, const RouteRequest&), const std::string& id,
                    std::vector<std::pair<std::string, std::string>> query = {}) {
    const EdgeParts parts{loop, *shop.log, *views.store, clock, *metrics, health};
    HttpRequest request;
    request.query = std::move(query);
    return respond({parts, options, nullptr}, {request, {{"id", id}}, ""});
  }
  json telemetry(std::vector<std::pair<std::string, std::string>> query = {}) {
    return json::parse(call(answer_telemetry, "voron-2", std::move(query)).body);
  }
  void expect_problem(const HttpResponse& answer, int status, const std::string& code, const std::string& part) {
    EXPECT_EQ(answer.status, status) << answer.body;
    const json problem = json::parse(answer.body);
    EXPECT_EQ(problem["code"], code);
    EXPECT_NE(problem["detail"].get<std::string>().find(part), std::string::npos) << problem["detail"];
  }

  Shop shop;
  Views views;
  ::millrace::testing::ManualClock clock;
  std::unique_ptr<Metrics> metrics = make_metrics();
  Health health;
  IoLoop loop;
  EdgeOptions options;
};

TEST_F(TelemetryRoutesTest, ColumnsOfTheTimeAskedFor) {
  const json answer = telemetry({{"from", "2026-11-21T11:59:00Z"},
                                 {"to", "2026-11-21T12:02:00Z"},
                                 {"signals", "extruder.temperature,fan.speed"},
                                 {"resolution", "60"}});
  EXPECT_EQ(answer["from"], "2026-11-21T11:59:00.000000Z");
  EXPECT_EQ(answer["resolution"], 60);
  EXPECT_EQ(answer["count"], 3);
  ASSERT_EQ(answer["signals"].size(), 2u);
  EXPECT_EQ(answer["signals"][0]["unit"], "°C");
  EXPECT_EQ(answer["signals"][0]["min"], json::parse("[null,200,200]"));
  EXPECT_EQ(answer["signals"][0]["max"], json::parse("[null,205,205]"));
  EXPECT_NEAR(answer["signals"][0]["mean"][1], 202.5, 0.1);
  EXPECT_EQ(answer["signals"][1]["mean"], json::parse("[null,0.5,0.5]"));
}

TEST_F(TelemetryRoutesTest, WithoutWordsADayOfTemperaturesAndTargets) {
  const json answer = telemetry();
  ASSERT_EQ(answer["signals"].size(), 2u);
  EXPECT_EQ(answer["signals"][0]["name"], "extruder.target");
  EXPECT_EQ(answer["resolution"], 120);  // 1,440 minutes in at most 1,000 buckets
  EXPECT_EQ(answer["signals"][0]["mean"].size(), answer["count"]);
}

TEST_F(TelemetryRoutesTest, AnObjectsNameMeansAllOfItsFields) {
  EXPECT_EQ(telemetry({{"signals", "extruder"}})["signals"].size(), 2u);
}

TEST_F(TelemetryRoutesTest, SignalsAreListedWithUnitAndLastValue) {
  const json answer = json::parse(call(answer_signals, "voron-2").body);
  ASSERT_EQ(answer["total"], 4);
  EXPECT_EQ(answer["items"][1]["name"], "extruder.temperature");
  EXPECT_EQ(answer["items"][1]["last"], 205);
  EXPECT_EQ(answer["items"][2]["unit"], "0..1");
  EXPECT_EQ(answer["items"][3]["unit"], "ppm");
}

TEST_F(TelemetryRoutesTest, AJobsTelemetryIsThatOfItsTime) {
  const json answer = json::parse(call(answer_job_telemetry, "voron-2.1").body);
  EXPECT_EQ(answer["from"], "2026-11-21T12:00:00.000000Z");
  EXPECT_EQ(answer["count"], 10);
  EXPECT_EQ(answer["signals"][1]["max"][0], 205);
  EXPECT_EQ(answer["signals"][0]["mean"][9], 215);
}

TEST_F(TelemetryRoutesTest, WrongQuestionsSayWhatWouldBeRight) {
  using Query = std::vector<std::pair<std::string, std::string>>;
  const auto ask = [&](Query query) { return call(answer_telemetry, "voron-2", std::move(query)); };
  expect_problem(call(answer_telemetry, "voron-9"), 404, "machine_not_found", "voron-9");
  expect_problem(call(answer_signals, "voron-9"), 404, "machine_not_found", "voron-9");
  expect_problem(call(answer_job_telemetry, "voron-9.1"), 404, "job_not_found", "voron-9.1");
  expect_problem(ask({{"signals", "extruder.colour"}}), 404, "signal_not_found", "extruder.colour");
  expect_problem(ask({{"from", "2026-11-21T12:00:00Z"}, {"to", "2026-11-21T12:00:00Z"}}), 400, "invalid_parameter",
                 "before to=");
  expect_problem(ask({{"from", "yesterday"}}), 400, "invalid_parameter", "RFC 3339");
  for (const std::string resolution : {"0", "-60", "1m", "60.0", "99999999960"}) {
    expect_problem(ask({{"resolution", resolution}}), 400, "invalid_parameter", "seconds from 1");
  }
  for (const std::string resolution : {"1", "59", "61"}) {
    expect_problem(ask({{"resolution", resolution}}), 400, "too_many_buckets", "at most 6 hours");
  }
  expect_problem(ask({{"from", "2020-01-01T00:00:00Z"}, {"resolution", "60"}}), 400, "too_many_buckets", "coarser");
  expect_problem(ask({{"from", "1970-01-01T00:00:00Z"}, {"resolution", "86400"}}), 400, "too_many_buckets",
                 "signal hours");
}

TEST_F(TelemetryRoutesTest, SecondsAreReadFromTheSamples) {
  const json answer = telemetry({{"from", "2026-11-21T12:00:00Z"},
                                 {"to", "2026-11-21T12:01:00Z"},
                                 {"signals", "extruder.temperature"},
                                 {"resolution", "5"}});
  EXPECT_EQ(answer["resolution"], 5);
  EXPECT_EQ(answer["count"], 12);
  EXPECT_EQ(answer["from"], "2026-11-21T12:00:00.000000Z");
  // A sample each 10 s, which holds until the next one.
  const json seen = json::parse("[200,200,201,201,202,202,203,203,204,204,205,205]");
  for (const char* column : {"min", "mean", "max"}) EXPECT_EQ(answer["signals"][0][column], seen) << column;
}

TEST_F(TelemetryRoutesTest, ABucketOfSecondsIsWeightedByTime) {
  const json answer = telemetry({{"from", "2026-11-21T12:00:00Z"},
                                 {"to", "2026-11-21T12:01:15Z"},
                                 {"signals", "extruder.temperature"},
                                 {"resolution", "15"}});
  ASSERT_EQ(answer["count"], 5);
  EXPECT_NEAR(answer["signals"][0]["mean"][0], (200 * 10 + 201 * 5) / 15.0, 1e-3);
  EXPECT_EQ(answer["signals"][0]["min"][0], 200);
  EXPECT_EQ(answer["signals"][0]["max"][0], 201);
}

TEST_F(TelemetryRoutesTest, SecondsOfAJobAreThoseOfItsTime) {
  const json answer = json::parse(call(answer_job_telemetry, "voron-2.1", {{"resolution", "10"}}).body);
  EXPECT_EQ(answer["from"], "2026-11-21T12:00:00.000000Z");
  EXPECT_EQ(answer["resolution"], 10);
  EXPECT_EQ(answer["signals"][1]["mean"][7], 201);
}

TEST_F(TelemetryRoutesTest, SecondsThatAreNoLongerKeptSayWhatIsThere) {
  shop.expire_telemetry(Position{30});
  const HttpResponse answer = call(answer_telemetry, "voron-2",
                                   {{"from", "2026-11-21T12:00:00Z"},
                                    {"to", "2026-11-21T12:01:00Z"},
                                    {"signals", "extruder.temperature"},
                                    {"resolution", "1"}});
  expect_problem(answer, 422, "samples_expired", "since 2026-11-21T12:04");
  expect_problem(answer, 422, "samples_expired", "resolution=60");
  EXPECT_EQ(telemetry({{"from", "2026-11-21T12:06:00Z"},
                       {"to", "2026-11-21T12:07:00Z"},
                       {"signals", "extruder.temperature"},
                       {"resolution", "1"}})["signals"][0]["mean"][0],
            200);
}

}  // namespace
}  // namespace millrace
