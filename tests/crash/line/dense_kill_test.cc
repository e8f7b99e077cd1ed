// SPDX-License-Identifier: Apache-2.0
// Many kills in little time: the line without its adapters and pages, under full load, with buffers so small that the
// log and the views flush and compact all the time.  A hub kills itself at a chosen point (before an append, when the
// broker has its acknowledgements already; within one; behind one, before the confirmation; within a commit of the
// views) or is killed at any instant, and so are producers and the broker.  Or all of them lose power at once, on a
// real file system.
//
// The roles are this program itself, started again.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <thread>

#include "bus/file_io.h"
#include "bus/logging.h"
#include "bus/periodic_thread.h"
#include "bus/random.h"
#include "consumers/recorder.h"
#include "consumers/retention.h"
#include "projections/projector.h"
#include "projections/registry.h"
#include "projections/view_store.h"
#include "tests/component/line/line.h"
#include "tests/crash/line/line_checks.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/forwarding_event_log.h"
#include "tests/support/power_disk.h"
#include "tests/support/view_checks.h"

namespace millrace {
namespace {

using namespace testing;

constexpr size_t kSmallBuffer = 128u << 10;
constexpr std::chrono::milliseconds kReconnect{20};

// Where a hub dies by itself.
enum class Point { kNowhere, kBeforeAppend, kWithinAppend, kAfterAppend, kWithinViews };
constexpr size_t kPoints = 5;
constexpr std::array<const char*, kPoints> kPointNames{"any instant", "before append", "within append", "after append",
                                                       "within a view's commit"};

struct Death {
  Point point = Point::kNowhere;
  uint64_t countdown = 0;  // of the times that the point is passed
  uint64_t delay_us = 0;   // within

  void pass(Point passed) {
    if (passed == point && --countdown == 0) ::kill(::getpid(), SIGKILL);
  }
  void enter(Point entered) {
    if (entered != point || --countdown != 0) return;
    std::thread([delay = delay_us] {
      std::this_thread::sleep_for(std::chrono::microseconds(delay));
      ::kill(::getpid(), SIGKILL);
    }).detach();
  }
};

class DyingLog final : public ForwardingEventLog {
 public:
  DyingLog(std::unique_ptr<EventLog> log, Death& death) : ForwardingEventLog(std::move(log)), death_(death) {}
  Result<Commit> append(const AppendBatch& batch) override {
    death_.pass(Point::kBeforeAppend);
    death_.enter(Point::kWithinAppend);
    auto commit = log_->append(batch);
    death_.pass(Point::kAfterAppend);
    return commit;
  }

 private:
  Death& death_;
};

class DyingViews final : public ViewStore {
 public:
  DyingViews(std::unique_ptr<ViewStore> views, Death& death) : views_(std::move(views)), death_(death) {}
  Result<void> commit(const std::vector<ViewWrite>& writes) override {
    death_.enter(Point::kWithinViews);
    return views_->commit(writes);
  }
  Result<void> clear(std::string_view view, const std::vector<ViewWrite>& writes) override {
    return views_->clear(view, writes);
  }
  std::shared_ptr<const ViewReader> reader() const override { return views_->reader(); }

 private:
  std::unique_ptr<ViewStore> views_;
  Death& death_;
};

std::unique_ptr<MqttClient> client_of(const std::string& url) {
  MqttOptions options;
  options.url = url;
  options.reconnect_min = options.reconnect_max = kReconnect;
  return make_mqtt_client(options);
}

// What a hub does beside recording, all the time: telemetry of a second ago is old, and a copy of the log is made.
class Housekeeping {
 public:
  Housekeeping(const std::filesystem::path& folder, EventLog& log, Recorder& recorder, Metrics& metrics)
      : retention_(
            {.interval = std::chrono::seconds(1), .piece = std::chrono::seconds(1), .settled = {}}, log,
            [&recorder](HubWrite write) { recorder.submit(std::move(write)); }, clock_, metrics) {
    retention_.start();
    copies_.start(std::chrono::milliseconds(50), [&log, copy = folder / "copy"] {
      std::error_code ignored;
      std::filesystem::remove_all(copy, ignored);
      (void)log.checkpoint(copy);
    });
  }

