// SPDX-License-Identifier: Apache-2.0
#include "bus/event_group.h"

#include <fmt/format.h>
#include <zlib.h>

#include <bit>
#include <cstring>

namespace millrace {
namespace {

static_assert(std::endian::native == std::endian::little, "the log is written in the machine's own order");

constexpr uint32_t kMagic = 0x3147524D;  // "MRG1"
constexpr size_t kHeaderBytes = 24;
constexpr size_t kEntryBytes = 8;
constexpr size_t kCrcBytes = 4;

size_t padded(size_t bytes) { return (bytes + 7) / 8 * 8; }

template <class T>
void put(std::string& out, size_t offset, T number) {
  std::memcpy(out.data() + offset, &number, sizeof number);
}

template <class T>
T get(std::string_view bytes, size_t offset) {
  T number;
  std::memcpy(&number, bytes.data() + offset, sizeof number);
  return number;
}

Error corrupt(std::string what) { return make_error(Errc::kCorrupt, "event group: " + std::move(what)); }

}  // namespace

uint32_t crc32_of(std::string_view bytes, uint32_t seed) {
  return static_cast<uint32_t>(crc32_z(seed, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::string encode_group(WallTime recorded_at, std::span<const GroupMember> members) {
  const size_t table = padded(kHeaderBytes + members.size() * kEntryBytes);
  size_t size = table;
  for (const GroupMember& member : members) size += padded(member.bytes.size());
  std::string out(size + kCrcBytes, '\0');
  const uint64_t first = members.front().position.value;
  put(out, 0, kMagic);
  put(out, 4, static_cast<uint32_t>(members.size()));
  put(out, 8, to_unix_us(recorded_at));
  put(out, 16, first);
  size_t entry = kHeaderBytes;
  size_t offset = table;
  for (const GroupMember& member : members) {
    put(out, entry, static_cast<uint32_t>(member.position.value - first));
    put(out, entry + 4, static_cast<uint32_t>(member.bytes.size()));
    std::memcpy(out.data() + offset, member.bytes.data(), member.bytes.size());
    entry += kEntryBytes;
    offset += padded(member.bytes.size());
  }
  put(out, size, crc32_of(std::string_view(out).substr(0, size)));
  return out;
}

Result<EventGroup> decode_group(std::string_view value) {
  if (value.size() < kHeaderBytes + kEntryBytes + kCrcBytes) return corrupt(fmt::format("{} bytes only", value.size()));
  const auto content = value.substr(0, value.size() - kCrcBytes);
  if (crc32_of(content) != get<uint32_t>(value, content.size())) return corrupt("its checksum does not match");
  const size_t count = get<uint32_t>(value, 4);
  if (get<uint32_t>(value, 0) != kMagic || count == 0 || count > content.size() / kEntryBytes) {
    return corrupt(fmt::format("bad magic or count {}", count));
  }
  EventGroup group;
  group.recorded_at = from_unix_us(get<int64_t>(value, 8));
  group.first = Position{get<uint64_t>(value, 16)};
  group.events.reserve(count);
  const SharedBytes owner = SharedBytes::copy_of(content);
  const auto bytes = owner.view();
  size_t offset = padded(kHeaderBytes + count * kEntryBytes);
  for (size_t i = 0; i < count; ++i) {
    const size_t entry = kHeaderBytes + i * kEntryBytes;
    const size_t length = get<uint32_t>(bytes, entry + 4);
    if (offset > bytes.size() || length > bytes.size() - offset) return corrupt(fmt::format("event {} leaves it", i));
    group.events.push_back({group.first + get<uint32_t>(bytes, entry), group.recorded_at,
                            Envelope::trusted(owner, bytes.substr(offset, length))});
    offset += padded(length);
  }
  return group;
}

}  // namespace millrace
