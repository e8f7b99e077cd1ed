// SPDX-License-Identifier: Apache-2.0
#include "net/io_loop.h"

#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "bus/logging.h"
#include "net/io_loop_impl.h"

namespace millrace {

IoLoop::IoLoop() : impl_(std::make_unique<Impl>()) {}
IoLoop::~IoLoop() = default;

void IoLoop::run() {
  // A task that throws is a mistake in that task; the connections of every other machine go on.
  while (!impl_->context.stopped()) {
    try {
      impl_->context.run();
    } catch (const std::exception& failure) {
      log_error("net", "a task on the loop threw: {}", failure.what());
    } catch (...) {
      log_error("net", "a task on the loop threw something that is not an exception");
    }
  }
}

void IoLoop::stop() { impl_->context.stop(); }

void IoLoop::post(std::function<void()> task) { asio::post(impl_->context, std::move(task)); }

struct LoopTimer::Impl {
  explicit Impl(IoLoop& loop) : timer(loop.impl().context.get_executor()) {}

  SteadyTimer timer;
  std::function<void()> task;
  // An expiry may already be queued when the timer is set again or cancelled; its number is then an old one.
  uint64_t generation = 0;
};

LoopTimer::LoopTimer(IoLoop& loop) : impl_(std::make_shared<Impl>(loop)) {}
LoopTimer::~LoopTimer() { cancel(); }

void LoopTimer::start(std::chrono::microseconds delay, std::function<void()> task) {
  impl_->task = std::move(task);
  impl_->timer.expires_after(delay);
  impl_->timer.async_wait([weak = std::weak_ptr(impl_), generation = ++impl_->generation](const error_code& error) {
    auto impl = weak.lock();
    if (error || !impl || impl->generation != generation) return;
    auto task = std::exchange(impl->task, nullptr);
    task();
  });
}

void LoopTimer::cancel() {
  ++impl_->generation;
  impl_->task = nullptr;
  impl_->timer.cancel();
}

}  // namespace millrace
