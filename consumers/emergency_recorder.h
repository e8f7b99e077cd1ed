// SPDX-License-Identifier: Apache-2.0
// Brings emergency stops into the log after they were done, whatever state it is in (decision 7): each goes into a
// small file first, then to the log, and leaves the file once the log has it.  What a killed hub or the command line
// left there is taken up at the start.  No stop is recorded twice: before one is tried again, the log is asked.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "bus/clock.h"
#include "bus/emergency_record.h"
#include "bus/event_log.h"
#include "bus/metrics.h"
#include "consumers/recording.h"

namespace millrace {

struct EmergencyRecorderOptions {
  std::chrono::milliseconds retry{1'000};  // after the log or the disk refused
  size_t max_waiting = 16'384;             // in memory; further ones are counted as lost
};

class EmergencyRecorder {
 public:
  // `submit` is the recorder's.  References outlive this.
  EmergencyRecorder(EmergencyRecorderOptions options, EmergencyFile file, const EventLog& log,
                    std::function<void(HubWrite)> submit, const Clock& clock, Metrics& metrics);
  ~EmergencyRecorder();  // stop()

  // Takes up what is in the file, on a thread of its own.
  void start();
  // Puts what came into the file; while the recorder still takes writes.
  void stop();

  // Any thread; returns at once and waits for no disk.
  void record(EmergencyRecord record);
  // How many are not in the log yet.
  size_t waiting() const;

 private:
  struct Entry {
    EmergencyRecord record;
    bool in_file = false;
    bool submitted = false;  // and its outcome is not known yet
    bool in_doubt = false;   // the log may have it
    MonotonicTime due{};
  };
  // Outlives this in the callbacks of writes whose outcome comes late.
  struct Outcomes {
    std::mutex mutex;
    std::condition_variable wake;
    std::vector<std::pair<std::string, Result<Position>>> told;
    std::list<EmergencyRecord> came;
    bool stopping = false;
  };

  void run();
  void read_file();
  void keep(EmergencyRecord record);
  void note(const std::string& command_id, const Result<Position>& outcome);
  void write_due();
  void submit(Entry& entry);
  Result<bool> is_in_log(const EmergencyRecord& record) const;
  void forget_recorded();
  void show();

  const EmergencyRecorderOptions options_;
  const EmergencyFile file_;
  const EventLog& log_;
  const std::function<void(HubWrite)> submit_;
  const Clock& clock_;
  Counter& recorded_;
  Counter& lost_;
  Gauge& waiting_gauge_;

  std::list<Entry> entries_;        // the thread's own
  std::set<std::string> finished_;  // in the log, and perhaps still in the file
  bool file_read_ = false;
  std::atomic<size_t> waiting_{0};
  const std::shared_ptr<Outcomes> outcomes_ = std::make_shared<Outcomes>();
  std::thread thread_;
};

}  // namespace millrace
