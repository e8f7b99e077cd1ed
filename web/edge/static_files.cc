// SPDX-License-Identifier: Apache-2.0
#include "web/edge/static_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "web/edge/problem.h"

namespace millrace {
namespace {

constexpr std::string_view kNotBuilt =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Millrace</title></head><body>\n"
    "<h1>Millrace is running</h1>\n"
    "<p>This program was built without the web app. Build it with <code>npm ci &amp;&amp; npm run build</code> in "
    "<code>web/app</code>, then build the program again.</p>\n"
    "<p>The API works: <a href=\"/api/v1/machines\">machines</a>, <a href=\"/api/v1/jobs\">jobs</a>, "
    "<a href=\"/health/ready\">health</a>.</p>\n</body></html>\n";

constexpr std::array<std::pair<std::string_view, std::string_view>, 18> kTypes{{
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".webp", "image/webp"},
    {".ico", "image/x-icon"},
    {".woff", "font/woff"},
    {".woff2", "font/woff2"},
    {".ttf", "font/ttf"},
    {".wasm", "application/wasm"},
    {".txt", "text/plain; charset=utf-8"},
}};

std::string_view type_of(std::string_view path) {
  for (const auto& [ending, type] : kTypes) {
    if (path.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

const EmbeddedFile* find(const std::vector<EmbeddedFile>& files, std::string_view path) {
  const auto found =
      std::find_if(files.begin(), files.end(), [&](const EmbeddedFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

// A page of the app, to which the app itself finds.  Jobs have dots in their names: only a file's ending makes a file.
bool is_page(std::string_view path) {
  return !path.starts_with("/assets/") &&
         std::none_of(kTypes.begin(), kTypes.end(), [path](const auto& type) { return path.ends_with(type.first); });
}

bool takes_gzip(const HttpRequest& request) {
  const std::string_view accepted = request.header("accept-encoding").value_or("");
  return accepted.find("gzip") != std::string_view::npos && accepted.find("gzip;q=0") == std::string_view::npos;
}

bool knows(const HttpRequest& request, const std::string& etag) {
  return request.header("if-none-match").value_or("").find(etag) != std::string_view::npos;
}

}  // namespace

HttpResponse serve_file(const HttpRequest& request, const std::vector<EmbeddedFile>& files) {
  HttpResponse response;
  response.content_type = "text/html; charset=utf-8";
  if (files.empty() && is_page(request.path)) {
    response.body = kNotBuilt;
    return response;
  }
  std::string path = request.path;
  const EmbeddedFile* file = find(files, path);
  if (file == nullptr && is_page(path)) file = find(files, path = "/index.html");
  if (file == nullptr)
    return api_problem(404, "not_found", fmt::format("there is nothing at {}", request.path.substr(0, 200)));
  response.content_type = type_of(path);
  if (const EmbeddedFile* compressed = takes_gzip(request) ? find(files, path + ".gz") : nullptr) {
    file = compressed;
    response.headers.emplace_back("Content-Encoding", "gzip");
  }
  const std::string etag = fmt::format("\"{}\"", file->etag);
  response.headers.emplace_back("ETag", etag);
  response.headers.emplace_back("Vary", "Accept-Encoding");
  // Names under /assets/ hold a hash of their content, so they never change; everything else is asked for again.
  response.headers.emplace_back("Cache-Control",
                                path.starts_with("/assets/") ? "public, max-age=31536000, immutable" : "no-cache");
  if (knows(request, etag)) {
    response.status = 304;
  } else {
    response.body = file->bytes;
  }
  return response;
}

}  // namespace millrace
