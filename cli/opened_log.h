// SPDX-License-Identifier: Apache-2.0
// A hub's log opened to read, also while the hub runs, with the private folder that such a reader needs.
#pragma once

#include <filesystem>
#include <memory>

#include "bus/event_log.h"

namespace millrace {

class OpenedLog {
 public:
  // kNotFound when `data_dir` holds no log.
  static Result<OpenedLog> open(const std::filesystem::path& data_dir);
  OpenedLog(OpenedLog&& other) noexcept;
  ~OpenedLog();

  EventLog& operator*() const { return *log_; }
  EventLog* operator->() const { return log_.get(); }

 private:
  OpenedLog() = default;

  std::filesystem::path scratch_;
  std::unique_ptr<EventLog> log_;
};

// Prints the error to stderr and gives the exit code: 2 for what the user asked for wrongly, else 1.
int fail(const Error& error);

}  // namespace millrace
