// SPDX-License-Identifier: Apache-2.0
// Reads the files of jobs that have begun, one at a time, on a thread of its own, so that neither the adapters' loop
// nor the printers' hosts are kept busy.  A host that is away is asked again as read_pause.h says; then, or when there
// is no such file, Moonraker's own summary is told instead.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "bus/clock.h"
#include "bus/random.h"
#include "net/io_loop.h"
#include "producers/moonraker/job_file.h"

namespace millrace {

class JobFileReader {
 public:
  static constexpr size_t kMaxWaiting = 256;

  // On the loop's thread, once for each read() that was taken; never after the reader's end.
  using Done = std::function<void(schema::JobMetadataReadT)>;

  // `keep` is called, and `random` used, on the reader's thread alone.  `loop`, `clock` and `random` outlive this.
  JobFileReader(IoLoop& loop, KeepBlob keep, const Clock& clock, Random& random);
  ~JobFileReader();
  JobFileReader(const JobFileReader&) = delete;
  JobFileReader& operator=(const JobFileReader&) = delete;

  // Loop's thread.  False, and nothing happens, when too many wait.
  bool read(JobFileSource source, JobFile file, Done done);

 private:
  struct Task {
    JobFileSource source;
    JobFile file;
    Done done;
    int retries = 0;
    MonotonicTime due{};
  };

  void run();
  std::deque<Task>::iterator next_task();
  void work(Task task);
  void tell(const Task& task, schema::JobMetadataReadT metadata);

  IoLoop& loop_;
  const KeepBlob keep_;
  const Clock& clock_;
  Random& random_;
  // Whether this still lives: asked on the loop's thread, where it also ends.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;  // last: it uses the others
};

}  // namespace millrace
