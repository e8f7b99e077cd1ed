// SPDX-License-Identifier: Apache-2.0
// What keeps other web pages away from the hub, and what every answer tells the browser.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_types.h"

namespace millrace {

// `hsts`: what Strict-Transport-Security says; 0: nothing, as without TLS.
void add_security_headers(HttpResponse& response, std::chrono::seconds hsts = std::chrono::seconds(0));

// On a loopback address only names of this machine are served: a page of another site whose name was pointed at
// 127.0.0.1 (DNS rebinding) sends its own name as Host.  nullopt: go on.
std::optional<HttpResponse> refuse_host(const HttpRequest& request, std::string_view listen_host);

// A WebSocket is not bound by the same-origin rule: a browser's Origin must name the host that it talks to.
std::optional<HttpResponse> refuse_origin(const HttpRequest& request);

}  // namespace millrace
