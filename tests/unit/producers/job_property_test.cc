// SPDX-License-Identifier: Apache-2.0
// Any interleaving of the same live events, disconnections and back-fills gives the same set of jobs, each with the
// outcome of the best evidence.  A simulated shop day is played through the adapter with the link dropped, row messages
// delayed and the adapter killed at random, and what its events say is compared with what really happened.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "bus/random.h"
#include "producers/moonraker/adapter_state.h"
#include "tests/unit/producers/adapter_bench.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using schema::JobOutcome;

// What a view makes of the events: one entry per print, the best evidence wins, at equal rank the first.
struct Job {
  JobOutcome outcome = JobOutcome::running;
  int rank = 0;
};

std::map<int64_t, Job> fold(const std::vector<EventDraft>& events, size_t* local) {
  std::map<std::string, int64_t> start_of;
  std::map<std::string, Job> jobs;
  for (const EventDraft& draft : events) {
    if (const auto* e = draft.payload.AsJobStarted()) {
      jobs.try_emplace(e->job_id);
      if (e->start_us != 0) start_of[e->job_id] = e->start_us;
    } else if (const auto* e = draft.payload.AsJobIdentified()) {
      start_of[e->job_id] = e->start_us;
    } else if (const auto* e = draft.payload.AsJobFinished()) {
      EXPECT_TRUE(jobs.contains(e->job_id)) << "finished before it started: " << e->job_id;
      if (e->start_us != 0) start_of[e->job_id] = e->start_us;
      Job& job = jobs[e->job_id];
      if (static_cast<int>(e->evidence) > job.rank) job = {e->outcome, static_cast<int>(e->evidence)};
    }
  }
  std::map<int64_t, Job> prints;
  *local = 0;
  for (const auto& [id, job] : jobs) {
    if (!start_of.contains(id)) {
      ++*local;
      continue;
    }
    Job& print = prints.try_emplace(start_of[id]).first->second;
    if (job.rank > print.rank) print = job;
  }
  return prints;
}

// One machine with an honest Moonraker; only its messages and the link are unreliable.
class Day {
 public:
  explicit Day(uint64_t seed) : random_(seed) { bench_.connect(); }

  void run(int prints) {
    for (int i = 0; i < prints; ++i) {
      print(fmt::format("{}.gcode", random_.next() % 3));
      wait(1 + static_cast<double>(random_.next() % 20));
    }
    settle();
  }

  AdapterBench& bench() { return bench_; }
  const std::map<int64_t, JobOutcome>& truth() const { return truth_; }
  // Jobs whose state was lost before their row was known: nothing can link the two any more.
  size_t lost() const { return lost_; }

 private:
  void print(const std::string& file) {
    row_ = RowText{.filename = file, .total = 0.1, .id = fmt::format("{:06X}", ++count_)};
    printed_ = 0.1;
    update(fmt::format(R"({{"print_stats":{{"state":"printing","filename":"{}","total_duration":0.1,"message":""}}}})",
                       file));
    row_.start = bench_.machine_now();
    bench_.history.insert(bench_.history.begin(), row_.json("in_progress"));
    tell("added", "in_progress");
    for (uint64_t steps = 2 + random_.next() % 6; steps > 0; --steps) {
      trouble();
      wait(1 + static_cast<double>(random_.next() % 5), true);
      if (random_.next() % 4 == 0) {
        set_state("paused");
        trouble();
        wait(3, true);
        set_state("printing");
      }
    }
    static constexpr JobOutcome kOutcomes[] = {JobOutcome::completed, JobOutcome::cancelled, JobOutcome::failed};
    static constexpr const char* kStates[] = {"complete", "cancelled", "error"};
    static constexpr const char* kStatus[] = {"completed", "cancelled", "error"};
    const size_t how = random_.next() % 3;
    set_state(kStates[how]);
    row_.total = printed_;
    row_.end = bench_.machine_now();
    bench_.history.front() = row_.json(kStatus[how]);
    if (random_.next() % 4 == 0) trouble();
    tell("finished", kStatus[how]);
    truth_[static_cast<int64_t>(std::llround(row_.start * 1e6))] = kOutcomes[how];
  }

  void set_state(const std::string& state) {
    printed_ += 0.25;
    update(fmt::format(R"({{"print_stats":{{"state":"{}","total_duration":{:.2f}}}}})", state, printed_));
  }

  // Seconds in which the printer does something, seen or not.
  void wait(double seconds, bool printing = false) {
    for (; seconds > 0; seconds -= 1) {
      if (printing) {
        printed_ += 1;
        update(fmt::format(R"({{"print_stats":{{"total_duration":{:.2f}}}}})", printed_), 1);
      } else {
        update(R"({"extruder":{"temperature":20.5}})", 1);
      }
      if (bench_.link_up) bench_.process_statistics();
    }
  }

  void update(const std::string& delta, double seconds = 0.25) { bench_.update(delta, seconds); }

  // The message of a row comes at once, late, or never.
  void tell(const std::string& action, const std::string& status) {
    const uint64_t how = random_.next() % 8;
    if (how == 0) return;
    if (how == 1) wait(2, action == "added");
    action == "added" ? bench_.added(row_.json(status)) : bench_.finished(row_.json(status));
  }

  void trouble() {
    switch (random_.next() % 6) {
      case 0:
        bench_.drop(random_.next() % 2 == 0 ? "reset" : "closed");
        break;
      case 1:
        bench_.restart(true);
        break;
      case 2:
        if (const auto state = decode_adapter_state(bench_.saved_state)) {
          lost_ += state->jobs.open && state->jobs.open->start_us == 0 ? 1 : 0;
        }
        bench_.restart(false);
        break;
      default:
        break;
    }
    if (random_.next() % 3 == 0) bench_.reconnect();
  }

  void settle() {
    bench_.drop();
    bench_.reconnect();
    wait(5);
  }

  AdapterBench bench_;
  SeededRandom random_;
  RowText row_;
  int count_ = 0;
  double printed_ = 0;
  size_t lost_ = 0;
  std::map<int64_t, JobOutcome> truth_;
};

uint64_t first_seed() {
  const char* given = std::getenv("MILLRACE_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
}

TEST(JobProperty, EveryInterleavingGivesTheSameJobsAndOutcomes) {
  for (uint64_t seed = first_seed(); seed < first_seed() + 600; ++seed) {
    SCOPED_TRACE(fmt::format("seed {} (MILLRACE_TEST_SEED)", seed));
    Day day(seed);
    day.run(8);
    size_t local = 0;
    const auto jobs = fold(day.bench().events, &local);
    EXPECT_LE(local, day.lost()) << "a print that has a row was left with a local id";
    EXPECT_EQ(jobs.size(), day.truth().size());
    for (const auto& [start_us, outcome] : day.truth()) {
      ASSERT_TRUE(jobs.contains(start_us)) << start_us;
      EXPECT_EQ(EnumNameJobOutcome(jobs.at(start_us).outcome), std::string(EnumNameJobOutcome(outcome))) << start_us;
    }
    if (::testing::Test::HasFailure()) {
      for (const std::string& line : day.bench().jobs()) std::printf("%s\n", line.c_str());
      return;
    }
  }
}

}  // namespace
}  // namespace millrace
