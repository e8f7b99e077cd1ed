// SPDX-License-Identifier: Apache-2.0
// Errors as clients of the older systems know them, which were FastAPI services: {"detail": "..."}, and for a value
// that is not as it should be 422 with {"detail": [{"type", "loc", "msg"}]}.
#pragma once

#include <span>
#include <string_view>

#include "net/http_types.h"

namespace millrace {

// A field of a body by the name that the older system has for it and by ours.
struct RenamedField {
  std::string_view older;
  std::string_view current;
};

// Whether the path belongs to one of the older systems.
bool is_older_surface(std::string_view path);

HttpResponse older_error(int status, std::string_view text);
// 422.  `where` is "path", "query" or "body"; `name` may be empty.
HttpResponse older_invalid(std::string_view where, std::string_view name, std::string_view text);

// One of our problem documents in the older words: 400 and 415 become 422, every other status stays, and so do the
// headers.  Any other response comes back as it is.
HttpResponse in_older_words(HttpResponse response, std::span<const RenamedField> names = {});

}  // namespace millrace
