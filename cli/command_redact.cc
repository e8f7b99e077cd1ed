// SPDX-License-Identifier: Apache-2.0
#include "cli/command_redact.h"

#include <fmt/format.h>

#include <cstdio>

#include "bus/event_json.h"
#include "bus/redaction.h"
#include "cli/hub.h"
#include "cli/opened_log.h"

namespace millrace {

int run_log_redact(const RedactOptions& options) {
  const auto directory = log_directory(options.data_dir);
  if (!std::filesystem::exists(directory)) {
    return fail(make_error(Errc::kNotFound, fmt::format("'{}' holds no log", options.data_dir.string())));
  }
  const SystemClock clock;
  const auto log = open_rocksdb_event_log(directory, clock);
  if (!log && log.error().code == Errc::kConflict) {
    return fail(make_error(Errc::kConflict,
                           fmt::format("a hub has the log in '{}' open: stop it first", options.data_dir.string())));
  }
  if (!log) return fail(log.error());
  const auto changed = find_redactions(**log, {options.job_id, options.text});
  if (!changed) return fail(changed.error());
  for (const RecordedEvent& event : *changed) std::puts(event_to_json(event).c_str());
  if (changed->empty()) {
    std::fputs("No fact says that.\n", stderr);
    return 0;
  }
  if (!options.yes) {
    fmt::print(stderr, "{} events would become as above, for good. --yes does it.\n", changed->size());
    return 0;
  }
  const auto position = redact(**log, *changed, options.job_id.empty() ? "text" : "job", options.reason, clock);
  if (!position) return fail(position.error());
  fmt::print(stderr,
             "{} events were made unreadable; position {} tells of it. Older backups still hold what they said.\n",
             changed->size(), position->value);
  return 0;
}

}  // namespace millrace
