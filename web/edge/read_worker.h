// SPDX-License-Identifier: Apache-2.0
// One thread for what may wait on a disk, so that the loop never does.  Bounded.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace millrace {

class ReadWorker {
 public:
  explicit ReadWorker(size_t max_queued) : max_queued_(max_queued), thread_([this] { run(); }) {}
  ~ReadWorker() { stop(); }
  ReadWorker(const ReadWorker&) = delete;
  ReadWorker& operator=(const ReadWorker&) = delete;

  // False, and nothing happens, when the queue is full or the worker stopped.  Any thread.
  bool offer(std::function<void()> task);
  // Waits for the task that runs; those that wait are dropped.
  void stop();

 private:
  void run();

  const size_t max_queued_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace millrace
