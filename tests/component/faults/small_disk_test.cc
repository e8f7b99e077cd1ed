// SPDX-License-Identifier: Apache-2.0
// Disks that are really full: log, views and outbox refuse, lose nothing that was confirmed, and go on by themselves.
#include "tests/support/small_disk.h"

#include <gtest/gtest.h>

#include <fstream>

#include "bus/outbox.h"
#include "producers/outbox_runner.h"
#include "projections/projector.h"
#include "projections/registry.h"
#include "tests/component/faults/ledger.h"
#include "tests/support/fake_mqtt.h"
#include "tests/support/process.h"
#include "tests/support/view_checks.h"

namespace millrace {
namespace {

using namespace testing;

constexpr uint64_t kMebibyte = 1u << 20;

class SmallDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    MILLRACE_NEEDS_MOUNTED(disk_);
    quiet_logging();
  }
  void open(const LogStoreOptions& options) {
    log_ = open_rocksdb_event_log(disk_.path() / "log", clock_, options).value();
  }
  // Until one is refused, with what.
  Error append_until_refused() {
    for (int i = 0; i < 100'000; ++i) {
      const auto commit = ledger_.append(*log_);
      if (!commit) return commit.error();
    }
    return make_error(Errc::kTimeout, "the disk did not get full");
  }

  TemporaryDirectory directory_;
  SmallDisk disk_{directory_ / "disk", 64};
  ManualClock clock_;
  Ledger ledger_{1};
  std::unique_ptr<EventLog> log_;
};

TEST_F(SmallDiskTest, AppendsAreRefusedBeforeTheDiskIsFullAndGoOnWhenThereIsRoom) {
  LogStoreOptions options;
  options.write_buffer_bytes = 2 * kMebibyte;
  open(options);
  const uint64_t reserve = 3 * options.write_buffer_bytes + EventLog::kMaxGroupBytes;
  disk_.fill_up_to(reserve + 4 * kMebibyte);
  for (int round = 0; round < 2; ++round) {
    const Error refusal = append_until_refused();
    EXPECT_EQ(refusal.code, Errc::kFull) << refusal.message();
    EXPECT_NE(refusal.context.find("MiB are kept in reserve: free "), std::string::npos) << refusal.context;
    EXPECT_GT(disk_.free_bytes(), reserve / 2) << "RocksDB has not met the end of the disk";
    EXPECT_EQ(log_->recover().error().code, Errc::kFull);
    EXPECT_EQ(ledger_.compare(*log_), "");
    disk_.fill_up_to(reserve + (3 + static_cast<uint64_t>(round)) * kMebibyte);
    ASSERT_TRUE(log_->recover()) << "without being opened again";
  }
  disk_.make_room();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(ledger_.append(*log_));
  log_.reset();
  open(options);
  EXPECT_EQ(ledger_.compare(*log_), "");
}

TEST_F(SmallDiskTest, NoInodeLeftIsRefusedUntilThereIsOne) {
  const SmallDisk few(directory_ / "few", 64, 64);
  log_ = open_rocksdb_event_log(few.path(), clock_, {.reserve_bytes = 0}).value();
  ASSERT_TRUE(ledger_.append(*log_));
  std::vector<std::filesystem::path> files;
  while (true) {
    files.push_back(few.path() / ("file-" + std::to_string(files.size())));
    if (!std::ofstream(files.back())) break;
    ASSERT_LT(files.size(), 100u);
  }
  const auto refused = ledger_.append(*log_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kFull);
  EXPECT_NE(refused.error().context.find("has no inode left"), std::string::npos) << refused.error().context;
  std::filesystem::remove(files.front());
  ASSERT_TRUE(log_->recover());
  ASSERT_TRUE(ledger_.append(*log_));
  EXPECT_EQ(ledger_.compare(*log_), "");
  log_.reset();
}

TEST_F(SmallDiskTest, ReadOnlyDiskIsNamedAndItsLogCanBeRead) {
  open({.write_buffer_bytes = kMebibyte});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(ledger_.append(*log_));
  log_.reset();
  ASSERT_TRUE(disk_.make_read_only(true));
  const auto refused = open_rocksdb_event_log(disk_.path() / "log", clock_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kIo);
  EXPECT_NE(refused.error().context.find("Read-only file system"), std::string::npos) << refused.error().context;
  {
    const auto reader = open_rocksdb_event_log_reader(disk_.path() / "log", directory_ / "scratch");
    ASSERT_TRUE(reader) << reader.error().message();
    EXPECT_EQ(ledger_.compare(**reader), "");
  }
  ASSERT_TRUE(disk_.make_read_only(false));
  open({.write_buffer_bytes = kMebibyte});
  EXPECT_EQ(ledger_.compare(*log_), "");
  ASSERT_TRUE(ledger_.append(*log_));
}

