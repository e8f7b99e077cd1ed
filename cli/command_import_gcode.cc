// SPDX-License-Identifier: Apache-2.0
#include "cli/command_import_gcode.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cstdio>

#include "bus/file_io.h"
#include "gcode/gcode_reader.h"
#include "gcode/metadata_json.h"

namespace millrace {
namespace {

Result<GcodeMetadata> read_gcode(const std::filesystem::path& path) {
  constexpr size_t kPiece = 256u << 10;
  std::error_code failed;
  const auto status = std::filesystem::status(path, failed);
  const auto named = [&](Errc code, std::string_view what) {
    return make_error(code, fmt::format("'{}' {}", path.string(), what));
  };
  if (!std::filesystem::exists(status)) return named(Errc::kNotFound, "is not there");
  if (std::filesystem::is_directory(status)) return named(Errc::kMalformed, "is a folder: name one G-code file");
  if (!std::filesystem::is_regular_file(status)) return named(Errc::kMalformed, "is no regular file");
  const auto file = File::open(path, O_RDONLY);
  if (!file) return file.error();
  GcodeReader reader;
  uint64_t offset = 0;
  for (;;) {
    const auto piece = file->read_at(offset, kPiece);
    if (!piece) return piece.error();
    reader.add(*piece);
    offset += piece->size();
    if (piece->size() < kPiece) break;
  }
  if (offset == 0) return named(Errc::kMalformed, "is empty");
  auto metadata = reader.finish();
  if (!metadata) return named(metadata.error().code, metadata.error().context);
  return metadata;
}

Result<void> write_thumbnail(const GcodeMetadata& metadata, const ImportGcodeOptions& options) {
  if (!metadata.thumbnail) {
    return make_error(Errc::kNotFound, fmt::format("'{}' has no picture that could be read", options.file.string()));
  }
  return write_file_durably(options.thumbnail, metadata.thumbnail->bytes);
}

int failed(const Error& error) {
  fmt::print(stderr, "millrace: {}\n", error.context);
  return 1;
}

}  // namespace

int run_import_gcode(const ImportGcodeOptions& options) {
  const auto metadata = read_gcode(options.file);
  if (!metadata) return failed(metadata.error());
  if (std::puts(to_json(*metadata).c_str()) < 0) return 1;
  if (options.thumbnail.empty()) return 0;
  const auto written = write_thumbnail(*metadata, options);
  return written ? 0 : failed(written.error());
}

}  // namespace millrace
