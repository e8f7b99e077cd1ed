// SPDX-License-Identifier: Apache-2.0
// Pictures and slicers' settings by the SHA-256 of their bytes: what a name stands for never changes.
#include <fmt/format.h>

#include "bus/blob_store.h"
#include "bus/json_reader.h"
#include "bus/picture.h"
#include "web/edge/problem.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

constexpr uint32_t kMaxSide = 16'384;  // pixels; some browsers draw no larger picture

// What a blob may be: a photo or a slicer's picture, or the settings of a sliced file (a JSON object).
struct BlobKind {
  std::string_view content_type;
  uint32_t width = 0;  // pixels; 0: no picture
  uint32_t height = 0;
};

// QOI is what some slicers write; no browser draws it, so it is no photo.
std::optional<BlobKind> qoi_header(std::string_view bytes) {
  constexpr size_t kHeader = 14;
  if (bytes.size() < kHeader || !bytes.starts_with("qoif")) return std::nullopt;
  const auto number = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    return value;
  };
  if (number(4) == 0 || number(8) == 0) return std::nullopt;
  return BlobKind{"image/qoi", number(4), number(8)};
}

std::optional<BlobKind> kind_of(std::string_view bytes) {
  if (const auto picture = picture_header(bytes))
    return BlobKind{picture->content_type, picture->width, picture->height};
  if (const auto qoi = qoi_header(bytes)) return qoi;
  if (!bytes.starts_with('{')) return std::nullopt;
  JsonReader reader(kMaxBlobBytes, 4);
  const auto json = reader.parse(bytes);
  return json && json->is_object() ? std::optional(BlobKind{"application/json"}) : std::nullopt;
}

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
  const auto kind = kind_of(bytes);
  if (!kind) {
    return api_problem(
        415, "not_a_picture",
        fmt::format("the {} bytes begin like no JPEG, PNG, WebP or QOI, and are no JSON object either", bytes.size()));
  }
  if (kind->width > kMaxSide || kind->height > kMaxSide) {
    return api_problem(
        422, "picture_too_large",
        fmt::format("the picture has {} x {} pixels: at most {} each way", kind->width, kind->height, kMaxSide));
  }
  const bool held = blobs->has(name);
  if (auto stored = blobs->put(name, bytes); !stored) return problem_of_blob(stored.error());
  JsonWriter json;
  json.object().field("sha256", name).field("content_type", kind->content_type);
  json.field("bytes", static_cast<uint64_t>(bytes.size())).field("width", static_cast<uint64_t>(kind->width));
  json.field("height", static_cast<uint64_t>(kind->height)).end();
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
    const auto kind = kind_of(*bytes);
    response.content_type = kind ? std::string(kind->content_type) : "application/octet-stream";
    if (!kind) response.headers.emplace_back("Content-Disposition", "attachment");
    response.body = std::move(*bytes);
  }
  response.headers.emplace_back("ETag", etag);
  response.headers.emplace_back("Cache-Control", "private, max-age=31536000, immutable");
  return response;
}

}  // namespace millrace
