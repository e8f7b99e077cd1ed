// SPDX-License-Identifier: Apache-2.0
// Small files in the manner of each slicer, and what they are made of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bus/crc32.h"
#include "gcode/gcode_reader.h"

namespace millrace::testing {

// Aborts the test when the text is not read.
inline GcodeMetadata metadata_of(std::string_view text, const GcodeLimits& limits = {}) {
  GcodeReader reader(limits);
  reader.add(text);
  return reader.finish().value();
}

inline std::string big_endian(uint32_t number, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(number >> (8 * i) & 0xFF);
  return out;
}

inline std::string little_endian(uint32_t number, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(number >> (8 * i) & 0xFF);
  return out;
}

inline std::string png_chunk(std::string_view type, std::string_view data) {
  const std::string covered = std::string(type) + std::string(data);
  return big_endian(static_cast<uint32_t>(data.size()), 4) + covered + big_endian(crc32_of(covered), 4);
}

// A PNG of that size as far as its structure goes; its pixels are not looked at.
inline std::string png(uint32_t width, uint32_t height) {
  const std::string header = big_endian(width, 4) + big_endian(height, 4) + std::string("\x08\x02\0\0\0", 5);
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + png_chunk("IDAT", "pixels") + png_chunk("IEND", "");
}

inline std::string jpg(uint32_t width, uint32_t height) {
  return "\xff\xd8" + std::string("\xff\xe0\x00\x04xx", 6) + std::string("\xff\xc0\x00\x08\x08", 5) +
         big_endian(height, 2) + big_endian(width, 2) + std::string("\x01\xff\xda\x00\x02pixels\xff\xd9", 13);
}

inline std::string qoi(uint32_t width, uint32_t height) {
  return "qoif" + big_endian(width, 4) + big_endian(height, 4) + std::string("\x03\0", 2) + "pixels" +
         std::string("\0\0\0\0\0\0\0\1", 8);
}

inline std::string base64(std::string_view bytes) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += i + k > bytes.size() ? '=' : kLetters[bits >> (18 - 6 * k) & 63];
  }
  return out;
}

// "; thumbnail begin 2x2 88" and so on, in lines of 76 letters.
inline std::string thumbnail(std::string_view image, const std::string& word = "thumbnail",
                             const std::string& size = "9x9") {
  const std::string text = base64(image);
  std::string out = "; " + word + " begin " + size + " " + std::to_string(text.size()) + "\n";
  for (size_t i = 0; i < text.size(); i += 76) out += "; " + text.substr(i, 76) + "\n";
  return out + "; " + word + " end\n";
}

}  // namespace millrace::testing
