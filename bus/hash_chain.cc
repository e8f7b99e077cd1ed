// SPDX-License-Identifier: Apache-2.0
#include "bus/hash_chain.h"

#include <cstring>

namespace millrace {
namespace {

constexpr size_t kLinkBytes = 8 + 8 + 3 * 32;

void append_number(std::string& out, uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
}

void append_hash(std::string& out, const Sha256& hash) {
  out.append(reinterpret_cast<const char*>(hash.data()), hash.size());
}

uint64_t number_at(std::string_view bytes, size_t offset) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number = number << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return number;
}

}  // namespace

ChainLink next_link(const Sha256& previous, uint64_t first, uint64_t count, const Sha256& facts,
                    const Sha256& telemetry, Sha256Digester& digester) {
  ChainLink link{first, count, facts, telemetry, {}};
  std::string input;
  append_hash(input, previous);
  append_number(input, first);
  append_number(input, count);
  append_hash(input, facts);
  append_hash(input, telemetry);
  link.link = digester.digest(input);
  return link;
}

std::string encode_link(const ChainLink& link) {
  std::string out;
  append_number(out, link.first);
  append_number(out, link.count);
  append_hash(out, link.facts);
  append_hash(out, link.telemetry);
  append_hash(out, link.link);
  return out;
}

bool decode_link(std::string_view bytes, ChainLink& link) {
  if (bytes.size() != kLinkBytes) return false;
  link.first = number_at(bytes, 0);
  link.count = number_at(bytes, 8);
  std::memcpy(link.facts.data(), bytes.data() + 16, 32);
  std::memcpy(link.telemetry.data(), bytes.data() + 48, 32);
  std::memcpy(link.link.data(), bytes.data() + 80, 32);
  return true;
}

}  // namespace millrace
