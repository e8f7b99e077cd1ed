// SPDX-License-Identifier: Apache-2.0
#include "gcode/thumbnail.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bus/crc32.h"
#include "gcode/text_values.h"

namespace millrace {
namespace {

uint32_t big_endian(std::string_view bytes, size_t offset, size_t count) {
  uint32_t number = 0;
  for (size_t i = 0; i < count; ++i) number = number << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return number;
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

struct ImageSize {
  uint32_t width = 0;
  uint32_t height = 0;
};

Error broken(std::string what) { return make_error(Errc::kMalformed, std::move(what)); }

constexpr std::string_view kPng = "\x89PNG\r\n\x1a\n";

// PNG specification (third edition) 5: chunks of length, type, data and CRC, IHDR first and IEND last.
Result<ImageSize> png_size(std::string_view bytes) {
  constexpr size_t kAround = 12;  // length, type, CRC
  constexpr size_t kHeader = 13;
  std::optional<ImageSize> size;
  for (size_t at = kPng.size(); bytes.size() - at >= kAround;) {
    const size_t length = big_endian(bytes, at, 4);
    if (length > bytes.size() - at - kAround) break;
    const auto type = bytes.substr(at + 4, 4);
    if (crc32_of(bytes.substr(at + 4, 4 + length)) != big_endian(bytes, at + 8 + length, 4)) {
      return broken("a wrong checksum in the PNG");
    }
    if (!size) {
      if (type != "IHDR" || length != kHeader) return broken("a PNG without its header");
      size = ImageSize{big_endian(bytes, at + 8, 4), big_endian(bytes, at + 12, 4)};
    }
    if (type == "IEND") return *size;
    at += kAround + length;
  }
  return broken("a PNG that is cut off");
}

// ITU-T T.81 B.1: segments of marker and length; the frame header (SOF, not DHT, JPG or DAC) tells the size.
Result<ImageSize> jpg_size(std::string_view bytes) {
  constexpr std::string_view kEnd = "\xff\xd9";
  if (trimmed(bytes).size() < 4 || bytes.rfind(kEnd) == std::string_view::npos) return broken("a JPG that is cut off");
  for (size_t at = 2; bytes.size() - at >= 4;) {
    if (static_cast<unsigned char>(bytes[at]) != 0xFF) return broken("a JPG whose segments do not follow one another");
    const auto marker = static_cast<unsigned char>(bytes[at + 1]);
    if (marker == 0xFF) {
      ++at;  // fill byte
      continue;
    }
    const size_t length = big_endian(bytes, at + 2, 2);
    if (length < 2 || length > bytes.size() - at - 2) break;
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
      if (length < 7) break;
      return ImageSize{big_endian(bytes, at + 7, 2), big_endian(bytes, at + 5, 2)};
    }
    if (marker == 0xDA) break;  // the picture itself without a frame header
    at += 2 + length;
  }
  return broken("a JPG without its size");
}

// QOI specification 1.0: header of 14 bytes, end mark of seven zeros and a one.
Result<ImageSize> qoi_size(std::string_view bytes) {
  constexpr size_t kHeader = 14;
  constexpr std::string_view kEnd("\0\0\0\0\0\0\0\1", 8);
  if (bytes.size() < kHeader + kEnd.size() || bytes.substr(bytes.size() - kEnd.size()) != kEnd) {
    return broken("a QOI that is cut off");
  }
  return ImageSize{big_endian(bytes, 4, 4), big_endian(bytes, 8, 4)};
}

bool begins_with(std::string_view text, std::string_view what) { return text.substr(0, what.size()) == what; }

}  // namespace

std::optional<std::string> base64_decoded(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  int count = 0;
  size_t padding = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    const int value = base64_value(c);
    if (value < 0 || padding != 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    if (++count < 4) continue;
    for (int shift = 16; shift >= 0; shift -= 8) bytes += static_cast<char>(bits >> shift & 0xFF);
    count = 0;
    bits = 0;
  }
  if (count == 1 || padding > 2) return std::nullopt;
  if (count >= 2) bytes += static_cast<char>(bits >> (count == 2 ? 4 : 10) & 0xFF);
  if (count == 3) bytes += static_cast<char>(bits >> 2 & 0xFF);
  return bytes;
}

Result<GcodeThumbnail> checked_image(std::string bytes) {
  constexpr uint32_t kMostPixels = 16384;  // on a side
  Result<ImageSize> size = broken("neither PNG nor JPG nor QOI");
  GcodeThumbnail image;
  if (begins_with(bytes, kPng)) {
    image.format = "PNG";
    size = png_size(bytes);
  } else if (begins_with(bytes, "\xff\xd8\xff")) {
    image.format = "JPG";
    size = jpg_size(bytes);
  } else if (begins_with(bytes, "qoif")) {
    image.format = "QOI";
    size = qoi_size(bytes);
  }
  if (!size) return size.error();
  if (size->width == 0 || size->height == 0 || size->width > kMostPixels || size->height > kMostPixels) {
    return broken(fmt::format("an image of {}x{} pixels", size->width, size->height));
  }
  image.width = size->width;
  image.height = size->height;
  image.bytes = std::move(bytes);
  return image;
}

void offer_thumbnail(GcodeFacts& facts, const GcodeLimits& limits, const std::string& name, std::string bytes) {
  auto image = checked_image(std::move(bytes));
  if (!image) {
    if (facts.warnings.size() < limits.max_warnings) {
      facts.warnings.push_back(fmt::format("{} is left out: {}", name, image.error().context));
    }
    return;
  }
  const auto rank = [](const GcodeThumbnail& it) { return std::pair{uint64_t{it.width} * it.height, it.bytes.size()}; };
  if (!facts.thumbnail || rank(*facts.thumbnail) < rank(*image)) facts.thumbnail = std::move(*image);
}

bool ThumbnailLines::begins(std::string_view comment) {
  // "thumbnail begin WxH bytes", "thumbnail_JPG begin ...", and Creality's "png begin W*H bytes ...".
  const size_t space = comment.find(' ');
  if (space == std::string_view::npos || !begins_with(comment.substr(space), " begin")) return false;
  const auto word = comment.substr(0, space);
  if (!begins_with(word, "thumbnail") && word != "png" && word != "jpg" && word != "qoi") return false;
  constexpr size_t kMostWord = 32;
  const auto rest = trimmed(comment.substr(space + 6));
  if (word.size() > kMostWord) return false;
  if (open_) cut_off();
  open_ = true;
  too_large_ = false;
  name_ = fmt::format("{} {}", word, rest.substr(0, std::min(rest.find(' '), kMostWord)));
  end_ = fmt::format("{} end", word);
  text_.clear();
  return true;
}

void ThumbnailLines::line(std::string_view comment) {
  if (begins_with(comment, end_)) {
    open_ = false;
    auto bytes = base64_decoded(text_);
    if (too_large_ || (bytes && bytes->size() > limits_.max_thumbnail_bytes)) {
      if (facts_.warnings.size() < limits_.max_warnings) {
        facts_.warnings.push_back(
            fmt::format("{} is left out: larger than {} bytes", name_, limits_.max_thumbnail_bytes));
      }
    } else {
      offer_thumbnail(facts_, limits_, name_, bytes ? std::move(*bytes) : std::string());
    }
    text_.clear();
    return;
  }
  if (begins(comment)) return;  // the end of the one before is missing
  if (text_.size() + comment.size() > limits_.max_thumbnail_bytes / 3 * 4 + 4) {
    too_large_ = true;
  } else {
    text_ += comment;
  }
}

void ThumbnailLines::cut_off() {
  open_ = false;
  text_.clear();
  if (facts_.warnings.size() < limits_.max_warnings) {
    facts_.warnings.push_back(fmt::format("{} is left out: its end is missing", name_));
  }
}

}  // namespace millrace
