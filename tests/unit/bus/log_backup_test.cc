// SPDX-License-Identifier: Apache-2.0
#include "bus/log_backup.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "bus/file_copy.h"
#include "bus/file_io.h"
#include "bus/log_restore.h"
#include "bus/random.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/log_checks.h"

namespace millrace {
namespace {

using namespace testing;
namespace fs = std::filesystem;

class RocksdbLogBackupTest : public ::testing::Test {
 protected:
  RocksdbLogBackupTest() { open(); }

  void open() {
    log_.reset();
    log_ = open_rocksdb_event_log(directory_ / "log", clock_).value();
  }

  // One append of `count` facts of about 2 KiB each that do not compress to nothing.
  void append(uint64_t count) {
    std::vector<Envelope> events;
    for (uint64_t i = 0; i < count; ++i) {
      schema::MachineStateChangedT payload;
      while (payload.text.size() < 1'900) payload.text += std::to_string(random_.next());
      events.push_back(event({"a", 1, ++sequence_}, draft_of(std::move(payload), "a", noon())));
    }
    ASSERT_TRUE(log_->append({events, std::vector<ProducerMark>{{"a", {1, sequence_}}}, noon()}));
  }

  BackupOptions options() {
    BackupOptions options;
    options.directory = directory_ / "backups";
    options.reserve_bytes = 0;
    return options;
  }
  Result<BackupReport> back_up(const BackupOptions& options) {
    return back_up_log(*log_, directory_ / "staging", options, clock_);
  }
  BackupReport back_up() { return back_up(options()).value(); }

  Result<RestoreReport> restore(const fs::path& generation, const std::string& to = "restored") {
    return restore_log({generation, directory_ / to, {}}, clock_);
  }

  std::vector<std::string> generations() { return list_directory(directory_ / "backups").value(); }

  ManualClock clock_;
  TemporaryDirectory directory_;
  std::unique_ptr<EventLog> log_;
  uint64_t sequence_ = 0;
  SeededRandom random_{1};
};

using Names = std::vector<std::string>;

TEST_F(RocksdbLogBackupTest, HoldsThePicturesThatEventsReferToOnceForAllGenerations) {
  const auto blobs = open_blob_folder(directory_ / "blobs").value();
  ASSERT_TRUE(blobs->put(blob_name("one"), "one"));
  append(3);
  auto with_blobs = options();
  with_blobs.blobs = blobs.get();
  EXPECT_EQ(back_up(with_blobs)->blobs.count, 1u);
  ASSERT_TRUE(blobs->put(blob_name("two"), "two"));
  const auto second = back_up(with_blobs).value();
  EXPECT_EQ(second.blobs.count, 1u);
  EXPECT_EQ(second.blobs.bytes, 3u);
  EXPECT_EQ(generations(), (Names{".lock", "000001", "000002", "blobs"}));
  const auto held = open_blob_folder(blobs_of_backup(second.generation)).value();
  EXPECT_EQ(held->get(blob_name("one")).value(), "one");
  EXPECT_EQ(held->get(blob_name("two")).value(), "two");
}

TEST_F(RocksdbLogBackupTest, LeavesOutAPictureThatIsDamagedAndSaysSo) {
  const auto blobs = open_blob_folder(directory_ / "blobs").value();
  const std::string name = blob_name("a picture");
  ASSERT_TRUE(blobs->put(name, "a picture"));
  std::ofstream(directory_ / "blobs" / name.substr(0, 2) / name) << "a picturf";
  append(1);
  auto with_blobs = options();
  with_blobs.blobs = blobs.get();
  const auto report = back_up(with_blobs).value();
  EXPECT_EQ(report.blobs.damaged, 1u);
  EXPECT_FALSE(open_blob_folder(blobs_of_backup(report.generation)).value()->has(name));
}

TEST_F(RocksdbLogBackupTest, SaysWhatItHolds) {
  append(10);
  const auto info = log_->info().value();
  const auto report = back_up();
  EXPECT_EQ(report.generation, directory_ / "backups" / "000001");
  const auto manifest = read_backup_manifest(report.generation).value();
  EXPECT_EQ(manifest.incarnation, info.incarnation);
  EXPECT_EQ(manifest.incarnation_number, info.incarnation_number);
  EXPECT_EQ(manifest.position, Position{10});
  EXPECT_EQ(manifest.chain_root, root_text(info));
  EXPECT_EQ(manifest.chain_root.size(), 64u);
  EXPECT_EQ(manifest.made_at, noon());
  for (const BackupFile& file : manifest.files) {
    EXPECT_EQ(digest_file(report.generation / "log" / file.name).value().sha256, file.sha256);
  }
  EXPECT_FALSE(fs::exists(directory_ / "staging"));
  EXPECT_EQ(find_backup(directory_ / "backups").value(), report.generation);
  EXPECT_EQ(find_backup(report.generation).value(), report.generation);
}

TEST_F(RocksdbLogBackupTest, EmptyLogHasABackupToo) {
  const auto report = back_up();
  EXPECT_EQ(report.manifest.position, Position{0});
  EXPECT_EQ(report.manifest.chain_root, "");
  EXPECT_EQ(restore(report.generation).value().last, Position{1});
}

TEST_F(RocksdbLogBackupTest, UnchangedFilesAreSharedWithTheGenerationBefore) {
  append(400);
  const auto first = back_up();
  append(1);
  const auto second = back_up();
  EXPECT_EQ(second.manifest.position, Position{401});
  EXPECT_GT(second.shared_bytes, 300'000u) << "the large group";
  EXPECT_LT(second.new_bytes, 200'000u);
  bool shared = false;
  for (const BackupFile& file : second.manifest.files) {
    if (file.size < 300'000) continue;
    shared = is_same_file(first.generation / "log" / file.name, second.generation / "log" / file.name);
  }
  EXPECT_TRUE(shared);
  EXPECT_TRUE(restore(second.generation));
}

TEST_F(RocksdbLogBackupTest, FileOfTheSameNameAndSizeWithOtherBytesIsNotShared) {
  append(200);
  const auto first = back_up();
  // As after a restore: the new log gives the same names to other files.
  const auto table = std::find_if(first.manifest.files.begin(), first.manifest.files.end(),
                                  [](const BackupFile& file) { return file.size > 100'000; });
  ASSERT_NE(table, first.manifest.files.end());
  const fs::path path = first.generation / "log" / table->name;
  std::string content = read_file(path).value();
  content[1000] ^= 1;
  fs::remove(path);  // the name alone: the log has the same file
  ASSERT_TRUE(write_file_durably(path, content));
  auto manifest = read_file(first.generation / "backup.json").value();
  const auto other = digest_file(path).value().sha256;
  manifest.replace(manifest.find(table->sha256), 64, other);
  ASSERT_TRUE(write_file_durably(first.generation / "backup.json", manifest));
  const auto second = back_up();
  EXPECT_TRUE(restore(second.generation));
}

TEST_F(RocksdbLogBackupTest, AnotherFileSystemGetsCopiesAndSharesThemToo) {
  const fs::path elsewhere = fs::path("/dev/shm") / directory_.path().filename();
  struct stat here {};
  struct stat there {};
  if (::stat(directory_.path().c_str(), &here) != 0 || ::stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev) {
    GTEST_SKIP() << "no second file system on this computer";
  }
  BackupOptions wanted = options();
  wanted.directory = elsewhere;
  append(200);
  const auto first = back_up(wanted);
  append(1);
  const auto second = back_up(wanted);
  EXPECT_TRUE(first && second) << (first ? "" : first.error().message());
  if (second) {
    EXPECT_GT(second->shared_bytes, 150'000u);
    EXPECT_TRUE(restore(second->generation));
  }
  fs::remove_all(elsewhere);
}

TEST_F(RocksdbLogBackupTest, KeepsTheNewestGenerations) {
  BackupOptions wanted = options();
  wanted.keep = 2;
  for (int i = 0; i < 4; ++i) {
    append(1);
    ASSERT_TRUE(back_up(wanted));
  }
  EXPECT_EQ(generations(), (Names{".lock", "000003", "000004"}));
  EXPECT_EQ(restore(find_backup(directory_ / "backups").value()).value().backup.position, Position{4});
}

TEST_F(RocksdbLogBackupTest, FolderWithANumberForANameThatIsNoGenerationIsLeftAlone) {
  fs::create_directories(directory_ / "backups" / "000002");
  fs::create_directories(directory_ / "backups" / "20240101");
  std::ofstream(directory_ / "backups" / "20240101" / "photo.jpg") << "somebody's";
  auto one = options();
  one.keep = 1;
  for (int i = 0; i < 3; ++i) {
    append(1);
    ASSERT_TRUE(back_up(one));
  }
  EXPECT_EQ(generations(), (Names{".lock", "000002", "000004", "20240101"}));
  EXPECT_EQ(find_backup(directory_ / "backups").value(), directory_ / "backups" / "000004");
  EXPECT_TRUE(fs::exists(directory_ / "backups" / "20240101" / "photo.jpg"));
}

TEST_F(RocksdbLogBackupTest, DamagedLogIsNotBackedUpAndNoGenerationGoesForIt) {
  append(50);
  auto one = options();
  one.keep = 1;
  ASSERT_TRUE(back_up(one));
  std::string flipped;
  for (const auto& name : list_directory(directory_ / "log").value()) {
    if (name.ends_with(".sst") && fs::file_size(directory_ / "log" / name) > 50'000) flipped = name;
  }
  ASSERT_FALSE(flipped.empty());
  // A file of its own, as on another disk: the generation before shares the log's.
  fs::copy(directory_ / "log" / flipped, directory_ / "other");
  std::fstream(directory_ / "other", std::ios::in | std::ios::out).seekp(20'000) << "damaged";
  fs::rename(directory_ / "other", directory_ / "log" / flipped);
  const auto refused = back_up(one);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kCorrupt);
  EXPECT_NE(refused.error().context.find(flipped), std::string::npos) << refused.error().context;
  EXPECT_EQ(generations(), (Names{".lock", "000001"}));
  EXPECT_TRUE(restore(directory_ / "backups" / "000001"));
}

TEST(LiesWithin, KnowsAFolderByEveryName) {
  TemporaryDirectory directory;
  fs::create_directories(directory / "data" / "log");
  fs::create_directory_symlink(directory / "data", directory / "link");
  EXPECT_TRUE(lies_within(directory / "data" / "log", directory / "data" / "log"));
  EXPECT_TRUE(lies_within(directory / "link" / "log" / "not" / "there", directory / "data" / "log"));
  EXPECT_TRUE(lies_within(directory / "data" / "views" / ".." / "log", directory / "link" / "log"));
  EXPECT_FALSE(lies_within(directory / "data", directory / "data" / "log"));
  EXPECT_FALSE(lies_within(directory / "data" / "log2", directory / "data" / "log"));
}

TEST_F(RocksdbLogBackupTest, LeftoversOfAKilledBackupGo) {
  append(1);
  for (const char* leftover : {"backups/.making/log", "backups/.removing-000001/log", "staging"}) {
    fs::create_directories(directory_ / leftover);
    std::ofstream(directory_ / leftover / "000009.sst") << "half";
  }
  ASSERT_TRUE(back_up(options()));
  EXPECT_EQ(generations(), (Names{".lock", "000001"}));
}

TEST_F(RocksdbLogBackupTest, TooLittleRoomIsRefusedAndLeavesNothing) {
  append(1);
  back_up();
  BackupOptions wanted = options();
  wanted.reserve_bytes = uint64_t{1} << 60;
  const auto refused = back_up(wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kFull);
  EXPECT_NE(refused.error().context.find("MiB free"), std::string::npos) << refused.error().context;
  EXPECT_EQ(generations(), (Names{".lock", "000001"}));
  EXPECT_FALSE(fs::exists(directory_ / "staging"));
  append(1);
}

// The copy begins with a flush, and a flush that meets a full disk would stop the writer.
TEST_F(RocksdbLogBackupTest, LogWhoseDiskIsAtItsReserveIsNotCopied) {
  append(1);
  log_.reset();
  LogStoreOptions store;
  store.write_buffer_bytes = size_t{1} << 44;  // no disk has room for three of these
  log_ = open_rocksdb_event_log(directory_ / "log", clock_, store).value();
  const auto refused = back_up(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kFull);
  EXPECT_EQ(generations(), (Names{".lock"}));
}

TEST_F(RocksdbLogBackupTest, CancelledBackupLeavesNothing) {
  append(400);
  for (int after = 0; after < 4; ++after) {
    BackupOptions wanted = options();
    int asked = 0;
    wanted.cancelled = [&] { return asked++ == after; };
    EXPECT_EQ(back_up(wanted).error().code, Errc::kUnavailable);
    EXPECT_EQ(generations(), (Names{".lock"}));
    EXPECT_FALSE(fs::exists(directory_ / "staging"));
  }
}

TEST_F(RocksdbLogBackupTest, OneBackupAtATimeWorksInAFolder) {
  append(1);
  BackupOptions wanted = options();
  Errc inner = Errc::kIo;
  wanted.cancelled = [&] {
    inner = back_up_log(*log_, directory_ / "staging2", options(), clock_).error().code;
    return false;
  };
  EXPECT_TRUE(back_up(wanted));
  EXPECT_EQ(inner, Errc::kConflict);
}

TEST_F(RocksdbLogBackupTest, FolderThatCannotBeMadeIsAnError) {
  append(1);
  std::ofstream(directory_ / "file") << "x";
  BackupOptions wanted = options();
  wanted.directory = directory_ / "file" / "backups";
  EXPECT_FALSE(back_up(wanted));
  wanted.directory = directory_ / "file";
  EXPECT_FALSE(back_up(wanted));
}

TEST_F(RocksdbLogBackupTest, AppendsGoOnMeanwhileAndEachBackupIsAPrefix) {
  append(200);
  std::atomic<bool> done{false};
  std::thread appender([&] {
    while (!done) append(20);
  });
  std::vector<BackupReport> reports;
  for (int i = 0; i < 4; ++i) reports.push_back(back_up());
  done = true;
  appender.join();
  Position before;
  for (size_t i = 0; i < reports.size(); ++i) {
    const auto report = restore(reports[i].generation, "restored" + std::to_string(i));
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_GE(report->backup.position, before);
    before = report->backup.position;
    const auto restored =
        open_rocksdb_event_log(directory_ / ("restored" + std::to_string(i)), clock_).value().release();
    const auto last = check_order(*restored);
    EXPECT_EQ(last.at("a").sequence, report->backup.position.value);
    EXPECT_EQ(restored->mark("a"), last.at("a"));
    delete restored;
  }
}

TEST_F(RocksdbLogBackupTest, RestoredLogGoesOnAsAnotherOne) {
  append(5);
  const auto root = root_text(log_->info().value());
  const auto report = back_up();
  append(3);
  const auto restored = restore_log({report.generation, directory_ / "restored", Position{8}}, clock_);
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ(restored->last, Position{6});

  auto log = open_rocksdb_event_log(directory_ / "restored", clock_).value();
  EXPECT_EQ(log->incarnation(), restored->incarnation);
  EXPECT_GT(log->incarnation(), log_->incarnation());
  const auto event = log->at(Position{6}).value();
  EXPECT_EQ(event.envelope.id(), (EventId{"hub", log->incarnation_number(), 1}));
  const auto* told = event.envelope.as<schema::LogRestored>();
  ASSERT_NE(told, nullptr);
  EXPECT_EQ(text(told->previous_incarnation()), log_->incarnation());
  EXPECT_EQ(told->position(), 5u);
  EXPECT_EQ(told->root()->size(), 32u);
  EXPECT_EQ(told->backed_up_at_us(), to_unix_us(noon()));
  ASSERT_EQ(told->lost()->size(), 1u);
  EXPECT_EQ(told->lost()->Get(0)->from(), 6u);
  EXPECT_EQ(told->lost()->Get(0)->through(), 8u);
  EXPECT_NE(root_text(log->info().value()), root) << "the chain goes on";

  // Until something comes, the marks are the backup's.
  EXPECT_EQ(log->info().value().restored, (std::set<std::string, std::less<>>{"a"}));
  EXPECT_EQ(log->info().value().restored_at, noon());
  const std::vector<Envelope> next{fact("a", 1, 6)};
  ASSERT_TRUE(log->append({next, std::vector<ProducerMark>{{"a", {1, 6}}}, noon()}));
  EXPECT_TRUE(log->info().value().restored.empty());
}

TEST_F(RocksdbLogBackupTest, RestoreNeverOverwrites) {
  append(1);
  const auto report = back_up();
  const auto refused = restore_log({report.generation, directory_ / "log", {}}, clock_);
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  fs::create_directories(directory_ / "empty");
  EXPECT_EQ(restore(report.generation, "empty").error().code, Errc::kConflict);
  append(1);
}

TEST_F(RocksdbLogBackupTest, DamageInAnyFileIsNamedAndNothingIsLeft) {
  append(50);
  const auto report = back_up();
  for (const BackupFile& file : report.manifest.files) {
    const fs::path path = report.generation / "log" / file.name;
    const std::string content = read_file(path).value();
    const auto expect_named = [&](const char* what) {
      const auto refused = restore(report.generation);
      ASSERT_FALSE(refused) << what << " " << file.name;
      EXPECT_EQ(refused.error().code, Errc::kCorrupt);
      EXPECT_NE(refused.error().context.find(file.name), std::string::npos) << refused.error().context;
      EXPECT_FALSE(fs::exists(directory_ / "restored"));
      EXPECT_FALSE(fs::exists(directory_ / "restored.restoring"));
    };
    fs::remove(path);
    expect_named("missing");
    std::string damaged = content;
    if (!damaged.empty()) {
      damaged[damaged.size() / 2] ^= 4;
      ASSERT_TRUE(write_file_durably(path, damaged));
      expect_named("flipped");
      ASSERT_TRUE(write_file_durably(path, content.substr(0, content.size() - 1)));
      expect_named("short");
    }
    ASSERT_TRUE(write_file_durably(path, content));
  }
  EXPECT_TRUE(restore(report.generation));
}

TEST_F(RocksdbLogBackupTest, ManifestThatDoesNotFitTheLogIsRefused) {
  append(5);
  const auto report = back_up();
  const std::string manifest = read_file(report.generation / "backup.json").value();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = manifest;
    changed.replace(changed.find(from), from.size(), to);
    EXPECT_TRUE(write_file_durably(report.generation / "backup.json", changed));
    return restore(report.generation).error().code;
  };
  EXPECT_EQ(with(report.manifest.chain_root, std::string(64, '0')), Errc::kCorrupt);
  EXPECT_EQ(with("\"position\":5", "\"position\":4"), Errc::kCorrupt);
  EXPECT_EQ(with(report.manifest.incarnation, std::string(16, '1')), Errc::kCorrupt);
  EXPECT_EQ(with("\"format\":1", "\"format\":2"), Errc::kIncompatible);
  EXPECT_EQ(with("\"name\":\"", "\"name\":\"../"), Errc::kMalformed);
  EXPECT_EQ(with(manifest, "{}"), Errc::kMalformed);
  EXPECT_EQ(with(manifest, "{\"format\":"), Errc::kMalformed);
  EXPECT_EQ(find_backup(directory_ / "log").error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace millrace
