// SPDX-License-Identifier: Apache-2.0
#include "projections/digest.h"

#include <fmt/format.h>

#include "bus/sha256.h"
#include "projections/apply_group.h"
#include "projections/job_history_keys.h"
#include "projections/registry.h"

namespace millrace {
Result<std::string> view_digest(const ViewReader& reader, std::string_view view) {
  Sha256Digester hash;
  hash.begin();
  const auto scanned = reader.scan(view, KeyRange::all(), [&](std::string_view key, std::string_view value) {
    for (const std::string_view part : {key, value}) {
      hash.add(job_keys::big_endian_of(part.size()));
      hash.add(part);
    }
    return true;
  });
  if (!scanned) return scanned.error();
  return hex_of(hash.end());
}

Result<std::string> rebuild_digest(const EventLog& log, std::string_view projection, Position until) {
  const auto made = make_projection(projection);
  if (made == nullptr) return make_error(Errc::kNotFound, fmt::format("there is no projection '{}'", projection));
  const auto store = make_memory_view_store({std::string(projection)});
  Position after{0};
  while (after < until) {
    const auto read = log.read(after, {.events = kMaxGroupApplied, .scanned = kMaxGroupApplied}, {});
    if (!read) return read.error();
    std::vector<RecordedEvent> events;
    for (const RecordedEvent& event : read->events) {
      if (event.position <= until) events.push_back(event);
    }
    // The reader is let go before the commit: a store in memory copies what a reader still holds.
    auto group = [&] { return fold_group(*made, *store->reader(), events); }();
    if (!group) return group.error();
    if (auto committed = store->commit(group->writes); !committed) return committed.error();
    if (read->at_end || read->through == after) break;
    after = read->through;
  }
  return view_digest(*store->reader(), projection);
}

}  // namespace millrace
