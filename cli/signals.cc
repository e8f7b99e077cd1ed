// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.h"

#include <signal.h>

#include <cerrno>

namespace millrace {
namespace {

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

sigset_t reload_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGHUP);
  return signals;
}

}  // namespace

void block_stop_signals() {
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

int wait_for_stop(std::chrono::milliseconds timeout) {
  const sigset_t signals = stop_signals();
  int number = 0;
  if (timeout.count() < 0) return sigwait(&signals, &number) == 0 ? number : 0;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timespec wait{seconds.count(), (timeout - seconds).count() * 1'000'000};
  number = sigtimedwait(&signals, nullptr, &wait);
  return number > 0 ? number : 0;
}

void block_reload_signal() {
  const sigset_t signals = reload_signal();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

bool take_reload_signal() {
  const sigset_t signals = reload_signal();
  const timespec at_once{};
  return sigtimedwait(&signals, nullptr, &at_once) == SIGHUP;
}

}  // namespace millrace
