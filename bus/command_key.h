// SPDX-License-Identifier: Apache-2.0
// The key with which the hub signs commands and every adapter knows them: 256 random bits in <data>/command_key, 64 hex
// digits, mode 0600.  The hub makes it; an adapters role with a data folder of its own needs a copy.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "bus/random.h"
#include "bus/result.h"

namespace millrace {

// Empty when there is no such file; kMalformed when it is no key.  Errors name the file, never what is in it.
Result<std::string> read_command_key(const std::filesystem::path& file);
// The same, made of `random` first where there is none.
Result<std::string> read_or_make_command_key(const std::filesystem::path& file, Random& random);

// HMAC-SHA256 (RFC 2104), 64 hex digits.
std::string command_signature(std::string_view key, std::string_view bytes);
// In constant time.  False for an empty key.
bool is_command_signature(std::string_view key, std::string_view bytes, std::string_view signature);

}  // namespace millrace
