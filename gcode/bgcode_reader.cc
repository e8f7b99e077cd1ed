// SPDX-License-Identifier: Apache-2.0
#include "gcode/bgcode_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bus/crc32.h"
#include "gcode/heatshrink.h"
#include "gcode/inflate.h"
#include "gcode/object_lists.h"
#include "gcode/text_values.h"
#include "gcode/thumbnail.h"

namespace millrace {
namespace {

constexpr size_t kFileHeaderBytes = 10;
constexpr size_t kShortHeaderBytes = 8;
constexpr size_t kLongHeaderBytes = 12;  // with the packed size
constexpr size_t kChecksumBytes = 4;
constexpr uint32_t kVersion = 1;

uint32_t little_endian(std::string_view bytes, size_t offset, size_t count) {
  uint32_t number = 0;
  for (size_t i = count; i-- > 0;) number = number << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return number;
}

std::optional<std::string> unpacked(std::string_view packed, size_t size, uint16_t compression) {
  constexpr unsigned kLookaheadBits = 4;
  switch (compression) {
    case 0:
      return std::string(packed);
    case 1:
      return inflated(packed, size);
    case 2:
      return heatshrink_decoded(packed, size, 11, kLookaheadBits);
    case 3:
      return heatshrink_decoded(packed, size, 12, kLookaheadBits);
    default:
      return std::nullopt;
  }
}

}  // namespace

void BgcodeReader::add(std::string_view piece) {
  while (!piece.empty() && state_ != State::kStopped) {
    if (state_ == State::kPassOver) {
      pass_over(piece);
      continue;
    }
    const size_t missing = wanted() - buffer_.size();
    buffer_ += piece.substr(0, missing);
    piece.remove_prefix(std::min(missing, piece.size()));
    if (buffer_.size() == wanted()) advance();
  }
}

size_t BgcodeReader::wanted() const {
  switch (state_) {
    case State::kFileHeader:
      return kFileHeaderBytes;
    case State::kBlockHeader: {
      const bool packed = buffer_.size() >= kShortHeaderBytes && little_endian(buffer_, 2, 2) != 0;
      return packed ? kLongHeaderBytes : kShortHeaderBytes;
    }
    case State::kBlock:
      return parameter_bytes() + packed_size_ + (checksums_ ? kChecksumBytes : 0);
    case State::kChecksum:
      return kChecksumBytes;
    case State::kPassOver:
    case State::kStopped:
      break;
  }
  return 0;
}

void BgcodeReader::advance() {
  switch (state_) {
    case State::kFileHeader:
      read_file_header();
      break;
    case State::kBlockHeader:
      read_block_header();
      break;
    case State::kBlock:
      read_block();
      break;
    case State::kChecksum:
      check_passed_over();
      break;
    case State::kPassOver:
    case State::kStopped:
      break;
  }
  buffer_.clear();
}

void BgcodeReader::read_file_header() {
  const uint32_t version = little_endian(buffer_, 4, 4);
  const uint32_t checksum_type = little_endian(buffer_, 8, 2);
  state_ = State::kBlockHeader;
  if (version != kVersion) {
    error_ = make_error(Errc::kIncompatible,
                        fmt::format("binary G-code of version {}: version {} is known", version, kVersion));
    state_ = State::kStopped;
  } else if (checksum_type > 1) {
    stop(fmt::format("its checksums are of the unknown type {}", checksum_type));
  }
  checksums_ = checksum_type == 1;
}

void BgcodeReader::read_block_header() {
  type_ = static_cast<uint16_t>(little_endian(buffer_, 0, 2));
  compression_ = static_cast<uint16_t>(little_endian(buffer_, 2, 2));
  size_ = little_endian(buffer_, 4, 4);
  packed_size_ = compression_ == 0 ? size_ : little_endian(buffer_, 8, 4);
  header_ = buffer_;
  if (type_ >= kTypes) {
    stop(fmt::format("it has a block of the unknown type {}", type_));
    return;
  }
  if (type_ == kGcode) metadata_complete_ = true;
  const size_t most = type_ == kThumbnail ? limits_.max_thumbnail_bytes : limits_.max_block_bytes;
  const bool too_large = size_ > most || packed_size_ > most;
  if (type_ != kGcode && too_large) warn(fmt::format("{} is left out: larger than {} bytes", name_of_block(), most));
  if (type_ != kGcode && !too_large) {
    state_ = State::kBlock;
    return;
  }
  state_ = State::kPassOver;
  left_ = parameter_bytes() + uint64_t{packed_size_};
  checksum_ = crc32_of(header_);
}

void BgcodeReader::pass_over(std::string_view& piece) {
  const auto part = piece.substr(0, left_);
  if (checksums_) checksum_ = crc32_of(part, checksum_);
  left_ -= part.size();
  piece.remove_prefix(part.size());
  if (left_ == 0) state_ = checksums_ ? State::kChecksum : State::kBlockHeader;
}

void BgcodeReader::check_passed_over() {
  state_ = State::kBlockHeader;
  if (little_endian(buffer_, 0, kChecksumBytes) != checksum_) ++bad_gcode_blocks_;
}

void BgcodeReader::read_block() {
  state_ = State::kBlockHeader;
  const size_t covered = parameter_bytes() + packed_size_;
  const auto bytes = std::string_view(buffer_).substr(0, covered);
  if (checksums_ && crc32_of(bytes, crc32_of(header_)) != little_endian(buffer_, covered, kChecksumBytes)) {
    warn(fmt::format("{} is left out: its checksum is wrong", name_of_block()));
    return;
  }
  const uint32_t encoding = little_endian(buffer_, 0, 2);
  auto data = unpacked(bytes.substr(parameter_bytes()), size_, compression_);
  if (!data || (type_ != kThumbnail && encoding != 0)) {
    warn(fmt::format("{} is left out: it does not unpack (compression {}, encoding {})", name_of_block(), compression_,
                     encoding));
    return;
  }
  ++blocks_read_;
  if (type_ == kThumbnail) {
    const auto name = fmt::format("thumbnail {}x{}", little_endian(buffer_, 2, 2), little_endian(buffer_, 4, 2));
    offer_thumbnail(facts_, limits_, name, std::move(*data));
  } else {
    read_metadata(*data);
  }
}

// Lines of key=value.
void BgcodeReader::read_metadata(std::string_view ini) {
  const auto rank = type_ == kSlicerMetadata ? GcodeSettings::kConfig : GcodeSettings::kHeader;
  while (!ini.empty()) {
    const auto line = ini.substr(0, ini.find('\n'));
    ini.remove_prefix(std::min(line.size() + 1, ini.size()));
    const size_t equals = line.find('=');
    constexpr size_t kMostKey = 128;
    if (equals == std::string_view::npos || equals == 0 || equals > kMostKey) continue;
    const auto key = trimmed(line.substr(0, equals));
    const auto value = trimmed(line.substr(equals + 1));
    facts_.settings.set(key, value, rank);
    if (key == "objects_info") read_objects_info(value, facts_.listed);
    if (type_ == kFileMetadata && key == "Producer") {
      const auto [name, version] = name_and_version(value);
      facts_.slicer_name = name.substr(0, 64);
      facts_.slicer_version = version.substr(0, 64);
    }
  }
}

Result<void> BgcodeReader::finish(bool whole) {
  facts_.dialect = GcodeDialect::kSlic3r;
  facts_.body_read = false;
  if (error_) return *error_;
  if (bad_gcode_blocks_ != 0) warn(fmt::format("{} blocks of G-code have a wrong checksum", bad_gcode_blocks_));
  const bool between_blocks = state_ == State::kBlockHeader && buffer_.empty();
  if (whole && state_ != State::kStopped && !between_blocks) warn("the file ends within a block");
  if (blocks_read_ == 0) {
    const std::string why = facts_.warnings.empty() ? "it ends before that" : facts_.warnings.front();
    return make_error(Errc::kMalformed, "binary G-code without metadata that can be read: " + why);
  }
  return {};
}

void BgcodeReader::warn(std::string text) {
  if (facts_.warnings.size() < limits_.max_warnings) facts_.warnings.push_back(std::move(text));
}

void BgcodeReader::stop(const std::string& why) {
  warn("the rest of the file is left out: " + why);
  state_ = State::kStopped;
}

std::string_view BgcodeReader::name_of_block() const {
  constexpr std::array<std::string_view, kTypes> kNames = {"file metadata",    "G-code",         "slicer metadata",
                                                           "printer metadata", "print metadata", "a thumbnail"};
  return type_ < kTypes ? kNames[type_] : "a block";
}

}  // namespace millrace
