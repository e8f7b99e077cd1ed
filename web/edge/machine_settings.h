// SPDX-License-Identifier: Apache-2.0
// What requests about machines share: what an address may look like.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace {

// What would be right, when `text` is no URL of a Moonraker.
std::optional<std::string> wrong_moonraker_url(const std::string& text);

// The name of a file in the secrets' folder; empty is one too.
bool is_certificate_name(std::string_view name);

}  // namespace millrace
