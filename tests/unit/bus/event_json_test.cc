// SPDX-License-Identifier: Apache-2.0
#include "bus/event_json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;
using Parsed = nlohmann::json;

constexpr uint64_t kHighest = std::numeric_limits<uint64_t>::max();

Parsed whole(const Envelope& envelope) { return Parsed::parse(event_to_json({Position{5}, noon(9), envelope})); }

template <class PayloadT>
Parsed payload(PayloadT content) {
  return Parsed::parse(payload_to_json(event({"m1", 1, 1}, draft_of(std::move(content), "m1", noon()))));
}

// An event of any type with an empty payload.
Envelope bare(EventType type) {
  flatbuffers::FlatBufferBuilder builder;
  const auto producer = builder.CreateString("m1");
  const flatbuffers::Offset<void> payload(builder.EndTable(builder.StartTable()));
  builder.Finish(schema::CreateEnvelope(builder, producer, 1, 1, 0, 0, 0, 0, 0, 0, type, payload),
                 schema::EnvelopeIdentifier());
  return Envelope::verify({reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()}).value();
}

TEST(EventJson, HeaderIsReadable) {
  auto draft = draft_of(schema::JobPausedT{}, "voron-2", noon(2), noon(1));
  draft.actor = "someone";
  draft.correlation = "c-1";
  draft.causation = EventId{"hub", kHighest, 4};
  EXPECT_EQ(whole(event({"voron-2", kHighest, 12}, std::move(draft))), Parsed::parse(R"({
    "position":5,"recorded_at":"2026-11-21T12:00:00.000009Z",
    "id":{"producer":"voron-2","epoch":"18446744073709551615","sequence":12},
    "type":"JobPaused","machine":"voron-2",
    "occurred_at":"2026-11-21T12:00:00.000001Z","observed_at":"2026-11-21T12:00:00.000002Z",
    "actor":"someone","correlation":"c-1",
    "causation":{"producer":"hub","epoch":"18446744073709551615","sequence":4},
    "payload":{"job_id":"","cause":"","late":false,"total_duration":null}})"));
}

TEST(EventJson, WhatIsNotSaidIsNull) {
  const auto json = whole(bare(EventType::EpochOpened));
  for (const char* name : {"machine", "occurred_at", "observed_at", "actor", "correlation", "causation"}) {
    EXPECT_TRUE(json.at(name).is_null()) << name;
  }
}

TEST(EventJson, EveryTypeOfTheUnionIsRendered) {
  for (EventType type : schema::EnumValuesPayload()) {
    if (type == EventType::NONE) continue;
    const auto json = whole(bare(type));
    EXPECT_EQ(json.at("type"), std::string(name_of(type)));
    EXPECT_TRUE(json.at("payload").is_object() && !json.at("payload").empty()) << name_of(type);
    EXPECT_EQ(json.at("payload"), Parsed::parse(payload_to_json(bare(type))));
  }
}

TEST(EventJson, EnumsAreTheirNames) {
  schema::JobFinishedT finished;
  finished.outcome = schema::JobOutcome::interrupted;
  finished.evidence = schema::JobEvidence::conclusive;
  finished.seen = schema::JobSeen::history;
  const auto json = payload(std::move(finished));
  EXPECT_EQ(json.at("outcome"), "interrupted");
  EXPECT_EQ(json.at("evidence"), "conclusive");
  EXPECT_EQ(json.at("seen"), "history");
}

TEST(EventJson, EnumValueOfANewerSchemaIsItsNumber) {
  schema::MachineStateChangedT changed;
  changed.state = static_cast<schema::MachineState>(200);
  EXPECT_EQ(payload(std::move(changed)).at("state"), 200);
}

TEST(EventJson, AbsentOptionalIsNullAndZeroIsZero) {
  schema::JobProgressedT progressed;
  progressed.job_id = "m1.7";
  progressed.progress = 0.0;
  progressed.layer = 0;
  const auto json = payload(std::move(progressed));
  EXPECT_EQ(json.at("progress"), 0.0);
  EXPECT_EQ(json.at("layer"), 0);
  EXPECT_TRUE(json.at("total_layers").is_null());
  EXPECT_TRUE(json.at("print_duration").is_null());
}

TEST(EventJson, NumbersThatAreNoneAreNull) {
  schema::JobProgressedT progressed;
  progressed.progress = std::nan("");
  progressed.total_duration = std::numeric_limits<double>::infinity();
  progressed.filament_used = 0.1;
  const auto json = payload(std::move(progressed));
  EXPECT_TRUE(json.at("progress").is_null());
  EXPECT_TRUE(json.at("total_duration").is_null());
  EXPECT_EQ(json.at("filament_used"), 0.1);
}

TEST(EventJson, MicrosecondFieldsStayIntegers) {
  schema::JobStartedT started;
  started.start_us = -kNoonUs;
  started.skew_ms = -3;
  const auto json = payload(std::move(started));
  EXPECT_EQ(json.at("start_us"), -kNoonUs);
  EXPECT_EQ(json.at("skew_ms"), -3);
}

TEST(EventJson, EpochsAreTextAndOtherLargeNumbersStayPositive) {
  schema::EventsDroppedT dropped;
  dropped.epoch = kHighest;
  dropped.to_sequence = kHighest;
  const auto json = payload(std::move(dropped));
  EXPECT_EQ(json.at("epoch"), "18446744073709551615");
  EXPECT_EQ(json.at("to_sequence"), kHighest);
}

TEST(EventJson, BytesAreBase64) {
  const auto encoded = [](const std::string& bytes) {
    schema::EventRejectedT rejected;
    rejected.bytes.assign(bytes.begin(), bytes.end());
    return payload(std::move(rejected)).at("bytes").get<std::string>();
  };
  // The vectors of RFC 4648.
  EXPECT_EQ(encoded(""), "");
  EXPECT_EQ(encoded("f"), "Zg==");
  EXPECT_EQ(encoded("fo"), "Zm8=");
  EXPECT_EQ(encoded("foo"), "Zm9v");
  EXPECT_EQ(encoded("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encoded("\xff\xfe\xfd"), "//79");
}

TEST(EventJson, VectorsOfTablesAreArrays) {
  const auto json = Parsed::parse(payload_to_json(telemetry("m1", 1, 4)));
  EXPECT_EQ(json.at("signals"), Parsed::parse(R"([{"object":"extruder","field":"temperature","value":204.0}])"));
  EXPECT_EQ(json.at("full"), false);
}

TEST(EventJson, HostileTextStaysValidJson) {
  schema::JobFinishedT finished;
  finished.text = "\"}\xff\n" + std::string(1, '\0') + "\xed\xa0\x80";
  finished.metadata_json = "{not json";
  EXPECT_EQ(payload(std::move(finished)).at("metadata_json"), "{not json");
}

}  // namespace
}  // namespace millrace
