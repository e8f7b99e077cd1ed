// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace {

// What a zlib stream unpacks to; nullopt when it is none, or does not unpack to exactly `size` bytes.
std::optional<std::string> inflated(std::string_view packed, size_t size);

}  // namespace millrace
