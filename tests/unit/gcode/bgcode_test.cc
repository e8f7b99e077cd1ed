// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "gcode/heatshrink.h"
#include "gcode/inflate.h"
#include "tests/unit/gcode/gcode_fixture.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::little_endian;
using testing::metadata_of;
using ::testing::Optional;
using testing::png;

enum Type { kFile = 0, kGcode = 1, kSlicer = 2, kPrinter = 3, kPrint = 4, kThumbnail = 5 };

std::string file_header(uint32_t version = 1) { return "GCDE" + little_endian(version, 4) + little_endian(1, 2); }

std::string block(Type type, std::string_view data, uint32_t compression = 0, size_t unpacked_size = 0) {
  std::string out = little_endian(type, 2) + little_endian(compression, 2);
  out += little_endian(static_cast<uint32_t>(compression == 0 ? data.size() : unpacked_size), 4);
  if (compression != 0) out += little_endian(static_cast<uint32_t>(data.size()), 4);
  out += type == kThumbnail ? little_endian(0, 2) + little_endian(9, 2) + little_endian(8, 2) : little_endian(0, 2);
  out += data;
  return out + little_endian(crc32_of(out), 4);
}

// A zlib stream of stored bytes (RFC 1950, RFC 1951 3.2.4).
std::string stored_zlib(std::string_view bytes) {
  uint32_t a = 1;
  uint32_t b = 0;
  for (const char c : bytes) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  const auto size = static_cast<uint32_t>(bytes.size());
  return "\x78\x01\x01" + little_endian(size, 2) + little_endian(~size & 0xFFFF, 2) + std::string(bytes) +
         testing::big_endian(b << 16 | a, 4);
}

// Bits, most significant first.
std::string packed_bits(const std::string& bits) {
  std::string out((bits.size() + 7) / 8, '\0');
  for (size_t i = 0; i < bits.size(); ++i) {
    if (bits[i] == '1') out[i / 8] = static_cast<char>(out[i / 8] | 0x80 >> i % 8);
  }
  return out;
}

std::string binary(size_t number, int count) {
  std::string out;
  for (int i = count - 1; i >= 0; --i) out += (number >> i & 1) != 0 ? '1' : '0';
  return out;
}

std::string literal(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += "1" + binary(static_cast<unsigned char>(c), 8);
  return out;
}

const std::string kSettings = "filament_type=PLA\nlayer_height=0.2\ntemperature=215\nnozzle_diameter=0.4\n";

std::string whole_file() {
  return file_header() + block(kFile, "Producer=PrusaSlicer 2.8.0+win64\nProduced on=2026-01-02\n") +
         block(kPrinter, "printer_model=MK4\nmax_layer_z=12.2\nobjects_info={\"objects\":[{\"name\":\"a\"}]}\n") +
         block(kThumbnail, png(16, 12)) + block(kThumbnail, png(160, 120)) +
         block(kPrint, "filament used [mm]=986.61\nestimated printing time (normal mode)=32m 6s\n") +
         block(kSlicer, stored_zlib(kSettings), 1, kSettings.size()) + block(kGcode, "packed commands", 3, 400);
}

TEST(Bgcode, MetadataOfAllBlocksAreRead) {
  const auto data = metadata_of(whole_file());
  EXPECT_EQ(data.slicer_name, "PrusaSlicer");
  EXPECT_EQ(data.slicer_version, "2.8.0+win64");
  EXPECT_EQ(data.estimated_time_s, 1926);
  EXPECT_EQ(data.object_height, 12.2);
  EXPECT_EQ(data.total_filament_used_mm, 986.61);
  EXPECT_EQ(data.nozzle_temp, 215);
  EXPECT_EQ(data.settings.at("printer_model"), "MK4");
  EXPECT_THAT(data.objects, Optional(ElementsAre("a")));
  EXPECT_TRUE(data.warnings.empty());
}

TEST(Bgcode, TheLargestPictureIsKept) { EXPECT_EQ(metadata_of(whole_file()).thumbnail->width, 160u); }

TEST(Bgcode, WhatOnlyTheCommandsHoldIsNotKnown) {
  EXPECT_EQ(metadata_of(whole_file()).layer_count, std::nullopt);
  const auto data = metadata_of(file_header() + block(kSlicer, kSettings));
  EXPECT_EQ(data.objects, std::nullopt);
}

TEST(Bgcode, PiecesOfAnySizeGiveTheSame) {
  const std::string file = whole_file();
  for (size_t size : {1, 3, 7, 64, 4096}) {
    GcodeReader reader;
    for (size_t at = 0; at < file.size(); at += size) reader.add(std::string_view(file).substr(at, size));
    const auto data = reader.finish();
    ASSERT_TRUE(data) << size;
    EXPECT_EQ(data->settings, metadata_of(file).settings);
    EXPECT_TRUE(data->warnings.empty());
  }
}

