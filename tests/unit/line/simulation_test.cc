// SPDX-License-Identifier: Apache-2.0
// The whole line, from outbox to log and back, in one thread and without real time: 1,000 seeds of everything that a
// broker, a disk and a power switch may do, all at once.  After each the faults end and every folder gets the time to
// send what it still has: then everything emitted is in the log once and in order, or named in an EventsDropped.
//
// It was seen to fail with each of these errors put in: confirmed before the append; duplicates taken; a gap ignored;
// an epoch begun before the last one's events are there; a confirmation of another process's epoch believed; what a
// fenced process left, and where epochs ended, forgotten; a fenced producer that sends on, or is not told; silence not
// watched once something was confirmed; marks kept of a refused append; a hole's count one short; drops forgotten by a
// killed process; no room for EpochOpened in a full outbox.
//
// MILLRACE_SIMULATION_SEED=n runs that seed alone, MILLRACE_SIMULATION_SEEDS=n so many from 1.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "bus/logging.h"
#include "tests/unit/line/simulated_shop.h"

namespace millrace {
namespace {

using namespace testing;
namespace fs = std::filesystem;

constexpr int kSteps = 350;
constexpr int kPatience = 20'000;  // steps

uint64_t setting(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Memory, where there is some: an epoch is synced to the disk.
fs::path quick_folder() {
  const fs::path memory = "/dev/shm";
  return fs::exists(memory) ? memory : fs::temp_directory_path();
}

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : world_(seed) {
    std::string pattern = (quick_folder() / "millrace-simulation-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    choose_faults();
    for (const char* name : {"a", "b", "twin"}) add(name, name);
    add("twin", "twin-2");
  }
  ~Simulation() {
    producers_.clear();
    fs::remove_all(folder_);
  }

  std::vector<std::string> run() {
    world_.broker.start();
    for (size_t i = 0; i < 3; ++i) producers_[i]->start();
    for (int i = 0; i < kSteps && well(); ++i) {
      act();
      advance();
    }
    end_faults();
    let_rest();
    start_hub_alone();
    for (const auto& producer : producers_) finish(*producer);
    world_.ledger.check_complete();
    return world_.ledger.complaints();
  }

  const Ledger& ledger() const { return world_.ledger; }

 private:
  bool chance(double probability) { return world_.random.unit() < probability; }
  uint64_t up_to(uint64_t most) { return world_.random.next() % (most + 1); }
  bool well() const { return world_.ledger.complaints().empty(); }

  void add(const std::string& name, const std::string& folder) {
    SimulatedProducer::Options options;
    options.outbox.max_bytes = small_outbox_ ? 12'000 + up_to(40'000) : 4u << 20;
    options.outbox.segment_bytes = 2'000 + up_to(20'000);
    options.runner.producer = name;
    options.runner.max_outbox_bytes = options.outbox.max_bytes;
    options.runner.batch_events = 1 + up_to(30);
    options.runner.window_events = 20 + up_to(1'000);
    options.runner.silence_min = std::chrono::milliseconds(300);
    options.runner.silence_max = std::chrono::milliseconds(2'000);
    producers_.push_back(std::make_unique<SimulatedProducer>(world_, folder_ / folder, options));
  }

  // Each seed has some of the faults, so that none hides what another would show.
  void choose_faults() {
    BrokerFaults& faults = world_.broker.faults;
    if (chance(0.5)) faults.lost = 0.2 * world_.random.unit();
    if (chance(0.5)) faults.repeated = 0.2 * world_.random.unit();
    if (chance(0.3)) faults.refused = 0.2 * world_.random.unit();
    if (chance(0.7)) faults.delay_max = std::chrono::milliseconds(up_to(200));
    faults.repeat_delay_max = std::chrono::milliseconds(up_to(3'000));
    small_outbox_ = chance(0.4);
    for (bool* fault : {&broker_stops_, &links_break_, &hub_dies_, &log_fails_, &producers_die_, &power_goes_,
                        &twins_start_, &backups_return_}) {
      *fault = chance(0.4);
    }
  }

  void act() {
    SimulatedProducer& producer = *producers_[up_to(producers_.size() - 1)];
    if (producer.running() && !producer.fenced() && chance(0.7)) producer.emit(1 + up_to(8));
    if (!producer.running() && &producer != producers_.back().get() && chance(0.2)) producer.start();
    if (producer.fenced() && chance(0.05)) producer.kill();
    if (!hub_ && chance(0.1)) start_hub();
    if (!world_.broker.running() && chance(0.1)) world_.broker.start();
    const double dice = world_.random.unit();
    if (dice > 0.5) return;
    if (broker_stops_ && dice < 0.02) stop_broker();
    if (links_break_ && dice > 0.05 && dice < 0.10) world_.broker.cut_one();
    if (hub_dies_ && dice > 0.10 && dice < 0.13) kill_hub();
    if (log_fails_ && dice > 0.15 && dice < 0.20) world_.log.refuse += static_cast<int>(up_to(3));
    if (log_fails_ && dice > 0.20 && dice < 0.21) world_.log.leave_unclear = true;
    if (producers_die_ && dice > 0.25 && dice < 0.28) producer.kill();
    if (power_goes_ && dice > 0.30 && dice < 0.315 && producer.running()) producer.lose_power();
    if (twins_start_ && dice > 0.35 && dice < 0.36 && !producers_.back()->running()) producers_.back()->start();
    if (backups_return_ && dice > 0.40 && dice < 0.42) producer.back_up();
    if (backups_return_ && dice > 0.42 && dice < 0.43) producer.restore();
  }

  void stop_broker() {
    world_.broker.stop();
    if (chance(0.5)) world_.broker.forget_retained();
  }

  void start_hub() {
    world_.log.reopen();
    SimulatedHub::Options options;
    if (chance(0.3)) options.max_queue_batches = 3;
    if (chance(0.3)) options.recording.telemetry_linger = std::chrono::milliseconds(up_to(500));
    if (chance(0.3)) options.writes_of_its_own = 0.05;
    hub_ = std::make_unique<SimulatedHub>(world_, options);
  }

  void kill_hub() {
    if (hub_ && chance(0.5)) return hub_->die_after_append();
    hub_.reset();
  }

  void advance() {
    world_.clock.advance(std::chrono::milliseconds(chance(0.02) ? 1'000 : up_to(20)));
    world_.broker.step();
    for (const auto& producer : producers_) {
      if (producer->running()) producer->step();
    }
    if (hub_ && chance(0.7)) hub_->step();
    if (hub_ && (hub_->dead() || world_.log.broken())) hub_.reset();
    world_.ledger.look();
  }

  void end_faults() {
    world_.broker.faults = {};
    world_.broker.start();
    world_.log.refuse = 0;
    world_.log.leave_unclear = false;
    hub_.reset();
    start_hub();
  }

  // With everybody still there: whoever has a newer one of its name learns it and stops, all others are confirmed.
  void let_rest() {
    const auto rests = [](const auto& p) { return !p->running() || p->fenced() || p->unconfirmed() == 0; };
    for (int round = 0; round < 2; ++round) {  // in the first one the older of two may still be confirmed
      for (const auto& producer : producers_) {
        if (producer->running() && !producer->fenced()) producer->emit(1);
      }
      for (int i = 0; i < kPatience && well() && !std::all_of(producers_.begin(), producers_.end(), rests); ++i) {
        advance();
      }
    }
    for (const auto& producer : producers_) {
      const bool stops = !producer->running() || producer->fenced() || !producer->superseded();
      if (well() && !(stops && rests(producer))) {
        world_.ledger.complain("?", {}, "neither confirmed nor fenced: " + producer->describe());
      }
    }
  }

  void start_hub_alone() {
    for (const auto& producer : producers_) producer->kill();
    hub_.reset();
    start_hub();
  }

  // Alone, so that the older of two of one name also gets its turn.
  void finish(SimulatedProducer& producer) {
    producer.start();
    producer.emit(1);
    for (int i = 0; i < kPatience && well() && producer.unconfirmed() > 0; ++i) advance();
    producer.emit(1);  // what was dropped is told with the next event
    for (int i = 0; i < kPatience && well() && producer.unconfirmed() > 0; ++i) advance();
    if (well() && producer.unconfirmed() > 0)
      world_.ledger.complain("?", {}, "not confirmed in the end: " + producer.describe());
    producer.kill();
  }

  SimulatedWorld world_;
  fs::path folder_;
  bool small_outbox_ = false;
  bool broker_stops_ = false, links_break_ = false, hub_dies_ = false, log_fails_ = false;
  bool producers_die_ = false, power_goes_ = false, twins_start_ = false, backups_return_ = false;
  std::vector<std::unique_ptr<SimulatedProducer>> producers_;
  std::unique_ptr<SimulatedHub> hub_;
};

struct Sums {
  uint64_t recorded = 0, named = 0, told = 0;
};

void run_seed(uint64_t seed, Sums& sums) {
  Simulation simulation(seed);
  const auto complaints = simulation.run();
  sums.recorded += simulation.ledger().recorded();
  sums.named += simulation.ledger().named();
  sums.told += simulation.ledger().told();
  std::string all;
  for (const auto& complaint : complaints) all += complaint + "\n";
  ASSERT_TRUE(complaints.empty()) << "MILLRACE_SIMULATION_SEED=" << seed << "\n" << all;
}

// In four parts, so that they run beside each other.
class SimulationTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(SimulationTest, WhateverHappensEverythingIsInTheLogOnceAndInOrderOrNamed) {
  Sums sums;
  ASSERT_TRUE(start_logging({.level = LogLevel::kOff}));
  const uint64_t one = setting("MILLRACE_SIMULATION_SEED", 0);
  if (one != 0) return run_seed(one, sums);
  const uint64_t quarter = setting("MILLRACE_SIMULATION_SEEDS", 1'000) / 4;
  const uint64_t first = GetParam() * quarter + 1;
  std::cout << "seeds " << first << " to " << first + quarter - 1 << '\n';
  for (uint64_t seed = first; seed < first + quarter && !HasFailure(); ++seed) run_seed(seed, sums);
  std::cout << sums.recorded << " events in the logs, " << sums.named << " named as lost, " << sums.told
            << " told as dropped\n";
}

INSTANTIATE_TEST_SUITE_P(Quarter, SimulationTest, ::testing::Values(0, 1, 2, 3));

}  // namespace
}  // namespace millrace
