// SPDX-License-Identifier: Apache-2.0
#include "net/http_message.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/json_writer.h"

namespace millrace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 507:
      return "Insufficient Storage";
    case 504:
      return "Gateway Timeout";
    default:
      return "";  // RFC 9112 4: may be empty
  }
}

namespace {

bool is_field_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

bool same_name(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() && std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
         });
}

bool is_framing(std::string_view name) {
  return same_name(name, "content-length") || same_name(name, "transfer-encoding") || same_name(name, "connection") ||
         same_name(name, "keep-alive");
}

}  // namespace

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool may_have_body(int status) { return status != 204 && status != 304; }

std::string_view body_of(const HttpResponse& response) {
  return response.shared_body ? std::string_view(*response.shared_body) : std::string_view(response.body);
}

bool is_chunked(const HttpResponse& response, const AnswerFraming& framing) {
  return response.source && !framing.is_http_1_0 && may_have_body(response.status);
}

std::optional<std::string> answer_head(const HttpResponse& response, const AnswerFraming& framing) {
  if (response.status < 200 || response.status > 599 || !is_field_value(response.content_type)) return std::nullopt;
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  auto out = std::back_inserter(head);
  if (may_have_body(response.status)) {
    if (!response.content_type.empty()) fmt::format_to(out, "Content-Type: {}\r\n", response.content_type);
    if (is_chunked(response, framing)) {
      head += "Transfer-Encoding: chunked\r\n";
    } else if (!response.source) {
      fmt::format_to(out, "Content-Length: {}\r\n", body_of(response).size());
    }
  }
  for (const auto& [name, value] : response.headers) {
    if (is_framing(name)) continue;
    if (!is_token(name) || !is_field_value(value)) return std::nullopt;
    fmt::format_to(out, "{}: {}\r\n", name, value);
  }
  if (!framing.keep_alive) {
    head += "Connection: close\r\n";
  } else if (framing.is_http_1_0) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  return head;
}

HttpResponse problem(int status, std::string_view code, std::string_view detail) {
  JsonWriter json;
  json.object()
      .field("type", "about:blank")
      .field("title", reason_phrase(status))
      .field("status", status)
      .field("code", code)
      .field("detail", detail)
      .end();
  HttpResponse response;
  response.status = status;
  response.content_type = "application/problem+json";
  response.body = json.take();
  return response;
}

}  // namespace millrace
