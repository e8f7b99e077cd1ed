// SPDX-License-Identifier: Apache-2.0
// What a key of some machines alone is shown of a list of machines and of the live feed.  All other clients share one
// text; only such a key's is taken apart and written again.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/http_server.h"
#include "web/edge/access/caller.h"

namespace millrace {

// Of a JSON object: what its lists `items`, `machines`, `jobs`, `removed_machines` and `removed_jobs` say of the
// caller's machines, and everything else as it is.  A text that is no object comes back empty.
std::string own_part(std::string_view text, const Caller& caller);

// `peer` itself for a caller of all machines; else one that sends the caller's part of each text.
std::shared_ptr<WebSocketPeer> own_part_of(std::shared_ptr<WebSocketPeer> peer, const Caller& caller);

}  // namespace millrace
