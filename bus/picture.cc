// SPDX-License-Identifier: Apache-2.0
// Sources: PNG 3rd edition 5.2 and 11.2.1; ITU-T T.81 B.1.1 and B.2.2; RFC 9649 (WebP) sections 2.4 to 2.7, RFC
// 6386 9.1.
#include "bus/picture.h"

namespace millrace {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kPng = "\x89PNG\r\n\x1a\n"sv;

uint32_t byte_at(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }
uint32_t big16(std::string_view bytes, size_t at) { return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1); }
uint32_t big32(std::string_view bytes, size_t at) { return big16(bytes, at) << 16 | big16(bytes, at + 2); }
uint32_t little16(std::string_view bytes, size_t at) { return byte_at(bytes, at) | byte_at(bytes, at + 1) << 8; }
uint32_t little24(std::string_view bytes, size_t at) { return little16(bytes, at) | byte_at(bytes, at + 2) << 16; }

std::optional<PictureHeader> sized(std::string_view type, uint32_t width, uint32_t height) {
  if (width == 0 || height == 0) return std::nullopt;
  return PictureHeader{type, width, height};
}

std::optional<PictureHeader> png_header(std::string_view bytes) {
  if (bytes.size() < 24 || bytes.substr(12, 4) != "IHDR") return std::nullopt;
  return sized("image/png", big32(bytes, 16), big32(bytes, 20));
}

// SOF0 to SOF15 without DHT, JPG and DAC, which share their numbers.
bool is_start_of_frame(uint32_t marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

std::optional<PictureHeader> jpeg_header(std::string_view bytes) {
  size_t at = 2;
  while (at + 4 <= bytes.size() && byte_at(bytes, at) == 0xff) {
    const uint32_t marker = byte_at(bytes, at + 1);
    if (marker == 0xff) {  // a fill byte
      ++at;
      continue;
    }
    if (marker == 0xd8 || marker == 0xd9 || marker == 0xda || (marker >= 0xd0 && marker <= 0xd7)) return std::nullopt;
    if (is_start_of_frame(marker)) {
      if (at + 9 > bytes.size()) return std::nullopt;
      return sized("image/jpeg", big16(bytes, at + 7), big16(bytes, at + 5));
    }
    at += 2 + big16(bytes, at + 2);
  }
  return std::nullopt;
}

std::optional<PictureHeader> webp_header(std::string_view bytes) {
  if (bytes.size() < 30) return std::nullopt;
  const std::string_view kind = bytes.substr(12, 4);
  if (kind == "VP8X") return sized("image/webp", little24(bytes, 24) + 1, little24(bytes, 27) + 1);
  if (kind == "VP8L" && byte_at(bytes, 20) == 0x2f) {
    const uint32_t packed = little16(bytes, 21) | little16(bytes, 23) << 16;
    return sized("image/webp", (packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1);
  }
  if (kind == "VP8 " && bytes.substr(23, 3) == "\x9d\x01\x2a"sv) {
    return sized("image/webp", little16(bytes, 26) & 0x3fff, little16(bytes, 28) & 0x3fff);
  }
  return std::nullopt;
}

}  // namespace

std::optional<PictureHeader> picture_header(std::string_view bytes) {
  if (bytes.starts_with(kPng)) return png_header(bytes);
  if (bytes.starts_with("\xff\xd8\xff"sv)) return jpeg_header(bytes);
  if (bytes.size() >= 12 && bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP") return webp_header(bytes);
  return std::nullopt;
}

}  // namespace millrace
