// SPDX-License-Identifier: Apache-2.0
// The words of a login at Moonraker: POST /access/login gives a JSON Web Token that serves for an hour.  Any thread.
#pragma once

#include <string>
#include <string_view>

namespace millrace {

inline constexpr std::string_view kLoginPath = "/access/login";
inline constexpr size_t kMaxLoginAnswer = 64u << 10;  // bytes

// The request's body.
std::string login_body(std::string_view username, std::string_view password);

// The token in the body of an answer 200; empty: it holds none that could be sent in a header.
std::string token_in_login(std::string_view answer);

// Whether a token is made of nothing but what a header or a URL may hold.
bool is_access_token(std::string_view text);

}  // namespace millrace
