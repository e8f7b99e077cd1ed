// SPDX-License-Identifier: Apache-2.0
// The web app's files, inside the program since it was built.
#pragma once

#include <string_view>
#include <vector>

#include "net/http_types.h"

namespace millrace {

struct EmbeddedFile {
  std::string_view path;  // "/index.html"; a compressed twin ends in ".gz"
  std::string_view bytes;
  std::string_view etag;  // of the uncompressed and the compressed file each its own; without quotes
};

// Generated at build time; empty when the web app was not built.
const std::vector<EmbeddedFile>& embedded_files();

// The file at `request.path`, index.html for a path of the app itself (one without a dot in its last part), else 404.
// `files` is embedded_files() outside tests.
HttpResponse serve_file(const HttpRequest& request, const std::vector<EmbeddedFile>& files);

}  // namespace millrace
