// SPDX-License-Identifier: Apache-2.0
// Pictures by the SHA-256 of their bytes: what a name stands for never changes.
#include <fmt/format.h>

#include "bus/blob_store.h"
#include "bus/picture.h"
#include "web/edge/problem.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

constexpr uint32_t kMaxSide = 16'384;  // pixels; some browsers draw no larger picture

HttpResponse problem_of_blob(const Error& error) {
  switch (error.code) {
    case Errc::kInvalidArgument:
      return api_problem(400, "invalid_parameter", error.context);
    case Errc::kNotFound:
      return api_problem(404, "blob_not_found", error.context);
    case Errc::kMalformed:
      return api_problem(422, "hash_mismatch", error.context);
    case Errc::kTooLarge:
      return api_problem(413, "body_too_large", error.context);
    case Errc::kFull:
      return api_problem(507, "blobs_full", error.context);
    default:
      return api_problem_from(error);
  }
}

HttpResponse no_blobs() { return api_problem(503, "unavailable", "no pictures are kept here"); }

}  // namespace

WriteDecision put_blob(const RouteContext& context, const RouteRequest& request) {
  BlobStore* blobs = context.parts.blobs;
  if (blobs == nullptr) return no_blobs();
  const std::string& name = request.path.at("sha256");
  const std::string& bytes = request.http.body;
  const auto picture = picture_header(bytes);
  if (!picture) {
    return api_problem(415, "not_a_picture", fmt::format("the {} bytes begin like no JPEG, PNG or WebP", bytes.size()));
  }
  if (picture->width > kMaxSide || picture->height > kMaxSide) {
    return api_problem(
        422, "picture_too_large",
        fmt::format("the picture has {} x {} pixels: at most {} each way", picture->width, picture->height, kMaxSide));
  }
  const bool held = blobs->has(name);
  if (auto stored = blobs->put(name, bytes); !stored) return problem_of_blob(stored.error());
  JsonWriter json;
  json.object().field("sha256", name).field("content_type", picture->content_type);
  json.field("bytes", static_cast<uint64_t>(bytes.size())).field("width", static_cast<uint64_t>(picture->width));
  json.field("height", static_cast<uint64_t>(picture->height)).end();
  return EdgeWrite{{}, [text = json.take(), held](const RouteContext&) {
                     HttpResponse response;
                     response.status = held ? 200 : 201;
                     response.body = text;
                     return response;
                   }};
}

HttpResponse answer_blob(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.blobs == nullptr) return no_blobs();
  const std::string& name = request.path.at("sha256");
  const std::string etag = "\"" + name + "\"";
  HttpResponse response;
  if (is_sha256(name) && request.http.header("if-none-match") == etag && context.parts.blobs->has(name)) {
    response.status = 304;
  } else {
    auto bytes = context.parts.blobs->get(name);
    if (!bytes) return problem_of_blob(bytes.error());
    const auto picture = picture_header(*bytes);
    response.content_type = picture ? std::string(picture->content_type) : "application/octet-stream";
    if (!picture) response.headers.emplace_back("Content-Disposition", "attachment");
    response.body = std::move(*bytes);
  }
  response.headers.emplace_back("ETag", etag);
  response.headers.emplace_back("Cache-Control", "private, max-age=31536000, immutable");
  return response;
}

}  // namespace millrace
