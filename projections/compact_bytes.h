// SPDX-License-Identifier: Apache-2.0
// Small numbers in few bytes, for the records of views: LEB128 and zigzag.  Reading never goes beyond the end.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace millrace {

class CompactWriter {
 public:
  void byte(uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void unsigned_number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) byte(static_cast<uint8_t>(value | 0x80));
    byte(static_cast<uint8_t>(value));
  }
  void signed_number(int64_t value) {
    unsigned_number(static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63));
  }
  void real(double value) {
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes_.append(raw, sizeof value);
  }
  void text(std::string_view value) {
    unsigned_number(value.size());
    bytes_.append(value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// After a read beyond the end every read gives 0 and ok() is false.
class CompactReader {
 public:
  explicit CompactReader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return ok_; }
  bool at_end() const { return at_ == end_; }
  uint8_t byte() { return at_ == end_ ? fail() : static_cast<uint8_t>(*at_++); }
  uint64_t unsigned_number() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      value |= static_cast<uint64_t>(next & 0x7f) << shift;
      if (next < 0x80) return value;
    }
    return fail();
  }
  int64_t signed_number() {
    const uint64_t value = unsigned_number();
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
  }
  double real() {
    double value = 0;
    if (static_cast<size_t>(end_ - at_) < sizeof value) return fail();
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::string_view text() {
    const uint64_t size = unsigned_number();
    if (size > static_cast<size_t>(end_ - at_)) {
      fail();
      return {};
    }
    const std::string_view value(at_, size);
    at_ += size;
    return value;
  }

 private:
  uint8_t fail() {
    ok_ = false;
    at_ = end_;
    return 0;
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace millrace
