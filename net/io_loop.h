// SPDX-License-Identifier: Apache-2.0
// One event loop for many connections.  Hides Asio: nothing above net/ includes it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace millrace {

class IoLoop {
 public:
  IoLoop();
  ~IoLoop();
  IoLoop(const IoLoop&) = delete;
  IoLoop& operator=(const IoLoop&) = delete;

  // Runs callbacks until stop(); one thread.
  void run();
  // From any thread.  Callbacks that wait are dropped.
  void stop();
  // From any thread; runs `task` on the loop's thread.
  void post(std::function<void()> task);

  struct Impl;  // for net/ alone
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// Fires once on the loop's thread, unless set again or cancelled before.  Use from the loop's thread only.
class LoopTimer {
 public:
  explicit LoopTimer(IoLoop& loop);
  ~LoopTimer();  // cancels
  LoopTimer(const LoopTimer&) = delete;
  LoopTimer& operator=(const LoopTimer&) = delete;

  void start(std::chrono::microseconds delay, std::function<void()> task);
  void cancel();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace millrace
