// SPDX-License-Identifier: Apache-2.0
// A thread that does something, waits, and does it again until it is stopped.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace millrace {

class PeriodicThread {
 public:
  ~PeriodicThread() { stop(); }

  // Runs `task` at once and then each time `pause` after its end.  Once.
  void start(std::chrono::milliseconds pause, std::function<void()> task);
  // Waits for the task under way.  Any thread but its own; more than once does no harm.
  void stop();
  // For a task that takes long, to end early.
  bool stopping() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace
