// SPDX-License-Identifier: Apache-2.0
// Sees to it that every command has an end in the log: what nobody took within its time is CommandExpired, what was
// taken and never ended is CommandNotConfirmed.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "bus/clock.h"
#include "bus/metrics.h"
#include "bus/periodic_thread.h"
#include "consumers/recorder.h"

namespace millrace {

// A command as the log tells it now.
struct CommandStanding {
  enum class Stage { kRequested, kTaken, kEnded };
  std::string id;
  std::string machine;
  std::string command;
  Stage stage = Stage::kRequested;
  double expires_in_s = 0;
};

struct CommandWitnessOptions {
  std::chrono::milliseconds interval{500};  // between two looks
  // Beyond a command's own time, for its way to the adapter and the answer's way back.
  std::chrono::milliseconds grace{2'000};
  // For what was taken: above the longest that Klipper waits for a heater (an hour), because a late end is told by the
  // adapter, which is there for as long as the machine is.
  std::chrono::seconds taken_max{2 * 3600};
  size_t max_watched = 4'096;
};

class CommandWitness {
 public:
  // `submit` is the recorder's.  References outlive this.
  CommandWitness(CommandWitnessOptions options, std::function<void(HubWrite)> submit, const Clock& clock,
                 Metrics& metrics);
  ~CommandWitness();

  void start();
  void stop();

  // Any thread, never blocks: what the log tells of a command, whenever it tells something new.  Time counts from the
  // first sight of a stage.  Beyond max_watched the rest is not watched, and counted.
  void saw(CommandStanding standing);

  // One look: how many ends were told.  Waits for the recorder, so not on its thread.
  size_t run_once();

 private:
  struct Watched {
    CommandStanding standing;
    MonotonicTime since;
  };
  EventDraft end_of(const Watched& watched) const;

  const CommandWitnessOptions options_;
  const std::function<void(HubWrite)> submit_;
  const Clock& clock_;
  Counter& expired_;
  Counter& not_confirmed_;
  Counter& unwatched_;
  Gauge& open_;
  std::mutex mutex_;
  std::map<std::string, Watched> watched_;

  PeriodicThread thread_;  // ends before what it works on
};

}  // namespace millrace