TEST(Bgcode, HeatshrinkOfBothWindowsIsUnpacked) {
  const std::string repeated = "layer_height=0.2\nlayer_";
  // The second "layer_" from 17 bytes before.
  const std::string head = literal("layer_height=0.2\n") + "0";
  const auto small = block(kSlicer, packed_bits(head + binary(16, 11) + binary(5, 4)), 2, repeated.size());
  const auto large = block(kSlicer, packed_bits(head + binary(16, 12) + binary(5, 4)), 3, repeated.size());
  EXPECT_EQ(metadata_of(file_header() + small).layer_height, 0.2);
  EXPECT_EQ(metadata_of(file_header() + large).layer_height, 0.2);
}

TEST(Bgcode, ABlockWithAWrongChecksumIsLeftOutAndNamed) {
  std::string file = whole_file();
  file[file.find("MK4")] = 'X';
  const auto data = metadata_of(file);
  EXPECT_EQ(data.settings.count("printer_model"), 0u);
  EXPECT_EQ(data.nozzle_temp, 215);
  EXPECT_THAT(data.warnings, ElementsAre(HasSubstr("printer metadata is left out: its checksum is wrong")));
}

TEST(Bgcode, DamagedCommandsAreNamed) {
  std::string file = whole_file();
  file[file.find("packed commands")] = 'X';
  EXPECT_THAT(metadata_of(file).warnings, ElementsAre(HasSubstr("1 blocks of G-code have a wrong checksum")));
}

TEST(Bgcode, AFileThatEndsWithinABlockSaysSo) {
  const std::string file = whole_file();
  EXPECT_THAT(metadata_of(file.substr(0, file.size() - 9)).warnings, ElementsAre("the file ends within a block"));
}

TEST(Bgcode, ABlockThatDoesNotUnpackIsNamed) {
  const auto data = metadata_of(whole_file() + block(kSlicer, "no zlib", 1, 100) + block(kPrint, "x", 9, 1));
  EXPECT_THAT(data.warnings, ElementsAre(HasSubstr("slicer metadata is left out: it does not unpack (compression 1"),
                                         HasSubstr("print metadata is left out: it does not unpack (compression 9")));
}

TEST(Bgcode, ALargeBlockIsPassedOverAndNamed) {
  GcodeLimits limits;
  limits.max_block_bytes = 70;
  const auto data = metadata_of(whole_file(), limits);
  EXPECT_THAT(data.warnings, ::testing::Contains(HasSubstr("printer metadata is left out: larger than 70 bytes")));
  EXPECT_EQ(data.slicer_name, "PrusaSlicer");
}

TEST(Bgcode, AnotherVersionIsRefused) {
  GcodeReader reader;
  reader.add(file_header(2) + block(kSlicer, kSettings));
  const auto data = reader.finish();
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().code, Errc::kIncompatible);
  EXPECT_THAT(data.error().context, HasSubstr("version 2"));
}

TEST(Bgcode, WithoutAnyMetadataItIsRefused) {
  for (const std::string& file : {file_header(), file_header() + little_endian(77, 8), std::string("GCDE")}) {
    GcodeReader reader;
    reader.add(file);
    const auto data = reader.finish();
    ASSERT_FALSE(data);
    EXPECT_EQ(data.error().code, Errc::kMalformed);
  }
}

TEST(Heatshrink, BitsThatEndTooEarlyAreRefused) {
  EXPECT_EQ(heatshrink_decoded(packed_bits(literal("ab")), 3, 11, 4), std::nullopt);
  EXPECT_EQ(heatshrink_decoded("", 1, 11, 4), std::nullopt);
  EXPECT_EQ(heatshrink_decoded(packed_bits(literal("ab")), 2, 11, 4), "ab");
}

TEST(Heatshrink, WhatLiesBeforeTheBeginningIsZero) {
  EXPECT_EQ(heatshrink_decoded(packed_bits("0" + binary(9, 11) + binary(1, 4)), 2, 11, 4), std::string("\0\0", 2));
}

TEST(Heatshrink, ARunMayOverlapItself) {
  EXPECT_EQ(heatshrink_decoded(packed_bits(literal("a") + "0" + binary(0, 11) + binary(4, 4)), 6, 11, 4), "aaaaaa");
}

TEST(Inflate, OnlyTheRightSizeIsTaken) {
  EXPECT_EQ(inflated(stored_zlib("hello"), 5), "hello");
  EXPECT_EQ(inflated(stored_zlib("hello"), 4), std::nullopt);
  EXPECT_EQ(inflated(stored_zlib("hello"), 6), std::nullopt);
}

}  // namespace
}  // namespace millrace
