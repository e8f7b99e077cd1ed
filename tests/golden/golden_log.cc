// SPDX-License-Identifier: Apache-2.0
#include "tests/golden/golden_log.h"

#include <flatbuffers/idl.h>
#include <flatbuffers/reflection.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "bus/event_json.h"
#include "bus/log_schema.h"
#include "bus/log_verifier.h"
#include "projections/digest.h"
#include "projections/registry.h"
#include "tests/support/event_fixtures.h"

namespace millrace::testing {
namespace {

using nlohmann::json;
using reflection::BaseType;

constexpr uint64_t kEpoch = 1'795'000'000'000;

// Of any table of the schema, an object with every field set to something of its type.
class FilledTable {
 public:
  explicit FilledTable(const reflection::Schema& schema) : schema_(schema) {}

  json of(const reflection::Object& object) const {
    json filled = json::object();
    for (const auto* field : *object.fields()) {
      if (!field->deprecated()) filled[field->name()->str()] = value(*field, field->type()->base_type());
    }
    return filled;
  }

 private:
  json value(const reflection::Field& field, BaseType type) const {
    const std::string name = field.name()->str();
    if (type == BaseType::String) return name;
    if (type == BaseType::Obj) return of(*schema_.objects()->Get(field.type()->index()));
    if (type == BaseType::Vector) {
      const json element = value(field, field.type()->element());
      return json::array({element, element});
    }
    if (field.type()->index() >= 0) return schema_.enums()->Get(field.type()->index())->values()->rbegin()->value();
    if (type == BaseType::Bool) return true;
    if (type == BaseType::Float || type == BaseType::Double) return field.id() + 0.5;
    if (name.ends_with("_us") && type == BaseType::Long) return kNoonUs + field.id();
    return field.id() + 1;
  }

  const reflection::Schema& schema_;
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "golden log: %s\n", why.c_str());
  std::abort();
}

class GoldenWriter {
 public:
  explicit GoldenWriter(EventLog& log) : log_(log) {
    const auto bfbs = own_event_schema();
    if (!parser_.Deserialize(reinterpret_cast<const uint8_t*>(bfbs.data()), bfbs.size())) give_up("schema");
  }

  // One print from beginning to end, as an adapter tells it.
  void tell_a_print() {
    add(draft_of(schema::EpochOpenedT{}, "voron-2", noon()));
    schema::MachineRegisteredT registered;
    registered.name = "Voron 2";
    add(draft_of(std::move(registered), "voron-2", noon()));
    add(draft_of(schema::MachineConnectedT{}, "voron-2", noon(1'000'000)));
    state(schema::MachineState::ready, 2);
    state(schema::MachineState::printing, 3);
    schema::JobStartedT started;
    started.job_id = "golden-job";
    started.filename = "benchy.gcode";
    started.start_us = kNoonUs + 3'000'000;
    add(draft_of(std::move(started), "voron-2", noon(3'000'000), noon(3'000'000)));
    for (int percent = 10; percent <= 100; percent += 10) {
      schema::JobProgressedT progressed;
      progressed.job_id = "golden-job";
      progressed.progress = percent / 100.0;
      add(draft_of(std::move(progressed), "voron-2", noon((3 + percent) * 1'000'000)));
      sample(percent);
    }
    schema::JobFinishedT finished;
    finished.job_id = "golden-job";
    finished.outcome = schema::JobOutcome::completed;
    finished.start_us = kNoonUs + 3'000'000;
    finished.end_us = kNoonUs + 104'000'000;
    finished.total_duration = 101.0;
    finished.print_duration = 95.5;
    finished.filament_used = 1234.5;
    add(draft_of(std::move(finished), "voron-2", noon(104'000'000), noon(104'000'000)));
    state(schema::MachineState::ready, 105);
    append();
  }

  // Every event type, on a machine of its own, and what the log itself has to do with some of them.
  void tell_every_type() {
    const auto& schema = *reflection::GetSchema(own_event_schema().data());
    const auto& types = *schema.enums()->LookupByKey("millrace.schema.Payload")->values();
    for (const auto* type : types) {
      if (type->value() == 0) continue;
      const auto* object = schema.objects()->LookupByKey(("millrace.schema." + type->name()->str()).c_str());
      add_json({{"producer", "golden"},
                {"epoch", kEpoch},
                {"sequence", ++filled_},
                {"machine", "golden"},
                {"occurred_at_us", kNoonUs + 200'000'000},
                {"observed_at_us", kNoonUs + 200'000'001},
                {"actor", "somebody"},
                {"correlation", "request-1"},
                {"causation", {{"producer", "voron-2"}, {"epoch", kEpoch}, {"sequence", 1}}},
                {"payload_type", type->name()->str()},
                {"payload", told_of_the_log(type->name()->str(), FilledTable(schema).of(*object))}});
    }
    append({{"golden", {kEpoch, filled_}}, {"producer", kRejected}}, kExpiredThrough);
  }

