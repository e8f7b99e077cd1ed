// SPDX-License-Identifier: Apache-2.0
// The only file that includes spdlog.
#include "bus/logging.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "bus/clock.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

// spdlog's registry is the one place where the process keeps its logger; the format is fixed before threads start.
bool json_lines = false;

std::shared_ptr<spdlog::logger> make_default_logger() {
  return std::make_shared<spdlog::logger>("millrace", std::make_shared<spdlog::sinks::stderr_sink_mt>());
}

void install(const std::shared_ptr<spdlog::logger>& logger, LogLevel level) {
  logger->set_level(to_spdlog(level));
  logger->set_pattern(json_lines ? "%v" : "%Y-%m-%dT%H:%M:%S.%eZ %-5l %v", spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(logger);
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view text) {
  std::string lower(text);  // the older systems write theirs in capitals
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (lower == "trace") return LogLevel::kTrace;
  if (lower == "debug") return LogLevel::kDebug;
  if (lower == "info") return LogLevel::kInfo;
  if (lower == "warn" || lower == "warning") return LogLevel::kWarn;
  if (lower == "error" || lower == "critical") return LogLevel::kError;
  if (lower == "off") return LogLevel::kOff;
  return make_error(Errc::kInvalidArgument,
                    fmt::format("log level '{}': expected trace, debug, info, warn, error or off", text));
}

Result<void> start_logging(const LoggingOptions& options) {
  json_lines = options.json;
  auto logger = make_default_logger();
  if (!options.file.empty()) {
    try {
      logger->sinks().push_back(std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
          options.file, options.file_max_bytes, options.file_count));
    } catch (const spdlog::spdlog_ex& error) {
      return make_error(Errc::kIo, fmt::format("log file '{}': {}", options.file, error.what()));
    }
  }
  install(logger, options.level);
  return {};
}

bool log_enabled(LogLevel level) { return spdlog::default_logger_raw()->should_log(to_spdlog(level)); }

void log_line(LogLevel level, std::string_view component, std::string_view message) {
  spdlog::logger* logger = spdlog::default_logger_raw();
  if (!json_lines) {
    logger->log(to_spdlog(level), "[{}] {}", component, message);
    return;
  }
  const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(spdlog::log_clock::now());
  const auto name = spdlog::level::to_string_view(to_spdlog(level));
  JsonWriter json;
  json.object()
      .field("time", to_rfc3339(now))
      .field("level", std::string_view(name.data(), name.size()))
      .field("component", component)
      .field("message", message)
      .end();
  logger->log(to_spdlog(level), "{}", json.text());
}

}  // namespace millrace
