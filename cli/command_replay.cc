// SPDX-License-Identifier: Apache-2.0
#include "cli/command_replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "cli/opened_log.h"
#include "projections/digest.h"
#include "projections/registry.h"

namespace millrace {
namespace {

Result<Position> until_from(const EventLog& log, const std::string& text) {
  if (text.empty()) return log.last();
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size()) return std::min(Position{number}, log.last());
  const auto time = parse_rfc3339(text);
  if (!time) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("--until '{}': expected a position or a time such as 2026-11-21T03:14:00Z", text));
  }
  const auto first = log.first_at(*time);
  if (!first) return first.error();
  return Position{first->value - 1};
}

}  // namespace

int run_replay_command(const ReplayCommandOptions& options) {
  const auto names = projection_names();
  if (std::find(names.begin(), names.end(), options.projection) == names.end()) {
    return fail(make_error(Errc::kInvalidArgument,
                           fmt::format("--projection '{}': there are {}", options.projection, fmt::join(names, ", "))));
  }
  const auto log = OpenedLog::open(options.data_dir);
  if (!log) return fail(log.error());
  const auto until = until_from(**log, options.until);
  if (!until) return fail(until.error());
  const auto digest = rebuild_digest(**log, options.projection, *until);
  if (!digest) return fail(digest.error());
  if (options.digest_only) {
    std::puts(digest->c_str());
  } else {
    fmt::print("{}  {} up to position {}\n", *digest, options.projection, until->value);
  }
  return 0;
}

}  // namespace millrace
