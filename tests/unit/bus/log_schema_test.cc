// SPDX-License-Identifier: Apache-2.0
// The log carries its schemas: which one wrote what, logs of newer programs, and reading without this program.
#include "bus/log_schema.h"

#include <flatbuffers/idl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "bus/crc32.h"
#include "bus/event_group.h"
#include "bus/event_log.h"
#include "bus/log_repair.h"
#include "bus/log_verifier.h"
#include "bus/rocksdb_store.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;
using nlohmann::json;

constexpr std::array<const char*, 7> kFamilies = {"default", "facts",     "telemetry", "machines",
                                                  "times",   "producers", "chain"};

// The log's files without the log's code.
class RawLog {
 public:
  explicit RawLog(const std::filesystem::path& directory) {
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const char* name : kFamilies) families.emplace_back(name, rocksdb::ColumnFamilyOptions{});
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open({}, directory.string(), families, &handles_, &db);
    EXPECT_TRUE(status.ok()) << status.ToString();
    db_.reset(db);
  }
  ~RawLog() {
    for (auto* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  }
  void put(const std::string& key, const std::string& value) {
    rocksdb::WriteOptions options;
    options.sync = true;
    EXPECT_TRUE(db_->Put(options, handles_[0], key, value).ok());
  }
  void erase(const std::string& key) { EXPECT_TRUE(db_->Delete({}, handles_[0], key).ok()); }
  // Keys and values of a family that begin with `prefix`.
  std::map<std::string, std::string> all(size_t family, const std::string& prefix = "") {
    std::map<std::string, std::string> found;
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, handles_[family]));
    for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
      found.emplace(it->key().ToString(), it->value().ToString());
    }
    return found;
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

std::string compile(const std::string& fbs) {
  flatbuffers::Parser parser;
  EXPECT_TRUE(parser.Parse(fbs.c_str())) << parser.error_;
  parser.Serialize();
  return {reinterpret_cast<const char*>(parser.builder_.GetBufferPointer()), parser.builder_.GetSize()};
}

// A schema of an earlier or later program, in the words that matter here.
std::string schema_with(const std::string& fields, const std::string& types) {
  return compile("namespace millrace.schema; table EpochOpened { " + fields + " } " +
                 (types.empty() ? "" : "table " + types + " { x:int; } ") + "union Payload { EpochOpened" +
                 (types.empty() ? "" : ", " + types) + " } table Envelope { payload:Payload; } root_type Envelope;");
}

std::string name_of_schema(const std::string& bfbs) { return fmt::format("{:08x}", crc32_of(bfbs)); }

class RocksdbLogSchemaTest : public ::testing::Test {
 protected:
  std::unique_ptr<EventLog> open() { return open_rocksdb_event_log(log_, clock_).value(); }
  Errc refusal() { return open_rocksdb_event_log(log_, clock_).error().code; }

  void append_to(EventLog& log, const Envelope& envelope) {
    const std::vector<Envelope> events{envelope};
    ASSERT_TRUE(log.append({events, {}, noon()}));
  }

  // As if another program had created the log, and written everything so far.
  void pretend_written_by(const std::string& bfbs) {
    RawLog raw(log_);
    for (const char* prefix : {"schema/", "written/"}) {
      for (const auto& [key, value] : raw.all(0, prefix)) raw.erase(key);
    }
    raw.put("schema/" + name_of_schema(bfbs), bfbs);
  }

  void expect_refused_by_all_else() {
    TemporaryDirectory scratch;
    EXPECT_EQ(open_rocksdb_event_log_reader(log_, scratch.path()).error().code, Errc::kIncompatible);
    EXPECT_EQ(verify_rocksdb_log(log_).error().code, Errc::kIncompatible);
    EXPECT_EQ(repair_rocksdb_log(log_, directory_ / "repaired", clock_).error().code, Errc::kIncompatible);
    EXPECT_FALSE(std::filesystem::exists(directory_ / "repaired"));
  }

  ManualClock clock_;
  TemporaryDirectory directory_;
  const std::filesystem::path log_ = directory_ / "log";
};

TEST_F(RocksdbLogSchemaTest, NewLogNamesItsSchemaFromTheFirstPosition) {
  const auto log = open();
  append_to(*log, fact("a", 1, 1));
  const auto schemas = log->schemas().value();
  ASSERT_EQ(schemas.size(), 1u);
  EXPECT_EQ(schemas[0].since, Position{1});
  EXPECT_EQ(schemas[0].bfbs, own_event_schema());
}

