// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/job_file.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "bus/envelope.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "gcode/gcode_ends.h"
#include "net/http_client.h"
#include "net/url.h"
#include "producers/moonraker/moonraker_login.h"

namespace millrace {
namespace {

// Together below what an event may hold.
constexpr size_t kMaxInlineSettings = 24u << 10;
constexpr size_t kMaxObjectBytes = 6u << 10;
constexpr size_t kMaxWarningBytes = 4u << 10;
constexpr size_t kMaxExtruders = 32;
constexpr size_t kMaxTextBytes = 200;
constexpr size_t kMaxPiece = 4u << 20;  // also of servers that know no ranges: a small file comes whole
constexpr int kMaxPieces = 16;
constexpr double kSameTimeS = 2;  // HTTP dates have whole seconds

struct Piece {
  std::string bytes;
  uint64_t offset = 0;
  uint64_t file_bytes = 0;
  std::string modified;  // the Last-Modified header, verbatim
};

std::string_view header_of(const HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

// "bytes 0-99/1234" -> 0 and 1234.
bool read_content_range(std::string_view text, Piece& piece) {
  const size_t space = text.find(' ');
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (space == std::string_view::npos || dash == std::string_view::npos || slash == std::string_view::npos)
    return false;
  const auto number = [&](size_t begin, size_t end, uint64_t& into) {
    return begin < end && std::from_chars(text.data() + begin, text.data() + end, into).ptr == text.data() + end;
  };
  return number(space + 1, dash, piece.offset) && number(slash + 1, text.size(), piece.file_bytes);
}

Result<Piece> fetch(const JobFileSource& source, const std::string& url, uint64_t offset, uint64_t length) {
  HttpClientRequest request;
  request.url = url;
  request.headers = source.headers;
  request.headers.emplace_back("Range", fmt::format("bytes={}-{}", offset, offset + length - 1));
  request.timeout = source.timeout;
  request.ca_file = source.ca_file;
  request.cancelled = source.cancelled;
  request.max_body_bytes = kMaxPiece;
  auto response = http_request(request);
  if (!response) return response.error();
  Piece piece;
  piece.modified = header_of(*response, "last-modified");
  piece.bytes = std::move(response->body);
  if (response->status == 206 && read_content_range(header_of(*response, "content-range"), piece)) return piece;
  if (response->status == 200) {
    piece.file_bytes = piece.bytes.size();
    return piece;
  }
  const bool later = response->status >= 500 || response->status == 429;
  return make_error(response->status == 404 ? Errc::kNotFound
                    : later                 ? Errc::kUnavailable
                                            : Errc::kInvalidArgument,
                    fmt::format("Moonraker answers {} for the file", response->status));
}

// A login of its own for each file: what the link's gave serves for an hour only.
Result<void> log_in(JobFileSource& source) {
  HttpClientRequest request;
  request.method = "POST";
  request.url = source.moonraker_url + std::string(kLoginPath);
  request.headers = {{"Content-Type", "application/json"}};
  request.body = login_body(source.username, source.password);
  request.timeout = source.timeout;
  request.ca_file = source.ca_file;
  request.cancelled = source.cancelled;
  request.max_body_bytes = kMaxLoginAnswer;
  const auto response = http_request(request);
  if (!response) return response.error();
  const std::string token = response->status == 200 ? token_in_login(response->body) : std::string();
  if (!token.empty()) {
    source.headers.emplace_back("Authorization", "Bearer " + token);
    return {};
  }
  return make_error(response->status >= 500 ? Errc::kUnavailable : Errc::kInvalidArgument,
                    fmt::format("Moonraker answers {} to the login", response->status));
}

std::string cut(std::string text, size_t most = kMaxTextBytes) {
  if (text.size() > most) text.resize(most);
  return text;
}

template <class T>
std::string text_or_empty(const T& text) {
  return text ? cut(*text) : std::string();
}

std::string settings_json(const GcodeMetadata& metadata) {
  JsonWriter json;
  json.object();
  for (const auto& [key, value] : metadata.settings) json.field(key, value);
  json.end();
  return json.take();
}

// As many as fit; says how many are left out.
std::vector<std::string> fitting(const std::vector<std::string>& texts, size_t most, std::string_view what,
                                 std::vector<std::string>* warnings) {
  std::vector<std::string> kept;
  size_t bytes = 0;
  for (const std::string& text : texts) {
    bytes += text.size() + 8;
    if (bytes > most) break;
    kept.push_back(text);
  }
  if (kept.size() < texts.size() && warnings != nullptr) {
    warnings->push_back(fmt::format("{} of {} {} are left out", texts.size() - kept.size(), texts.size(), what));
  }
  return kept;
}

void keep_or_warn(const KeepBlob& keep, std::string_view bytes, std::string_view type, std::string_view what,
                  std::string& into, std::vector<std::string>& warnings) {
  const auto kept =
      keep ? keep(bytes, type) : Result<std::string>(make_error(Errc::kUnavailable, "nowhere to keep it"));
  if (kept) {
    into = *kept;
  } else {
    warnings.push_back(fmt::format("{} of {} bytes: {}", what, bytes.size(), kept.error().message()));
  }
}

std::string_view content_type_of(std::string_view format) {
  return format == "PNG" ? "image/png" : format == "JPG" ? "image/jpeg" : "image/qoi";
}

void tell_extruders(const GcodeMetadata& metadata, schema::JobMetadataReadT& event) {
  for (const GcodeExtruder& extruder : metadata.extruders) {
    if (event.extruders.size() >= kMaxExtruders) break;
    auto told = std::make_unique<schema::SlicedExtruderT>();
    told->filament_type = text_or_empty(extruder.filament_type);
    told->filament_vendor = text_or_empty(extruder.filament_vendor);
    told->filament_color = text_or_empty(extruder.filament_color);
    told->used_mm = extruder.used_mm;
    told->used_cm3 = extruder.used_cm3;
    told->used_g = extruder.used_g;
    told->cost = extruder.cost;
    event.extruders.push_back(std::move(told));
  }
}

void tell_values(const GcodeMetadata& metadata, schema::JobMetadataReadT& event) {
  event.slicer_name = text_or_empty(metadata.slicer_name);
  event.slicer_version = text_or_empty(metadata.slicer_version);
  event.estimated_time_s = metadata.estimated_time_s;
  event.layer_height = metadata.layer_height;
  event.first_layer_height = metadata.first_layer_height;
  if (metadata.layer_count) event.layer_count = static_cast<int32_t>(*metadata.layer_count);
  event.object_height = metadata.object_height;
  event.nozzle_temp = metadata.nozzle_temp;
  event.first_layer_nozzle_temp = metadata.first_layer_nozzle_temp;
  event.bed_temp = metadata.bed_temp;
  event.chamber_temp = metadata.chamber_temp;
  event.infill_percentage = metadata.infill_percentage;
  event.infill_pattern = text_or_empty(metadata.infill_pattern);
  event.support_enabled = metadata.support_enabled;
  event.support_type = text_or_empty(metadata.support_type);
  event.print_speed = metadata.print_speed;
  event.total_filament_used_mm = metadata.total_filament_used_mm;
  event.total_filament_used_g = metadata.total_filament_used_g;
  event.total_filament_cost = metadata.total_filament_cost;
}

void tell_large(const GcodeMetadata& metadata, const KeepBlob& keep, schema::JobMetadataReadT& event) {
  std::vector<std::string> warnings = metadata.warnings;
  if (metadata.objects) event.objects = fitting(*metadata.objects, kMaxObjectBytes, "objects", &warnings);
  if (std::string settings = settings_json(metadata); settings.size() <= kMaxInlineSettings) {
    event.settings_json = std::move(settings);
  } else {
    keep_or_warn(keep, settings, "application/json", "the settings", event.settings_blob, warnings);
  }
  if (metadata.thumbnail) {
    event.thumbnail_type = content_type_of(metadata.thumbnail->format);
    event.thumbnail_width = metadata.thumbnail->width;
    event.thumbnail_height = metadata.thumbnail->height;
    keep_or_warn(keep, metadata.thumbnail->bytes, event.thumbnail_type, "the picture", event.thumbnail_blob, warnings);
  }
  event.warnings = fitting(warnings, kMaxWarningBytes, "", nullptr);
}

// Whether the file is another one than the row tells of.
bool differs(const Json& row, const Piece& piece, int64_t modified_us) {
  const auto size = integer_member(row, "size");
  if (size && static_cast<uint64_t>(*size) != piece.file_bytes) return true;
  const auto modified = number_member(row, "modified");
  return modified && modified_us != 0 && std::abs(*modified - static_cast<double>(modified_us) / 1e6) > kSameTimeS;
}

}  // namespace

Result<schema::JobMetadataReadT> read_job_file(const JobFileSource& given, const JobFile& file, const KeepBlob& keep) {
  JobFileSource source = given;
  if (!source.username.empty()) {
    if (auto done = log_in(source); !done) return done.error();
  }
  const std::string url = source.moonraker_url + "/server/files/gcodes/" + percent_encode_path(file.filename);
  GcodeEndsOptions options;
  auto first = fetch(source, url, 0, options.piece_bytes);
  if (!first) return first.error();
  if (first->file_bytes == 0) return make_error(Errc::kMalformed, "the file is empty");
  GcodeEnds ends(first->file_bytes, options);
  if (auto added = ends.add(first->offset, first->bytes); !added) return added.error();
  for (int pieces = 1; pieces < kMaxPieces; ++pieces) {
    const auto range = ends.wanted();
    if (!range) break;
    const auto piece = fetch(source, url, range->offset, range->length);
    if (!piece) return piece.error();
    if (piece->file_bytes != first->file_bytes || piece->modified != first->modified) {
      return make_error(Errc::kUnavailable, "the file changed while it was read");
    }
    if (auto added = ends.add(piece->offset, piece->bytes); !added) return added.error();
  }
  const auto metadata = ends.finish();
  if (!metadata) return metadata.error();

  schema::JobMetadataReadT event;
  event.job_id = file.job_id;
  event.filename = file.filename;
  event.source = "file";
  event.partial = metadata->partial;
  event.file_bytes = first->file_bytes;
  event.file_modified_us = to_unix_us(parse_http_date(first->modified).value_or(WallTime{}));
  JsonReader reader(Envelope::kMaxBytes);
  if (const auto row = reader.parse(file.metadata_json)) event.replaced = differs(*row, *first, event.file_modified_us);
  tell_values(*metadata, event);
  tell_extruders(*metadata, event);
  tell_large(*metadata, keep, event);
  return event;
}

schema::JobMetadataReadT summary_of(const JobFile& file) {
  schema::JobMetadataReadT event;
  event.job_id = file.job_id;
  event.filename = file.filename;
  event.source = "moonraker";
  event.partial = true;
  JsonReader reader(Envelope::kMaxBytes);
  const auto row = reader.parse(file.metadata_json);
  if (!row) return event;
  const auto number = [&](std::string_view name) { return number_member(*row, name); };
  event.file_bytes = static_cast<uint64_t>(std::max<int64_t>(0, integer_member(*row, "size").value_or(0)));
  event.file_modified_us = std::llround(number("modified").value_or(0) * 1e6);
  event.slicer_name = cut(std::string(text_member(*row, "slicer").value_or("")));
  event.slicer_version = cut(std::string(text_member(*row, "slicer_version").value_or("")));
  if (event.slicer_name == "Unknown") event.slicer_name.clear();  // Moonraker's word for what it does not know
  if (event.slicer_version == "?") event.slicer_version.clear();
  event.estimated_time_s = number("estimated_time");
  event.layer_height = number("layer_height");
  event.first_layer_height = number("first_layer_height");
  if (const auto layers = integer_member(*row, "layer_count"); layers && *layers >= 0 && *layers < INT32_MAX) {
    event.layer_count = static_cast<int32_t>(*layers);
  }
  event.object_height = number("object_height");
  event.first_layer_nozzle_temp = number("first_layer_extr_temp");
  event.chamber_temp = number("chamber_temp");
  event.total_filament_used_mm = number("filament_total");
  event.total_filament_used_g = number("filament_weight_total");
  return event;
}

}  // namespace millrace
