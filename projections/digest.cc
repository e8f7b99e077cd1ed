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

Result<std::unique_ptr<ViewStore>> rebuild_view(const EventLog& log, std::string_view projection, Position until,
                                                RebuildReads reads) {
  const auto made = make_projection(projection);
  if (made == nullptr) return make_error(Errc::kNotFound, fmt::format("there is no projection '{}'", projection));
  auto store = make_memory_view_store({std::string(projection)});
  EventFilter filter;
  if (reads == RebuildReads::kNeeded) filter.types = made->types();
  Position after{0};
  while (after < until) {
    auto read = log.read(after, {.events = kMaxGroupApplied, .scanned = kMaxGroupApplied}, filter);
    if (!read) return read.error();
    std::vector<RecordedEvent>& events = read->events;
    while (!events.empty() && events.back().position > until) events.pop_back();
    // The reader is let go before the commit: a store in memory copies what a reader still holds.
    auto group = [&] { return fold_group(*made, *store->reader(), events); }();
    if (!group) return group.error();
    if (auto committed = store->commit(group->writes); !committed) return committed.error();
    if (read->at_end || read->through == after) break;
    after = read->through;
  }
  return store;
}

Result<std::string> rebuild_digest(const EventLog& log, std::string_view projection, Position until) {
  const auto store = rebuild_view(log, projection, until);
  if (!store) return store.error();
  return view_digest(*(*store)->reader(), projection);
}

}  // namespace millrace
