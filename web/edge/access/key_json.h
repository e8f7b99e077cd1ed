// SPDX-License-Identifier: Apache-2.0
// A key as people are shown it: never its hash, and its text only where it was just made.  The control socket and
// `millrace keys --json` say it in the same words as the API.
#pragma once

#include <string>
#include <string_view>

#include "bus/api_keys.h"
#include "bus/json_writer.h"

namespace millrace {

// {"id", "name", "prefix", "scopes", "machines" (null: all), "expires_at", "created_at", "last_used_at", "active",
// "expired", "description", "requests_per_minute" (null: the configuration's)}; with a secret {..., "key"}.
void write_api_key(JsonWriter& json, const ApiKey& key, WallTime now, std::string_view secret = {});
std::string api_keys_json(const std::vector<ApiKey>& keys, WallTime now);  // {"items", "next_cursor", "total"}

}  // namespace millrace
