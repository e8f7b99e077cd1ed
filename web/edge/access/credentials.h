// SPDX-License-Identifier: Apache-2.0
// What a request shows of its sender, and the cookie that a browser is given.  Pure.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_types.h"

namespace millrace {

// The subprotocol that a WebSocket client names together with "key.<its key>", since a browser's script can set no
// header there; it is the one that the server then chooses.
inline constexpr std::string_view kSocketProtocol = "millrace.v1";

// "" where there is none.  X-API-Key comes before Authorization: Bearer, and both before a WebSocket's subprotocol.
std::string key_in(const HttpRequest& request);
// Every cookie of our name, of which at most one can be ours: others may have been set by pages of this host at other
// ports.
std::vector<std::string> session_cookies_in(const HttpRequest& request, bool tls);
// Whether it came by way of a proxy, which says so.
bool is_forwarded(const HttpRequest& request);
// A browser says that its own page of this very host asks.
bool is_proven_same_origin(const HttpRequest& request);
bool offers_socket_protocol(const HttpRequest& request);

// "192.168.1.7" of "192.168.1.7:51234", "2001:db8::1" of "[2001:db8::1]:51234".
std::string address_of(std::string_view remote);
bool is_this_computer(std::string_view address);

// The value of Set-Cookie: no script may read it, no other site's page makes a browser send it.  With TLS its name
// begins with __Host-, which no other host and no plain HTTP can set.
std::string session_cookie(std::string_view value, std::chrono::seconds lifetime, bool tls);
std::string no_session_cookie(bool tls);

}  // namespace millrace
