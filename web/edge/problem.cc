// SPDX-License-Identifier: Apache-2.0
#include "web/edge/problem.h"

#include <fmt/format.h>

#include "net/http_message.h"

namespace millrace {

HttpResponse api_problem(int status, std::string_view code, std::string_view detail) {
  HttpResponse response = problem(status, code, detail);
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

HttpResponse machine_not_found(std::string_view id) {
  return api_problem(404, "machine_not_found",
                     fmt::format("there is no machine '{}'; GET /api/v1/machines lists them", id.substr(0, 100)));
}

HttpResponse api_problem_from(const Error& error) {
  switch (error.code) {
    case Errc::kInvalidArgument:
      return api_problem(400, "invalid_parameter", error.context);
    case Errc::kNotFound:
      return api_problem(404, "not_found", error.context);
    case Errc::kCorrupt:
      return api_problem(500, "corrupt", error.context);
    case Errc::kSyncFailed:
      return api_problem(503, "not_confirmed",
                         "it is not known whether this was recorded; look before you ask again: " + error.context);
    case Errc::kUnavailable:
    case Errc::kFull:
    case Errc::kTimeout:
      return api_problem(503, "unavailable", error.context);
    default:
      return api_problem(500, "internal", error.context);
  }
}

}  // namespace millrace
