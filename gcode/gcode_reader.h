// SPDX-License-Identifier: Apache-2.0
// Reads a whole G-code file, piece by piece, and says what it says of itself.  What is kept is bounded by GcodeLimits,
// however large the file is and whatever it holds.  One thread.
//
//   GcodeReader reader;
//   while (...) reader.add(piece);
//   const auto metadata = reader.finish();
#pragma once

#include <string>
#include <string_view>

#include "bus/result.h"
#include "gcode/bgcode_reader.h"
#include "gcode/facts.h"
#include "gcode/metadata.h"
#include "gcode/text_reader.h"

namespace millrace {

class GcodeReader {
 public:
  explicit GcodeReader(const GcodeLimits& limits = {});
  GcodeReader(const GcodeReader&) = delete;
  GcodeReader& operator=(const GcodeReader&) = delete;

  // The next bytes of the file, as many as come.
  void add(std::string_view piece);
  // The bytes added next are further on in the file; the result is then partial.
  void gap();

  // Call once, at the end.  kMalformed when this is no G-code, with what it looks like; kIncompatible for binary G-code
  // of another version.
  Result<GcodeMetadata> finish();

  // Whether what was added so far ends within a picture or settings, or before the first command.
  bool unfinished() const;
  bool has_layers() const { return facts_.layer_marks() != 0; }
  bool is_binary() const { return kind_ == Kind::kBinary; }

 private:
  enum class Kind : uint8_t { kUnknown, kText, kBinary };

  void add_text(std::string_view piece);
  Result<void> check_text() const;

  GcodeLimits limits_;
  GcodeFacts facts_;
  TextReader text_;
  BgcodeReader binary_;
  Kind kind_ = Kind::kUnknown;
  std::string first_;  // the first bytes, until they show what this is
  uint64_t read_ = 0;
  bool archive_ = false;
  bool zero_bytes_ = false;  // among the first ones
};

}  // namespace millrace
