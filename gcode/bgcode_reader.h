// SPDX-License-Identifier: Apache-2.0
// Binary G-code (.bgcode): the metadata and pictures before the packed commands, which are passed over, their checksums
// checked.  The format is libbgcode's specification, version 1, all numbers little-endian:
//
//   file    "GCDE", u32 version, u16 checksum type (0 none, 1 CRC-32)
//   block   u16 type, u16 compression, u32 size [, u32 packed size], parameters, data [, u32 checksum of all before]
//   types   0 file metadata, 1 G-code, 2 slicer, 3 printer, 4 print metadata, 5 thumbnail
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bus/result.h"
#include "gcode/facts.h"

namespace millrace {

inline constexpr std::string_view kBgcodeMagic = "GCDE";

class BgcodeReader {
 public:
  BgcodeReader(GcodeFacts& facts, const GcodeLimits& limits) : facts_(facts), limits_(limits) {}

  void add(std::string_view piece);
  // Whether everything before the commands has been read.
  bool metadata_complete() const { return metadata_complete_; }
  // kIncompatible for another version, kMalformed where no block of metadata could be read.  `whole`: the file ends
  // here.
  Result<void> finish(bool whole);

 private:
  enum class State : uint8_t { kFileHeader, kBlockHeader, kBlock, kPassOver, kChecksum, kStopped };
  enum Type : uint16_t { kFileMetadata, kGcode, kSlicerMetadata, kPrinterMetadata, kPrintMetadata, kThumbnail, kTypes };

  // What `buffer_` must hold before the state can go on.
  size_t wanted() const;
  void advance();
  void read_file_header();
  void read_block_header();
  void pass_over(std::string_view& piece);
  void read_block();
  void read_metadata(std::string_view ini);
  void check_passed_over();
  void warn(std::string text);
  void stop(const std::string& why);
  std::string_view name_of_block() const;
  size_t parameter_bytes() const { return type_ == kThumbnail ? 6 : 2; }

  GcodeFacts& facts_;
  const GcodeLimits& limits_;
  State state_ = State::kFileHeader;
  std::string buffer_;
  std::optional<Error> error_;
  bool checksums_ = false;
  bool metadata_complete_ = false;
  uint64_t blocks_read_ = 0;
  uint64_t bad_gcode_blocks_ = 0;

  // The block that is being read.
  std::string header_;
  uint16_t type_ = 0;
  uint16_t compression_ = 0;
  uint32_t size_ = 0;
  uint32_t packed_size_ = 0;
  uint64_t left_ = 0;  // of what is passed over
  uint32_t checksum_ = 0;
};

}  // namespace millrace
