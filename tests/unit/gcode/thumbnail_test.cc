// SPDX-License-Identifier: Apache-2.0
#include "gcode/thumbnail.h"

#include <gmock/gmock.h>

#include "tests/unit/gcode/gcode_fixture.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using testing::jpg;
using testing::metadata_of;
using testing::png;
using testing::qoi;
using testing::thumbnail;

std::string warning_of(const GcodeMetadata& data) { return data.warnings.empty() ? "" : data.warnings.front(); }

TEST(Thumbnail, TheLargestIsKept) {
  const auto data = metadata_of(thumbnail(png(16, 16)) + thumbnail(png(300, 200)) + thumbnail(png(32, 32)) + "G28\n");
  ASSERT_TRUE(data.thumbnail);
  EXPECT_EQ(data.thumbnail->width, 300u);
  EXPECT_EQ(data.thumbnail->height, 200u);
  EXPECT_EQ(data.thumbnail->format, "PNG");
  EXPECT_EQ(data.thumbnail->bytes, png(300, 200));
}

TEST(Thumbnail, JpgAndQoiAreReadWhateverTheirWord) {
  EXPECT_EQ(metadata_of(thumbnail(jpg(160, 120), "thumbnail_JPG") + "G28\n").thumbnail->format, "JPG");
  const auto data = metadata_of(thumbnail(qoi(64, 48), "thumbnail_QOI") + "G28\n");
  EXPECT_EQ(data.thumbnail->format, "QOI");
  EXPECT_EQ(data.thumbnail->height, 48u);
  const auto creality = metadata_of(thumbnail(jpg(96, 95), "png", "96*95") + "G28\n");
  EXPECT_EQ(creality.thumbnail->format, "JPG");
  EXPECT_EQ(creality.thumbnail->height, 95u);
}

TEST(Thumbnail, SizeIsThatOfTheImageNotOfTheHeader) {
  EXPECT_EQ(metadata_of(thumbnail(png(7, 5), "thumbnail", "300x300") + "G28\n").thumbnail->width, 7u);
}

struct Damage {
  const char* name;
  std::string text;
  const char* says;
};

class BrokenThumbnail : public ::testing::TestWithParam<Damage> {};

TEST_P(BrokenThumbnail, IsLeftOutAndNamed) {
  const auto data = metadata_of(thumbnail(png(4, 4)) + GetParam().text + "G28\n");
  ASSERT_TRUE(data.thumbnail);
  EXPECT_EQ(data.thumbnail->width, 4u);
  EXPECT_THAT(warning_of(data), HasSubstr(GetParam().says));
  EXPECT_THAT(warning_of(data), HasSubstr("9x9"));
}

std::string flipped(std::string bytes, size_t at) {
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  return bytes;
}

INSTANTIATE_TEST_SUITE_P(
    Damages, BrokenThumbnail,
    ::testing::Values(Damage{"no_base64", "; thumbnail begin 9x9 4\n; a*b?\n; thumbnail end\n",
                             "neither PNG nor JPG nor QOI"},
                      Damage{"another_format", thumbnail("GIF89a"), "neither PNG nor JPG nor QOI"},
                      Damage{"cut_png", thumbnail(png(9, 9).substr(0, 40)), "a PNG that is cut off"},
                      Damage{"flipped_png", thumbnail(flipped(png(9, 9), 20)), "a wrong checksum in the PNG"},
                      Damage{"cut_jpg", thumbnail(jpg(9, 9).substr(0, 20)), "a JPG that is cut off"},
                      Damage{"cut_qoi", thumbnail(qoi(9, 9).substr(0, 20)), "a QOI that is cut off"},
                      Damage{"no_pixels", thumbnail(png(0, 9)), "an image of 0x9 pixels"},
                      Damage{"no_end", "; thumbnail begin 9x9 4\n; AAAA\n", "its end is missing"}),
    [](const auto& info) { return info.param.name; });

TEST(Thumbnail, OneThatNeverEndsDoesNotSwallowTheFile) {
  const auto data = metadata_of("; thumbnail begin 9x9 4\n; AAAA\nG28\n; layer_height = 0.2\n");
  EXPECT_EQ(data.layer_height, 0.2);
}

TEST(Thumbnail, OneThatIsTooLargeIsNamed) {
  GcodeLimits limits;
  limits.max_thumbnail_bytes = 60;
  const auto data = metadata_of(thumbnail(png(9, 9)) + "G28\n", limits);
  EXPECT_FALSE(data.thumbnail);
  EXPECT_THAT(warning_of(data), HasSubstr("larger than 60 bytes"));
}

TEST(Base64, PaddingAndBlanksAreRead) {
  EXPECT_EQ(base64_decoded("aGVs bG8="), "hello");
  EXPECT_EQ(base64_decoded("aGVsbG8"), "hello");
  EXPECT_EQ(base64_decoded(""), "");
}

TEST(Base64, WhatIsNoneIsRefused) {
  EXPECT_EQ(base64_decoded("a"), std::nullopt);
  EXPECT_EQ(base64_decoded("aG=s"), std::nullopt);
  EXPECT_EQ(base64_decoded("a-_b"), std::nullopt);
  EXPECT_EQ(base64_decoded("aG==="), std::nullopt);
}

}  // namespace
}  // namespace millrace