 private:
  static constexpr EventOrder kRejected{5, 1};
  static constexpr Position kExpiredThrough{14};  // the end of the second commit

  // What says something about this log has to be true of it: verify looks at it.
  static json told_of_the_log(std::string_view type, json payload) {
    if (type == "EventRejected") {
      payload["epoch"] = kRejected.epoch;
      payload["sequence"] = kRejected.sequence;
    }
    if (type == "TelemetryExpired") {
      payload["after"] = 0;
      payload["through"] = kExpiredThrough.value;
    }
    return payload;
  }

  void state(schema::MachineState value, int second) {
    schema::MachineStateChangedT changed;
    changed.state = value;
    add(draft_of(std::move(changed), "voron-2", noon(second * 1'000'000)));
  }
  void sample(int percent) {
    schema::TelemetrySampledT sampled;
    auto signal = std::make_unique<schema::SignalT>();
    signal->object = "extruder";
    signal->field = "temperature";
    signal->value = 200 + percent / 7.0;
    sampled.signals.push_back(std::move(signal));
    add(draft_of(std::move(sampled), "voron-2", noon((3 + percent) * 1'000'000)));
  }

  void add(EventDraft draft) {
    events_.push_back(event({"voron-2", kEpoch, ++told_}, std::move(draft)));
    if (events_.size() == 7) append();
  }
  void add_json(const json& envelope) {
    if (!parser_.Parse(envelope.dump().c_str())) give_up(parser_.error_);
    const std::string_view bytes(reinterpret_cast<const char*>(parser_.builder_.GetBufferPointer()),
                                 parser_.builder_.GetSize());
    auto verified = Envelope::verify(bytes);
    if (!verified) give_up(verified.error().message() + ": " + envelope.dump());
    events_.push_back(std::move(*verified));
  }
  void append() {
    if (!events_.empty()) append({{"voron-2", events_.back().order()}});
  }
  void append(const std::vector<ProducerMark>& marks, std::optional<Position> remove_telemetry_through = std::nullopt) {
    recorded_ += std::chrono::seconds(2);
    auto commit = log_.append({events_, marks, recorded_, remove_telemetry_through});
    if (!commit) give_up(commit.error().message());
    events_.clear();
  }

  EventLog& log_;
  flatbuffers::Parser parser_;
  std::vector<Envelope> events_;
  uint64_t told_ = 0;
  uint64_t filled_ = 0;
  WallTime recorded_ = noon();
};

}  // namespace

void write_golden_log(const std::filesystem::path& directory) {
  const TemporaryDirectory temporary;
  const ManualClock clock;
  const auto log = open_rocksdb_event_log(temporary / "log", clock);
  if (!log) give_up(log.error().message());
  GoldenWriter writer(**log);
  writer.tell_a_print();
  writer.tell_every_type();
  if (auto copied = (*log)->checkpoint(directory); !copied) give_up(copied.error().message());
  // Options name paths of this computer, and are not needed to open a log.
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("OPTIONS-")) std::filesystem::remove(entry.path());
  }
}

std::string golden_events_json(const EventLog& log) {
  std::string lines;
  for (Position after; after < log.last();) {
    const auto read = log.read(after, {}, {});
    if (!read) give_up(read.error().message());
    for (const RecordedEvent& event : read->events) lines += event_to_json(event) + "\n";
    after = read->through;
  }
  return lines;
}

std::string golden_faults_json(const std::filesystem::path& directory) {
  const auto verdict = verify_rocksdb_log(directory);
  if (!verdict) give_up(verdict.error().message());
  json faults = json::array();
  for (const auto& fault : verdict->faults)
    faults.push_back({{"position", fault.position.value}, {"what", fault.what}});
  return faults.dump();
}

std::string golden_views_json(const EventLog& log) {
  json views = json::object();
  for (const auto& projection : make_projections()) {
    const auto digest = rebuild_digest(log, projection->name(), log.last());
    if (!digest) give_up(digest.error().message());
    views[std::string(projection->name())][std::to_string(projection->version())] = *digest;
  }
  return views.dump();
}

}  // namespace millrace::testing