// Without the reserve RocksDB meets the end of the disk: in a flush with small write buffers, in its write-ahead log
// with large ones.
class NoReserveTest : public SmallDiskTest, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(NoReserveTest, DiskThatIsMetFullAbortsNothingAndLosesNothing) {
  LogStoreOptions options;
  options.write_buffer_bytes = GetParam() * kMebibyte;
  options.reserve_bytes = 0;
  open(options);
  for (int round = 0; round < 2; ++round) {
    disk_.fill_up_to(2 * kMebibyte);
    const Error refusal = append_until_refused();
    EXPECT_EQ(refusal.code, Errc::kSyncFailed) << refusal.message();
    EXPECT_NE(refusal.context.find("No space left"), std::string::npos) << refusal.context;
    disk_.fill_up_to(0);
    // Closing gives some room back, which may be enough.
    const auto early = log_->recover();
    EXPECT_TRUE(early || early.error().code == Errc::kFull) << early.error().message();
    const auto read = log_->read({}, {}, {});
    EXPECT_TRUE(read) << read.error().message();
    disk_.make_room();
    const auto recovered = log_->recover();
    ASSERT_TRUE(recovered) << recovered.error().message();
    EXPECT_EQ(ledger_.compare(*log_), "");
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(ledger_.append(*log_));
  }
  log_.reset();
  open(options);
  EXPECT_EQ(ledger_.compare(*log_), "");
}

INSTANTIATE_TEST_SUITE_P(WriteBufferMiB, NoReserveTest, ::testing::Values(uint64_t{1}, uint64_t{16}));

TEST_F(SmallDiskTest, ViewsStopAndGoOn) {
  const auto log = make_memory_event_log();
  auto store = open_rocksdb_view_store(disk_.path() / "views", view_names()).value();
  const auto metrics = make_metrics();
  Health health;
  Projector projector(*log, *store, make_projections(), *metrics, health, {.retry = std::chrono::milliseconds(10)});
  ASSERT_TRUE(projector.start());
  disk_.fill_up_to(kMebibyte);
  SeededRandom random(1);
  const auto give_work = [&] {
    schema::JobStartedT job;
    job.job_id = "m1." + std::to_string(log->last().value);
    for (int i = 0; i < 2000; ++i) job.filename += static_cast<char>('a' + random.next() % 26);
    const std::vector<Envelope> events{event({"m1", 1, log->last().value + 1}, draft_of(std::move(job), "m1", noon()))};
    projector.offer(std::make_shared<const Commit>(log->append({events, {}, noon()}).value()));
  };
  const auto failures = [&] { return metrics->counter("millrace_projector_failures_total", "").value(); };
  for (int i = 0; i < 20'000 && failures() == 0; ++i) give_work();
  ASSERT_GT(failures(), 0);
  EXPECT_TRUE(eventually([&] { return !health.parts().at("projector").ready; }));
  for (int i = 0; i < 50; ++i) give_work();
  disk_.make_room();
  ASSERT_TRUE(projector.wait_for(log->last(), std::chrono::seconds(30))) << health.parts().at("projector").text;
  projector.stop();
  check_views(*log, *store);
}

TEST_F(SmallDiskTest, OutboxThinsTelemetryFirstGoesOnWhenNothingFitsAndSaysWhatIsMissing) {
  FakeMqtt mqtt;
  mqtt.up = false;
  const Topics topics;
  const auto metrics = make_metrics();
  OutboxRunnerOptions options;
  options.producer = "m1";
  OutboxOptions outbox_options{.reserve_bytes = 8 * kMebibyte};
  const auto open_outbox = [&] { return Outbox::open(disk_.path() / "outbox", outbox_options).value(); };
  auto runner = OutboxRunner::open(options, open_outbox(), mqtt, topics, clock_, *metrics).value();
  const auto emit = [&](bool as_telemetry) {
    std::vector<EventDraft> drafts;
    if (as_telemetry) {
      schema::TelemetrySampledT sample;
      sample.signals.push_back(std::make_unique<schema::SignalT>());
      sample.signals.back()->object = std::string(1000, 'x');
      drafts.push_back(draft_of(std::move(sample), "m1", noon()));
    } else {
      schema::MachineStateChangedT fact;
      fact.text = std::string(1000, 'x');
      drafts.push_back(draft_of(std::move(fact), "m1", noon()));
    }
    const uint64_t before = runner->unconfirmed();
    runner->emit(std::move(drafts), "state");
    return runner->unconfirmed() - before;
  };
  EXPECT_EQ(emit(true), 1u);
  disk_.fill_up_to(4 * kMebibyte);  // below the reserve
  EXPECT_EQ(emit(true), 0u) << "telemetry goes first";
  EXPECT_EQ(emit(false), 1u) << "facts still find room";
  disk_.fill_up_to(0);
  uint64_t stored = 0;
  uint64_t lost = 0;
  for (int i = 0; i < 2000; ++i) (emit(false) == 1 ? stored : lost) += 1;
  EXPECT_GT(lost, 1000u) << "nothing fits, and nobody hangs or dies";
  disk_.make_room();
  EXPECT_EQ(emit(false), 2u) << "the fact and EventsDropped";
  EXPECT_EQ(emit(true), 1u);
  const uint64_t expected = runner->unconfirmed();
  runner.reset();
  const auto outbox = open_outbox();
  ASSERT_EQ(outbox->size_events(), expected) << "what was stored can be read after a restart";
  uint64_t told = 0;
  for (const OutboxEntry& entry : outbox->read({}, 100'000, 100 * kMebibyte).value()) {
    const auto envelope = Envelope::verify(entry.bytes).value();
    const auto* dropped = envelope.as<schema::EventsDropped>();
    if (dropped == nullptr) continue;
    told += dropped->count();
    EXPECT_EQ(text(dropped->reason()), "disk_full");
  }
  EXPECT_EQ(told, lost + 1);
}

}  // namespace
}  // namespace millrace
