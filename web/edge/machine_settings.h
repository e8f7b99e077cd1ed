// SPDX-License-Identifier: Apache-2.0
// What requests about machines share: what an address and what the secrets may look like.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bus/machine_secrets.h"
#include "web/edge/body_reader.h"

namespace millrace {

// What would be right, when `text` is no URL of a Moonraker.
std::optional<std::string> wrong_moonraker_url(const std::string& text);

// The name of a file in the secrets' folder; empty is one too.
bool is_certificate_name(std::string_view name);

// Notes that a user's name without a password, or the other way round, lets nobody in; an API key counts instead of
// both.
void refuse_half_login(BodyReader& body, const MachineSecret& secret);

}  // namespace millrace