 private:
  // Everything that was recorded up to a second ago is older than retention's 30 days.
  class LaterClock final : public Clock {
   public:
    WallTime wall() const override { return clock_.wall() + std::chrono::days(30) - std::chrono::seconds(1); }
    MonotonicTime monotonic() const override { return clock_.monotonic(); }

   private:
    SystemClock clock_;
  };

  LaterClock clock_;
  Retention retention_;
  PeriodicThread copies_;
};

// hub FOLDER URL POINT COUNTDOWN DELAY KEEPS_HOUSE: until SIGTERM, or the death that was chosen.
int run_hub(const std::filesystem::path& folder, const std::string& url, Death death, bool keeps_house) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  SystemClock clock;
  Health health;
  const auto metrics = make_metrics();
  DyingLog log(open_rocksdb_event_log(folder / "log", clock, {.write_buffer_bytes = kSmallBuffer}).value(), death);
  DyingViews views(
      open_rocksdb_view_store(folder / "views", view_names(), {.write_buffer_bytes = kSmallBuffer}).value(), death);
  Projector projector(log, views, make_projections(), *metrics, health);
  projector.on_applied = [](auto) {};
  projector.start().value();
  const auto subscriber = client_of(url), publisher = client_of(url);
  Recorder recorder({}, log, *subscriber, *publisher, Topics{}, clock, *metrics, health,
                    [&](auto commit) { projector.offer(std::move(commit)); });
  recorder.start();
  subscriber->start();
  publisher->start();
  std::optional<Housekeeping> housekeeping;
  if (keeps_house) housekeeping.emplace(folder, log, recorder, *metrics);
  int signal = 0;
  sigwait(&ends, &signal);
  housekeeping.reset();
  subscriber->stop();
  recorder.stop();
  publisher->stop();
  const bool applied = projector.wait_for(log.last(), std::chrono::minutes(10));
  projector.stop();
  return applied ? 0 : 1;
}

// producer FOLDER URL NAME MODE SYNCED: emits as fast as it is confirmed; with "drain" it only sends what it has, and
// ends.
int run_producer(const std::filesystem::path& folder, const std::string& url, const std::string& name, bool drains,
                 bool synced) {
  LineProducer producer(name, folder / name, url, {.sync = synced});
  while (!producer.fenced()) {
    if (drains && producer.unconfirmed() == 0) return 0;
    if (!drains && producer.unconfirmed() < 2'000) producer.emit(64);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the pace of the load
  }
  return 3;
}

class DenseLine {
 public:
  // Log, views and outboxes lie in `place`, where outboxes are to outlive the computer's power; empty: a folder of its
  // own.
  explicit DenseLine(uint64_t seed, bool keeps_house = false, const std::filesystem::path& place = {})
      : random(seed), place_(place.empty() ? folder.path() : place), keeps_house_(keeps_house ? "1" : "0") {
    broker.start();
  }
  void start_all() {
    start_hub();
    for (const char* name : {"p1", "p2", "p3"}) start_producer(name);
  }

  void start_hub() {
    point_ = random.unit() < 0.25 ? Point::kNowhere : static_cast<Point>(1 + random.next() % (kPoints - 1));
    const std::vector<std::string> death{std::to_string(static_cast<int>(point_)),
                                         std::to_string(1 + random.next() % 40), std::to_string(random.next() % 1'500)};
    hub = start({"hub", place_.string(), broker.url(), death[0], death[1], death[2], keeps_house_});
  }
  void start_immortal_hub() { hub = start({"hub", place_.string(), broker.url(), "0", "0", "0", keeps_house_}); }
  void start_producer(const std::string& name, const std::string& mode = "load") {
    producers[name].reset();  // the old one ends before the new one opens its outbox
    producers[name] =
        start({"producer", place_.string(), broker.url(), name, mode, place_ == folder.path() ? "0" : "1"});
  }
  void kill_all() {
    hub.reset();
    producers.clear();
  }

  // Everything that was emitted is confirmed, and everybody has ended.
  void come_to_rest() {
    hub.reset();
    start_immortal_hub();
    for (const char* name : {"p1", "p2", "p3"}) {
      start_producer(name, "drain");
      ASSERT_EQ(producers[name]->wait(), 0) << name << " has sent all of it";
    }
    ASSERT_EQ(hub->terminate(), 0);
  }

  void expect_to_work(const ConfirmationWitness& witness, const std::string& after) {
    const uint64_t heard = witness.heard();
    const bool works = eventually([&] { return witness.heard() > heard || !hub->running(); }, std::chrono::minutes(2));
    ASSERT_TRUE(works) << "the line works again after " << after << ", see (with MILLRACE_KEEP_FOLDERS=1) " << output();
  }

  // Lets the hub die where it was told to, or kills it at any instant.
  void kill_hub() {
    const bool chosen =
        point_ != Point::kNowhere && eventually([this] { return !hub->running(); }, std::chrono::milliseconds(3'000));
    hub.reset();
    ++kills[chosen ? static_cast<size_t>(point_) : 0];
    start_hub();
  }

  std::string output() const { return (folder / "output.log").string(); }

  TemporaryDirectory folder;
  SeededRandom random;
  Broker broker{folder / "broker"};
  std::optional<ChildProcess> hub;
  std::map<std::string, std::optional<ChildProcess>> producers;
  std::array<uint64_t, kPoints> kills{};

 private:
  std::optional<ChildProcess> start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), std::filesystem::read_symlink("/proc/self/exe").string());
    return ChildProcess::start(arguments, folder / "output.log").value();
  }

  const std::filesystem::path place_;
  const std::string keeps_house_;
  Point point_ = Point::kNowhere;
};

// One line, checked at its end: what was lost, doubled or changed after any of the kills is so for ever.
void kill_one_line(uint64_t kills, uint64_t seed, bool keeps_house) {
  std::cout << "seed " << seed << ", " << kills << " kills (MILLRACE_CRASH_SEED, MILLRACE_CRASH_KILLS)" << std::endl;
  const auto began = std::chrono::steady_clock::now();
  DenseLine line(seed, keeps_house);
  line.start_all();
  ConfirmationWitness witness(line.broker.url());
  uint64_t others = 0;
  for (uint64_t kill = 0; kill < kills; ++kill) {
    ASSERT_NO_FATAL_FAILURE(line.expect_to_work(witness, "kill " + std::to_string(kill)));
    std::this_thread::sleep_for(std::chrono::microseconds(static_cast<int>(line.random.between(0, 30'000))));
    const double dice = line.random.unit();
    if (dice < 0.10) ++others, line.broker.kill(), line.broker.start();
    if (dice > 0.08 && dice < 0.25) ++others, line.start_producer("p" + std::to_string(1 + line.random.next() % 3));
    if (dice > 0.20) line.kill_hub();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  ASSERT_NO_FATAL_FAILURE(line.come_to_rest());
  const uint64_t expired = check_proofs(line.folder / "log", witness.confirmed());
  SystemClock clock;
  const auto log = open_rocksdb_event_log(line.folder / "log", clock);
  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(witness.confirmed().size(), line.producers.size());
  if (keeps_house) {
    EXPECT_GT(expired, 0u) << "retention has done its work";
  } else {
    check_log(**log, witness.confirmed());
  }
  check_views(**log, line.folder / "views");
  std::cout << (*log)->last().value << " events; " << static_cast<double>(kills) / took.count() << " kills a second\n";
  for (size_t i = 0; i < kPoints; ++i) std::cout << "  hub, " << kPointNames[i] << ": " << line.kills[i] << '\n';
  std::cout << "  producers and broker: " << others << std::endl;
}

// With more kills than that a line's log grows so long that most of the time goes into checking it.
constexpr uint64_t kKillsALine = 250;

void kill_densely(uint64_t kills, uint64_t seed, bool keeps_house = false) {
  for (uint64_t done = 0; done < kills && !::testing::Test::HasFailure(); done += kKillsALine, ++seed) {
    kill_one_line(std::min(kills - done, kKillsALine), seed, keeps_house);
  }
}

// The computer that everything but the broker runs on loses power: hub and producers with it, and what no fsync had
// brought to its file system.
void cut_power(uint64_t cuts, uint64_t seed) {
  std::cout << "seed " << seed << ", " << cuts << " cuts (MILLRACE_CRASH_SEED, MILLRACE_CRASH_KILLS)" << std::endl;
  TemporaryDirectory folder;
  PowerDisk disk(folder / "disk", 2048);
  MILLRACE_NEEDS_POWER_DISK(disk);
  DenseLine line(seed, false, disk.path());
  ConfirmationWitness witness(line.broker.url());
  for (uint64_t cut = 0; cut < cuts; ++cut) {
    line.start_all();
    ASSERT_NO_FATAL_FAILURE(line.expect_to_work(witness, "cut " + std::to_string(cut)));
    std::this_thread::sleep_for(std::chrono::microseconds(static_cast<int>(line.random.between(0, 400'000))));
    ASSERT_TRUE(disk.cut());
    // Whoever is told that a write failed could now say otherwise.
    std::this_thread::sleep_for(std::chrono::microseconds(static_cast<int>(line.random.between(0, 30'000))));
    line.kill_all();
    ASSERT_TRUE(disk.come_back());
  }
  ASSERT_NO_FATAL_FAILURE(line.come_to_rest());
  // RocksDB's threads may have been there before the disk, and do not see it.
  std::filesystem::copy(disk.path(), folder / "copy", std::filesystem::copy_options::recursive);
  check_proofs(folder / "copy" / "log", witness.confirmed());
  SystemClock clock;
  const auto log = open_rocksdb_event_log(folder / "copy" / "log", clock);
  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(witness.confirmed().size(), 3u);
  check_log(**log, witness.confirmed());
  check_views(**log, folder / "copy" / "views");
  std::cout << (*log)->last().value << " events" << std::endl;
}

// The control: a disk that kept everything would show nothing.
TEST(PowerCutTest, ForgetsWhatWasNotSynced) {
  TemporaryDirectory folder;
  PowerDisk disk(folder / "disk", 64);
  MILLRACE_NEEDS_POWER_DISK(disk);
  ASSERT_TRUE(write_file_durably(disk.path() / "synced", "here"));
  std::ofstream(disk.path() / "unsynced") << "gone";
  ASSERT_TRUE(disk.cut());
  EXPECT_FALSE(write_file_durably(disk.path() / "later", "refused"));
  ASSERT_TRUE(disk.come_back());
  EXPECT_EQ(read_file(disk.path() / "synced").value(), "here");
  const auto unsynced = read_file(disk.path() / "unsynced");
  EXPECT_TRUE(!unsynced || unsynced->empty()) << *unsynced;
}

TEST(PowerCutTest, ConfirmedEventsSurviveInOrderAndOnce) {
  cut_power(number_from("MILLRACE_CRASH_KILLS", 6), number_from("MILLRACE_CRASH_SEED", random_seed() % 1'000'000));
}

TEST(LongPowerCutTest, ConfirmedEventsSurviveInOrderAndOnce) {
  cut_power(number_from("MILLRACE_CRASH_KILLS", 60), number_from("MILLRACE_CRASH_SEED", random_seed() % 1'000'000));
}

TEST(DenseKillTest, ConfirmedEventsSurviveInOrderAndOnce) {
  kill_densely(number_from("MILLRACE_CRASH_KILLS", 130), number_from("MILLRACE_CRASH_SEED", random_seed() % 1'000'000));
}

TEST(DenseKillTest, AlsoWhileTelemetryGoesAndCopiesAreMade) {
  kill_densely(number_from("MILLRACE_CRASH_KILLS", 60), number_from("MILLRACE_CRASH_SEED", random_seed() % 1'000'000),
               true);
}

TEST(LongDenseKillTest, AlsoWhileTelemetryGoesAndCopiesAreMade) {
  kill_densely(number_from("MILLRACE_CRASH_KILLS", 100), number_from("MILLRACE_CRASH_SEED", random_seed() % 1'000'000),
               true);
}

TEST(LongDenseKillTest, ConfirmedEventsSurviveInOrderAndOnce) {
  kill_densely(number_from("MILLRACE_CRASH_KILLS", 250), number_from("MILLRACE_CRASH_SEED", random_seed() % 1'000'000));
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 7 && words[0] == "hub") {
    millrace::Death death;
    death.point = static_cast<millrace::Point>(std::stoi(words[3]));
    death.countdown = std::stoull(words[4]);
    death.delay_us = std::stoull(words[5]);
    return millrace::run_hub(words[1], words[2], death, words[6] == "1");
  }
  if (words.size() == 6 && words[0] == "producer") {
    return millrace::run_producer(words[1], words[2], words[3], words[4] == "drain", words[5] == "1");
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
