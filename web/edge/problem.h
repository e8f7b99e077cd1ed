// SPDX-License-Identifier: Apache-2.0
// Errors as RFC 9457 problem details: {type, title, status, code, detail}.  `code` is for programs and never changes.
#pragma once

#include <string>
#include <string_view>

#include "bus/result.h"
#include "net/http_types.h"

namespace millrace {

// `detail` names the offending value and what would be right.
HttpResponse api_problem(int status, std::string_view code, std::string_view detail);
// 404 machine_not_found.
HttpResponse machine_not_found(std::string_view id);
// What went wrong in reading the log or a view.
HttpResponse api_problem_from(const Error& error);

}  // namespace millrace
