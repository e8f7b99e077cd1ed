// SPDX-License-Identifier: Apache-2.0
// The text of an HTTP/1.1 answer.  Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/http_types.h"

namespace millrace {

struct AnswerFraming {
  bool keep_alive = true;
  bool is_http_1_0 = false;
};

// Whether the body goes out as chunks, each with its length: a body from a source, to a client that knows them.  One
// that does not is told the end by the end of the connection.
bool is_chunked(const HttpResponse& response, const AnswerFraming& framing);

// Status line and headers.  The framing headers are the server's own, those of the response are left out.  Empty when
// the response cannot be sent: a status outside 200..599, or a header that would break out of its line.
std::optional<std::string> answer_head(const HttpResponse& response, const AnswerFraming& framing);

// "Not Found"; empty for a status that is not used here.
std::string_view reason_phrase(int status);

// An error as RFC 9457 problem details: {type, title, status, code, detail}.
HttpResponse problem(int status, std::string_view code, std::string_view detail);

std::string_view body_of(const HttpResponse& response);
bool may_have_body(int status);

// RFC 9110 5.6.2, the alphabet of methods and header names.
bool is_token(std::string_view text);

}  // namespace millrace
