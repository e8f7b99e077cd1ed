// SPDX-License-Identifier: Apache-2.0
#include "gcode/gcode_reader.h"

#include "gcode/normalise.h"

namespace millrace {
namespace {

constexpr uint64_t kLookedAt = 64u << 10;  // for zero bytes, which no text has

}  // namespace

GcodeReader::GcodeReader(const GcodeLimits& limits)
    : limits_(limits), facts_(limits_), text_(facts_, limits_), binary_(facts_, limits_) {}

void GcodeReader::add(std::string_view piece) {
  if (kind_ == Kind::kUnknown) {
    first_ += piece;
    if (first_.size() < kBgcodeMagic.size()) return;
    kind_ = first_.substr(0, kBgcodeMagic.size()) == kBgcodeMagic ? Kind::kBinary : Kind::kText;
    piece = first_;
  }
  if (kind_ == Kind::kBinary) {
    binary_.add(piece);
  } else {
    add_text(piece);
  }
  if (!first_.empty()) std::string().swap(first_);
}

void GcodeReader::add_text(std::string_view piece) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (read_ == 0 && piece.substr(0, kByteOrderMark.size()) == kByteOrderMark)
    piece.remove_prefix(kByteOrderMark.size());
  if (read_ == 0) archive_ = piece.substr(0, 4) == "PK\3\4" || piece.substr(0, 2) == "\x1f\x8b";
  if (read_ < kLookedAt && piece.substr(0, kLookedAt).find('\0') != std::string_view::npos) zero_bytes_ = true;
  read_ += piece.size();
  text_.add(piece);
}

void GcodeReader::gap() {
  facts_.partial = true;
  text_.gap();
}

bool GcodeReader::unfinished() const {
  if (kind_ == Kind::kBinary) return !binary_.metadata_complete();
  return text_.unfinished() || facts_.commands == 0;
}

Result<GcodeMetadata> GcodeReader::finish() {
  if (kind_ == Kind::kUnknown) add_text(first_);
  if (kind_ == Kind::kBinary) {
    if (auto read = binary_.finish(!facts_.partial); !read) return read.error();
  } else {
    text_.finish();
    if (auto checked = check_text(); !checked) return checked.error();
  }
  return normalised(facts_, limits_);
}

Result<void> GcodeReader::check_text() const {
  if (archive_) {
    return make_error(Errc::kMalformed, "is no G-code but an archive, as .3mf is one: unpack the G-code in it");
  }
  if (zero_bytes_) return make_error(Errc::kMalformed, "is no G-code: it has zero bytes, which text does not have");
  if (facts_.commands == 0 && facts_.slicer_name.empty()) {
    return make_error(Errc::kMalformed,
                      "is no G-code: there is no command such as G1 or M104 and no slicer's name in it");
  }
  return {};
}

}  // namespace millrace
