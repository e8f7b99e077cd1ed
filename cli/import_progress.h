// SPDX-License-Identifier: Apache-2.0
// How far an import has come: a line that is written over and over, where somebody sees it.  One thread.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <string_view>

#include "bus/clock.h"

namespace millrace {

class ImportProgress {
 public:
  // `clock` outlives it.
  explicit ImportProgress(const Clock& clock)
      : clock_(clock), shown_(::isatty(STDERR_FILENO) == 1), begun_(clock.monotonic()) {}
  ~ImportProgress() { clear(); }
  ImportProgress(const ImportProgress&) = delete;
  ImportProgress& operator=(const ImportProgress&) = delete;

  void show(uint64_t rows, uint64_t new_ones);
  // That nothing comes for so long, and why.
  void show_pause(std::chrono::milliseconds time, int retry, int retries_max, std::string_view why);
  void clear();  // before anything else is written
  double seconds() const { return std::chrono::duration<double>(clock_.monotonic() - begun_).count(); }

 private:
  const Clock& clock_;
  const bool shown_;
  const MonotonicTime begun_;
  MonotonicTime last_{};
  bool written_ = false;
};

}  // namespace millrace
