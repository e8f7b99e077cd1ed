// SPDX-License-Identifier: Apache-2.0
// Backup and restore of a running shop, and backups that are killed.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <set>

#include "bus/blob_store.h"
#include "bus/event_json.h"
#include "bus/log_backup.h"
#include "bus/log_restore.h"
#include "bus/random.h"
#include "bus/rocksdb_store.h"
#include "tests/support/log_checks.h"
#include "tests/support/shop/shop.h"
#include "tests/support/view_checks.h"

namespace millrace {
namespace {

using namespace testing;
namespace fs = std::filesystem;

std::vector<std::string> events_of(const EventLog& log, Position until) {
  std::vector<std::string> events;
  for (Position after; after < until;) {
    const auto read = log.read(after, {.events = 4096}, {}).value();
    for (const RecordedEvent& event : read.events) {
      if (event.position <= until) events.push_back(event_to_json(event));
    }
    after = read.through;
  }
  return events;
}

uint64_t log_position(Shop& shop) {
  const auto ran = shop.run({"log", "info", "--json", "--data", shop.data().string()});
  return json::parse(ran.output)["last_position"];
}

// Each producer's sequences go on without a gap, but for those that an EventsDropped before them names.
void check_holes(const EventLog& log) {
  std::map<std::string, EventOrder> last;
  std::map<std::string, EventOrder> excused;  // up to here
  for (const std::string& line : events_of(log, log.last())) {
    const json event = json::parse(line);
    const std::string producer = event["id"]["producer"];
    const EventOrder order{std::stoull(event["id"]["epoch"].get<std::string>()), event["id"]["sequence"]};
    if (event["type"] == "EventsDropped" && producer == "hub") {
      EXPECT_EQ(event["payload"]["reason"], "restored") << line;
      excused[event["payload"]["producer"]] = {std::stoull(event["payload"]["epoch"].get<std::string>()),
                                               event["payload"]["to_sequence"]};
    }
    const EventOrder before = std::max(last[producer], excused[producer]);
    const bool follows = order.epoch == before.epoch ? order.sequence == before.sequence + 1
                                                     : order.epoch > before.epoch && order.sequence == 1;
    EXPECT_TRUE(follows) << line << " after " << before.epoch << "/" << before.sequence;
    last[producer] = order;
  }
}

TEST(BackupTest, ShopGoesOnFromABackupAfterItsLogIsLost) {
  Shop shop;
  const std::string photo = "a photo's bytes";
  ASSERT_TRUE(open_blob_folder(shop.data() / "blobs").value()->put(blob_name(photo), photo));
  shop.start_simulator({"--machines", "4", "--behaviour", "mixed", "--speed", "60", "--seed", "11"});
  shop.start_all();
  ASSERT_TRUE(eventually([&] { return shop.last_position() > 80; }, std::chrono::seconds(60)));
  const fs::path backups = shop.directory() / "backups";
  std::string first_line;
  for (int i = 0; i < 2; ++i) {
    const auto ran = shop.run({"log", "backup", backups.string(), "--data", shop.data().string(), "--json"});
    ASSERT_EQ(ran.code, 0) << ran.output;
    first_line = ran.output;
  }
  const json backup = json::parse(first_line);
  EXPECT_GT(backup["position"], 80);
  EXPECT_GT(backup["shared_bytes"], 0) << "the second one shares the first one's files";
  EXPECT_EQ(fs::path(backup["generation"].get<std::string>()), backups / "000002");

  // More is recorded and confirmed; then the log and its views are gone.
  ASSERT_TRUE(
      eventually([&] { return shop.last_position() > backup["position"].get<int>() + 80; }, std::chrono::seconds(60)));
  const auto while_running = shop.run({"log", "restore", backups.string(), "--data", shop.data().string()});
  EXPECT_EQ(while_running.code, 2) << while_running.output;
  shop.hub.reset();
  shop.adapters.reset();
  const uint64_t lost_through = log_position(shop);
  const auto over = shop.run({"log", "restore", backups.string(), "--data", shop.data().string()});
  EXPECT_EQ(over.code, 2) << "never over a log: " << over.output;
  {
    TemporaryDirectory scratch;
    const auto lost = open_rocksdb_event_log_reader(shop.data() / "log", scratch.path()).value();
    std::ofstream(shop.directory() / "kept.jsonl")
        << fmt::format("{}", fmt::join(events_of(*lost, Position{backup["position"].get<uint64_t>()}), "\n"));
  }
  fs::remove_all(shop.data() / "log");
  fs::remove_all(shop.data() / "blobs");

  const auto restored = shop.run({"log", "restore", backups.string(), "--data", shop.data().string(), "--json"});
  ASSERT_EQ(restored.code, 0) << restored.output;
  const json told = json::parse(restored.output);
  EXPECT_EQ(told["position"], backup["position"]);
  EXPECT_EQ(told["chain_root"], backup["chain_root"]);
  EXPECT_EQ(told["last_position"], backup["position"].get<int>() + 1);
  EXPECT_NE(told["incarnation"], backup["incarnation"]);
  ASSERT_TRUE(told["lost_events"].is_number()) << "the views of the lost log were found";
  EXPECT_LE(told["lost_through"], lost_through);
  EXPECT_GT(told["lost_events"], 0);
  EXPECT_GT(told["blobs"], 0);
  EXPECT_EQ(open_blob_folder(shop.data() / "blobs").value()->get(blob_name(photo)).value(), photo);

  shop.start_hub();
  shop.start_adapters();
  ASSERT_TRUE(shop.wait_ready()) << shop.output();
  EXPECT_EQ(shop.get("/api/v1/events?type=LogRestored")["items"].size(), 1u);
  LiveClient client(shop.live_url());
  const int before = shop.last_position();
  ASSERT_TRUE(
      eventually([&] { return shop.last_position() > before + 30 && client.messages() > 5; }, std::chrono::seconds(60)))
      << "the shop goes on";
  EXPECT_EQ(shop.get("/api/v1/machines")["items"].size(), 4u);
  shop.machines.reset();
  shop.adapters->terminate();
  ASSERT_EQ(shop.hub->terminate(), 0);

  SystemClock clock;
  const auto log = open_rocksdb_event_log(shop.data() / "log", clock).value();
  EXPECT_EQ(log->incarnation(), told["incarnation"]);
  std::ifstream kept(shop.directory() / "kept.jsonl");
  std::string line;
  for (const std::string& event : events_of(*log, Position{backup["position"].get<uint64_t>()})) {
    ASSERT_TRUE(std::getline(kept, line));
    ASSERT_EQ(event, line) << "what the backup held is there as it was";
  }
  check_holes(*log);
  check_views(*log, shop.data() / "views");
}

// The adapters go on while the hub's disk is replaced: what still lies in their outboxes fills the hole.
TEST(BackupTest, AdaptersThatStayFillTheHoleFromTheirOutboxes) {
  Shop shop;
  shop.start_simulator({"--machines", "4", "--behaviour", "mixed", "--speed", "60", "--seed", "5"});
  shop.start_all();
  ASSERT_TRUE(eventually([&] { return shop.last_position() > 60; }, std::chrono::seconds(60)));
  const fs::path backups = shop.directory() / "backups";
  ASSERT_EQ(shop.run({"log", "backup", backups.string(), "--data", shop.data().string()}).code, 0);
  const int backed_up = shop.last_position();
  ASSERT_TRUE(eventually([&] { return shop.last_position() > backed_up + 60; }, std::chrono::seconds(60)));
  shop.hub.reset();
  fs::remove_all(shop.data() / "log");
  fs::remove_all(shop.data() / "views");
  const auto restored = shop.run({"log", "restore", backups.string(), "--data", shop.data().string()});
  ASSERT_EQ(restored.code, 0) << restored.output;
  EXPECT_NE(restored.output.find("is not known here"), std::string::npos) << restored.output;
  shop.start_hub();
  ASSERT_TRUE(shop.wait_ready()) << shop.output();
  ASSERT_TRUE(eventually([&] { return shop.last_position() > backed_up + 90; }, std::chrono::seconds(60)));
  shop.machines.reset();
  shop.adapters->terminate();
  ASSERT_EQ(shop.hub->terminate(), 0);
  SystemClock clock;
  const auto log = open_rocksdb_event_log(shop.data() / "log", clock).value();
  EXPECT_EQ(count_of(*log, EventType::EventsDropped), 0u);
  check_order(*log);
}

TEST(BackupTest, KilledBackupLeavesTheOldWholeOneOrTheNewWholeOne) {
  const uint64_t seed = random_seed() % 1'000'000;
  std::cout << "seed " << seed << "\n";
  SeededRandom random(seed);
  Shop shop;
  SystemClock clock;
  uint64_t sequence = 0;
  const auto append = [&](uint64_t groups) {
    const auto log = open_rocksdb_event_log(shop.data() / "log", clock).value();
    for (uint64_t group = 0; group < groups; ++group) {
      std::vector<Envelope> events;
      for (int i = 0; i < 100; ++i) {
        schema::MachineStateChangedT payload;
        for (int word = 0; word < 400; ++word) payload.text += fmt::format("{:x}", random.next());
        events.push_back(event({"a", 1, ++sequence}, draft_of(std::move(payload), "a", noon())));
      }
      const std::vector<ProducerMark> marks{{"a", {1, sequence}}};
      ASSERT_TRUE(log->append({events, marks, clock.wall()}));
    }
  };
  const fs::path backups = shop.directory() / "backups";
  const std::vector<std::string> command{Shop::program(), "log", "backup", backups.string(),
                                         "--keep",        "2",   "--data", shop.data().string()};
  fs::create_directories(shop.data());
  append(8);
  const auto begun = clock.monotonic();
  ASSERT_EQ(ChildProcess::start(command, shop.directory() / "backup.log").value().wait(), 0);
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(clock.monotonic() - begun).count();
  fs::path newest = find_backup(backups).value();
  int finished = 0;
  std::set<fs::path> seen;
  for (int kill = 0; kill < 12; ++kill) {
    append(2);
    {
      ChildProcess child = ChildProcess::start(command, shop.directory() / "backup.log").value();
      std::this_thread::sleep_for(
          std::chrono::microseconds(static_cast<int64_t>(random.between(0, static_cast<double>(whole) * 2))));
      child.kill();
    }
    const fs::path now = find_backup(backups).value();
    finished += now != newest ? 1 : 0;
    EXPECT_TRUE(now == newest || now > newest);
    newest = now;
    // Every generation with a number is whole.  One that was looked at does not change.
    for (const auto& entry : fs::directory_iterator(backups)) {
      const std::string name = entry.path().filename().string();
      if (name[0] == '.' || name == "blobs" || !seen.insert(entry.path()).second) continue;
      const fs::path target = shop.directory() / "checked";
      const auto manifest = copy_backup(entry.path(), target);
      ASSERT_TRUE(manifest) << manifest.error().message();
      const auto checked = check_copied_log(target, *manifest);
      EXPECT_TRUE(checked) << checked.error().message();
      fs::remove_all(target);
    }
  }
  std::cout << finished << " of 12 were finished before the kill, a whole one takes " << whole / 1000 << " ms\n";
  ASSERT_EQ(ChildProcess::start(command, shop.directory() / "backup.log").value().wait(), 0);
  EXPECT_FALSE(fs::exists(backups / ".making"));
  EXPECT_FALSE(fs::exists(shop.data() / "backup.copy"));
}

TEST(BackupTest, OlderProgramRefusesANewerLogInOneLine) {
  Shop shop;
  SystemClock clock;
  fs::create_directories(shop.data());
  (void)open_rocksdb_event_log(shop.data() / "log", clock).value();
  {
    rocksdb::DB* db = nullptr;
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, (shop.data() / "log").string(), &names).ok());
    for (const auto& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions{});
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    ASSERT_TRUE(rocksdb::DB::Open({}, (shop.data() / "log").string(), families, &handles, &db).ok());
    ASSERT_TRUE(db->Put({}, handles[0], "format", big_endian(2)).ok());
    for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
    delete db;
  }
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"log", "info", "--data", shop.data().string()},
        {"log", "cat", "--data", shop.data().string()},
        {"log", "backup", (shop.directory() / "b").string(), "--data", shop.data().string()},
        {"run", "--roles", "hub", "--config", shop.config().string()}}) {
    const auto ran = shop.run(arguments);
    EXPECT_EQ(ran.code, 2) << ran.output;
    EXPECT_NE(ran.output.find("has format 2, this program knows up to 1"), std::string::npos) << ran.output;
  }
}

TEST(BackupTest, ErrorsAreOneLineWithTheRightCode) {
  Shop shop;
  const auto expect = [&](const std::vector<std::string>& arguments, int code, const std::string& words) {
    const auto ran = shop.run(arguments);
    EXPECT_EQ(ran.code, code) << ran.output;
    EXPECT_NE(ran.output.find(words), std::string::npos) << ran.output;
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
  };
  const std::string data = (shop.directory() / "none").string();
  const std::string backups = (shop.directory() / "b").string();
  expect({"log", "backup", backups, "--data", data}, 1, "holds no log");
  expect({"log", "restore", backups, "--data", data}, 1, "holds no backup");
  EXPECT_FALSE(fs::exists(data));
  shop.broker.start();
  shop.start_hub();
  ASSERT_TRUE(shop.wait_ready());
  std::ofstream(shop.directory() / "file") << "x";
  expect({"log", "backup", (shop.directory() / "file" / "b").string(), "--data", shop.data().string()}, 1, "file");
}

}  // namespace
}  // namespace millrace
