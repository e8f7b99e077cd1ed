// SPDX-License-Identifier: Apache-2.0
#include "web/edge/problem.h"

#include "bus/json_writer.h"

namespace millrace {
namespace {

std::string_view title_of(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 410:
      return "Gone";
    case 421:
      return "Misdirected Request";
    case 426:
      return "Upgrade Required";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

}  // namespace

HttpResponse api_problem(int status, std::string_view code, std::string_view detail) {
  JsonWriter json;
  json.object().field("type", "about:blank").field("title", title_of(status)).field("status", status);
  json.field("code", code).field("detail", detail).end();
  HttpResponse response;
  response.status = status;
  response.content_type = "application/problem+json";
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  response.body = json.take();
  return response;
}

HttpResponse api_problem_from(const Error& error) {
  switch (error.code) {
    case Errc::kInvalidArgument:
      return api_problem(400, "invalid_parameter", error.context);
    case Errc::kNotFound:
      return api_problem(404, "not_found", error.context);
    case Errc::kCorrupt:
      return api_problem(500, "corrupt", error.context);
    case Errc::kUnavailable:
    case Errc::kFull:
    case Errc::kTimeout:
      return api_problem(503, "unavailable", error.context);
    default:
      return api_problem(500, "internal", error.context);
  }
}

}  // namespace millrace
