// SPDX-License-Identifier: Apache-2.0
// A request and a response as plain values.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/result.h"

namespace millrace {

struct HttpRequest {
  std::string method;                                        // upper case
  std::string path;                                          // decoded, begins with '/'
  std::vector<std::pair<std::string, std::string>> query;    // decoded, in order
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string remote;  // "127.0.0.1:51234"

  std::optional<std::string_view> query_value(std::string_view name) const;  // the first of that name
  std::optional<std::string_view> header(std::string_view name) const;       // name in lower case
};

// Makes a body while it is sent: asked for the next piece once the client has taken the one before, so that never more
// than one is held, however slow the client is.  An empty piece ends the body.  An error breaks the answer off: the
// client then sees that something is missing.  Asked by one thread at a time, where HttpServerOptions::work says; not
// asked again, and destroyed, once the client is gone.
using BodySource = std::function<Result<std::string>()>;

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::shared_ptr<const std::string> shared_body;  // instead of body, for bytes that many responses share
  BodySource source;                               // instead of both
};

}  // namespace millrace
