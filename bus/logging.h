// SPDX-License-Identifier: Apache-2.0
// The program's own log, for operators: text or JSON lines to stderr and, if asked for, to a rotating file.
// Nothing per event at info; never a secret.  Thread-safe.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "bus/result.h"

namespace millrace {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError, kOff };

struct LoggingOptions {
  LogLevel level = LogLevel::kInfo;
  bool json = false;
  std::string file;  // empty: none
  size_t file_max_bytes = 10u << 20;
  size_t file_count = 3;
};

Result<LogLevel> parse_log_level(std::string_view text);

// Once, before other threads start.  kIo when the file cannot be opened.
Result<void> start_logging(const LoggingOptions& options);

bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view component, std::string_view message);

template <class... Args>
void log_info(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kInfo))
    log_line(LogLevel::kInfo, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warn(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kWarn))
    log_line(LogLevel::kWarn, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kError))
    log_line(LogLevel::kError, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_debug(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kDebug))
    log_line(LogLevel::kDebug, component, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace millrace
