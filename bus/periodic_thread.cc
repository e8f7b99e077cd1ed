// SPDX-License-Identifier: Apache-2.0
#include "bus/periodic_thread.h"

namespace millrace {

void PeriodicThread::start(std::chrono::milliseconds pause, std::function<void()> task) {
  thread_ = std::thread([this, pause, task = std::move(task)] {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      task();
      lock.lock();
      wake_.wait_for(lock, pause, [this] { return stopping_; });
    }
  });
}

void PeriodicThread::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool PeriodicThread::stopping() const {
  std::lock_guard lock(mutex_);
  return stopping_;
}

}  // namespace millrace
