// SPDX-License-Identifier: Apache-2.0
// What a picture's first bytes say about it.  Nothing is decoded: a picture of absurd size is known by its header.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace {

struct PictureHeader {
  std::string_view content_type;  // "image/jpeg", "image/png" or "image/webp"
  uint32_t width = 0;             // pixels; both at least 1
  uint32_t height = 0;
};

// nullopt for bytes that are none of the three.
std::optional<PictureHeader> picture_header(std::string_view bytes);

}  // namespace millrace