TEST_F(RocksdbLogSchemaTest, OldLogGetsThisProgramsSchemaWithTheFirstPositionWrittenByIt) {
  {
    const auto log = open();
    for (uint64_t i = 1; i <= 4; ++i) append_to(*log, fact("a", 1, i));
  }
  const std::string older = schema_with("previous_epoch:ulong;", "");
  pretend_written_by(older);
  for (int restarts = 0; restarts < 2; ++restarts) {
    const auto log = open();
    EXPECT_EQ(log->schemas().value().size(), restarts == 0 ? 1u : 2u) << "opening alone writes nothing";
    append_to(*log, fact("a", 1, 5));
    const auto schemas = log->schemas().value();
    ASSERT_EQ(schemas.size(), 2u);
    EXPECT_EQ(schemas[0].since, Position{1});
    EXPECT_EQ(schemas[0].bfbs, older);
    EXPECT_EQ(schemas[1].since, Position{5});
    EXPECT_EQ(schemas[1].bfbs, own_event_schema());
  }
}

TEST_F(RocksdbLogSchemaTest, LogOfANewerSchemaIsRefusedByName) {
  append_to(*open(), fact("a", 1, 1));
  for (const auto& [bfbs, name] :
       {std::pair{schema_with("previous_epoch:ulong;", "SpoolChanged"), "SpoolChanged"},
        std::pair{schema_with("previous_epoch:ulong; previous_host:string;", ""), "EpochOpened.previous_host"}}) {
    pretend_written_by(bfbs);
    const auto refused = open_rocksdb_event_log(log_, clock_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kIncompatible);
    EXPECT_NE(refused.error().context.find(name), std::string::npos) << refused.error().context;
    expect_refused_by_all_else();
  }
}

TEST_F(RocksdbLogSchemaTest, LogOfANewerFormatIsRefused) {
  append_to(*open(), fact("a", 1, 1));
  RawLog(log_).put("format", big_endian(2));
  EXPECT_EQ(refusal(), Errc::kIncompatible);
  expect_refused_by_all_else();
}

TEST_F(RocksdbLogSchemaTest, DamagedSchemaIsReported) {
  open();
  RawLog(log_).put("schema/" + name_of_schema(std::string(own_event_schema())), "damaged");
  EXPECT_EQ(refusal(), Errc::kCorrupt);
  EXPECT_FALSE(verify_rocksdb_log(log_).value().whole());
  pretend_written_by("no schema at all");
  EXPECT_EQ(refusal(), Errc::kCorrupt);
  EXPECT_FALSE(verify_rocksdb_log(log_).value().whole());
}

TEST_F(RocksdbLogSchemaTest, EveryAcceptedSchemaIsKnownToThisProgram) {
  flatbuffers::Parser parser;
  const std::string folder = std::string(MILLRACE_SOURCE_DIR) + "/schemas/baseline/";
  std::ifstream file(folder + "event.fbs");
  const std::string fbs{std::istreambuf_iterator<char>(file), {}};
  const char* include[] = {folder.c_str(), nullptr};
  ASSERT_TRUE(parser.Parse(fbs.c_str(), include)) << parser.error_;
  parser.Serialize();
  const std::string bfbs(reinterpret_cast<const char*>(parser.builder_.GetBufferPointer()), parser.builder_.GetSize());
  EXPECT_TRUE(check_schema_known(bfbs)) << check_schema_known(bfbs).error().message();
}

// FlatBuffers' own reading with nothing but the schema in the log: no generated code has a part in it.
TEST_F(RocksdbLogSchemaTest, EventIsReadWithTheSchemaOfTheLogAlone) {
  {
    const auto log = open();
    schema::JobFinishedT finished;
    finished.job_id = "job-1";
    finished.outcome = schema::JobOutcome::completed;
    finished.total_duration = 12.5;
    append_to(*log, event({"voron-2", 7, 1}, draft_of(std::move(finished), "voron-2", noon(), noon(-1))));
  }
  RawLog raw(log_);
  const std::string bfbs = raw.all(0, "schema/").begin()->second;
  const auto group = decode_group(raw.all(1).begin()->second);
  ASSERT_TRUE(group) << group.error().message();
  const auto bytes = group->events[0].envelope.bytes();

  flatbuffers::Parser parser;
  parser.opts.strict_json = true;
  ASSERT_TRUE(parser.Deserialize(reinterpret_cast<const uint8_t*>(bfbs.data()), bfbs.size()));
  std::string text;
  ASSERT_TRUE(flatbuffers::GenerateText(parser, bytes.data(), &text));
  const json read = json::parse(text);
  EXPECT_EQ(read["producer"], "voron-2");
  EXPECT_EQ(read["epoch"], 7);
  EXPECT_EQ(read["machine"], "voron-2");
  EXPECT_EQ(read["occurred_at_us"], kNoonUs - 1);
  EXPECT_EQ(read["payload_type"], "JobFinished");
  EXPECT_EQ(read["payload"]["job_id"], "job-1");
  EXPECT_EQ(read["payload"]["outcome"], "completed");
  EXPECT_EQ(read["payload"]["total_duration"], 12.5);
}

}  // namespace
}  // namespace millrace
