// SPDX-License-Identifier: Apache-2.0
#include "bus/event_log.h"

namespace millrace {

bool EventFilter::matches(const RecordedEvent& event) const {
  if (!machine.empty() && event.envelope.machine() != machine) return false;
  if (!types.empty() && !types.contains(event.envelope.type())) return false;
  if (from && event.recorded_at < *from) return false;
  return !to || event.recorded_at < *to;
}

std::string root_text(const LogInfo& info) { return info.root ? hex_of(info.root->link) : std::string(); }

Result<std::vector<GroupReplacement>> EventLog::rewrite_groups(std::span<const RecordedEvent>) const {
  return make_error(Errc::kInvalidArgument, "this log keeps no groups that could be replaced");
}

Result<void> EventLog::checkpoint(const std::filesystem::path&) const {
  return make_error(Errc::kUnavailable, "this engine of the log makes no copies of itself");
}

}  // namespace millrace
