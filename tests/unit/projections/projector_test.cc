// SPDX-License-Identifier: Apache-2.0
#include "projections/projector.h"

#include <mutex>

#include "bus/random.h"
#include "bus/redaction.h"
#include "projections/checkpoint.h"
#include "projections/digest.h"
#include "shop.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/view_checks.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;

class ProjectorTest : public ::testing::Test {
 protected:
  void start(ProjectorOptions options = {}) {
    projector = std::make_unique<Projector>(*shop.log, *store, make_projections(), *metrics, health, options);
    projector->on_applied = [this](auto group) {
      std::lock_guard lock(mutex);
      applied.push_back(group);
    };
    const auto started = projector->start();
    ASSERT_TRUE(started.has_value()) << started.error().message();
  }
  void kill() { projector.reset(); }
  bool reaches_the_end() { return projector->wait_for(shop.log->last(), 10s); }
  void expect_equal_to_a_replay() { millrace::testing::check_views(*shop.log, *store); }
  std::shared_ptr<const Commit> something(uint64_t choice) {
    const std::string machine = choice % 3 == 0 ? "voron-1" : "voron-2";
    const std::string job = machine + "." + std::to_string(kStart + static_cast<int64_t>(choice % 7));
    switch (choice % 5) {
      case 0:
        return shop.say(started(job, kStart + static_cast<int64_t>(choice % 7)), machine);
      case 1:
        return shop.say(finished(job, schema::JobOutcome::completed, schema::JobEvidence(choice % 4)), machine);
      case 2:
        return shop.say(connected(), machine);
      case 3:
        return shop.say(progressed(job, 0.01 * static_cast<double>(choice % 100), 5), machine);
      default:
        return shop.say(sampled({{"extruder", "temperature", static_cast<double>(choice % 300)}}), machine);
    }
  }

  Shop shop;
  std::unique_ptr<ViewStore> store = make_memory_view_store(view_names());
  std::unique_ptr<Metrics> metrics = make_metrics();
  Health health;
  std::mutex mutex;
  std::vector<std::shared_ptr<const AppliedGroup>> applied;
  std::unique_ptr<Projector> projector;
};

TEST_F(ProjectorTest, CatchesUpAndThenFollowsWhatItIsOffered) {
  for (uint64_t i = 0; i < 50; ++i) something(i);
  start();
  ASSERT_TRUE(reaches_the_end());
  for (uint64_t i = 0; i < 50; ++i) projector->offer(something(i * 7));
  ASSERT_TRUE(reaches_the_end());
  EXPECT_TRUE(health.parts().at("projector").ready);
  expect_equal_to_a_replay();
}

TEST_F(ProjectorTest, AGapOrAFullQueueIsReadFromTheLog) {
  start({.max_queued_commits = 1});
  something(0);  // never offered
  for (uint64_t i = 1; i < 500; ++i) projector->offer(something(i));
  ASSERT_TRUE(reaches_the_end());
  expect_equal_to_a_replay();
}

TEST_F(ProjectorTest, NamesThatWereMadeUnreadableLeaveTheViewsToo) {
  const millrace::testing::TemporaryDirectory directory;
  const SystemClock clock;
  shop.log = open_rocksdb_event_log(directory.path(), clock).value();
  const std::string job = "voron-2." + std::to_string(kStart);
  shop.say(started(job, kStart, "secret.gcode"));
  shop.say(finished(job, schema::JobOutcome::completed, schema::JobEvidence::conclusive));
  start();
  ASSERT_TRUE(reaches_the_end());
  kill();
  const auto changed = find_redactions(*shop.log, {.job_id = job});
  ASSERT_TRUE(redact(*shop.log, *changed, "job", "", clock));
  start();
  ASSERT_TRUE(reaches_the_end());
  kill();
  const auto jobs = list_jobs(*store->reader(), {})->jobs;
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].filename, "************");
  EXPECT_EQ(jobs[0].outcome, schema::JobOutcome::completed);
  expect_equal_to_a_replay();
}

TEST_F(ProjectorTest, KilledAnywhereItGoesOnFromItsCheckpoint) {
  const uint64_t seed = random_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRandom random(seed);
  for (int life = 0; life < 20; ++life) {
    start();
    const uint64_t count = random.next() % 30;
    for (uint64_t i = 0; i < count; ++i) {
      const auto commit = something(random.next());
      if (random.unit() < 0.8) projector->offer(commit);
    }
    kill();
  }
  start();
  ASSERT_TRUE(reaches_the_end());
  expect_equal_to_a_replay();
  EXPECT_EQ((*read_checkpoint(*store->reader(), "job_history"))->position, shop.log->last());
}

TEST_F(ProjectorTest, AnotherVersionIsRebuilt) {
  for (uint64_t i = 0; i < 20; ++i) something(i);
  ASSERT_TRUE(store->commit({{"job_history", "left over", "bytes of version 99"},
                             write_of({"job_history", 99, Position{20}, shop.log->incarnation()})}));
  start();
  ASSERT_TRUE(reaches_the_end());
  expect_equal_to_a_replay();
}

TEST_F(ProjectorTest, AnotherLogIsRebuilt) {
  something(2);
  start();
  ASSERT_TRUE(reaches_the_end());
  kill();
  shop = Shop(2);
  something(4);
  start();
  ASSERT_TRUE(reaches_the_end());
  expect_equal_to_a_replay();
}

TEST_F(ProjectorTest, TellsWholeObjectsAfterTheirCommit) {
  start();
  projector->offer(shop.say(connected()));
  projector->offer(shop.say(started(row_id(), kStart)));
  ASSERT_TRUE(reaches_the_end());
  kill();
  std::set<std::string> keys;
  for (const auto& group : applied) {
    for (const auto& change : group->changes) keys.insert(change.key);
  }
  EXPECT_EQ(keys, (std::set<std::string>{"voron-2", "j/" + row_id(), "m/voron-2"}));
  EXPECT_EQ(applied.back()->position, shop.log->last());
}

TEST_F(ProjectorTest, WaitingForWhatNeverComesEnds) {
  start();
  EXPECT_FALSE(projector->wait_for(Position{1}, 1ms));
}

// A store that refuses the first commits, as a full disk does.
class RefusingStore final : public ViewStore {
 public:
  explicit RefusingStore(ViewStore& store) : store_(store) {}
  Result<void> commit(const std::vector<ViewWrite>& writes) override {
    if (refusals-- > 0) return make_error(Errc::kFull, "no space left");
    return store_.commit(writes);
  }
  Result<void> clear(std::string_view view, const std::vector<ViewWrite>& writes) override {
    return store_.clear(view, writes);
  }
  std::shared_ptr<const ViewReader> reader() const override { return store_.reader(); }
  std::atomic<int> refusals = 2;

 private:
  ViewStore& store_;
};

TEST_F(ProjectorTest, AFullDiskIsTriedAgainAndLosesNothing) {
  RefusingStore refusing(*store);
  Projector stubborn(*shop.log, refusing, make_projections(), *metrics, health, {.retry = 1ms});
  ASSERT_TRUE(stubborn.start());
  for (uint64_t i = 0; i < 10; ++i) stubborn.offer(something(i));
  ASSERT_TRUE(stubborn.wait_for(shop.log->last(), 10s));
  stubborn.stop();
  expect_equal_to_a_replay();
  EXPECT_TRUE(health.parts().at("projector").ready);
}

TEST_F(ProjectorTest, TheDigestOfAnUnknownProjectionIsNotFound) {
  EXPECT_EQ(rebuild_digest(*shop.log, "nothing", Position{0}).error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace millrace
