// SPDX-License-Identifier: Apache-2.0
#include "bus/durable_mark.h"

#include <fcntl.h>

#include <cstring>

#include "bus/crc32.h"
#include "bus/logging.h"

namespace millrace {
namespace {

constexpr size_t kPlaceBytes = 128;
constexpr uint64_t kPlaces = 2;

struct Place {
  uint64_t incarnation;
  uint64_t last;
  uint64_t first;
  unsigned char link[32];
  uint32_t crc;  // of everything before
  uint32_t reserved;
};
static_assert(sizeof(Place) <= kPlaceBytes && offsetof(Place, crc) == 56);

std::string_view covered(const Place& place) { return {reinterpret_cast<const char*>(&place), offsetof(Place, crc)}; }

}  // namespace

Result<DurableMark> DurableMark::open(const std::filesystem::path& log_directory) {
  auto file = File::open(log_directory / kDurableMarkName, O_RDWR | O_CREAT);
  if (!file) return file.error();
  return DurableMark(std::move(*file));
}

void DurableMark::note(const DurablePoint& point) {
  Place place{point.incarnation, point.last.value, point.first.value, {}, 0, 0};
  std::memcpy(place.link, point.link.data(), sizeof place.link);
  place.crc = crc32_of(covered(place));
  std::string bytes(kPlaceBytes, '\0');
  std::memcpy(bytes.data(), &place, sizeof place);
  const auto written = file_.write_all_at(turn_++ % kPlaces * kPlaceBytes, bytes);
  if (!written && !std::exchange(failed_, true)) log_warn("log", "{}", written.error().message());
}

std::optional<DurablePoint> read_durable_point(const std::filesystem::path& log_directory) {
  const auto bytes = read_file(log_directory / kDurableMarkName);
  if (!bytes) return std::nullopt;
  std::optional<DurablePoint> latest;
  for (size_t offset = 0; offset + sizeof(Place) <= bytes->size(); offset += kPlaceBytes) {
    Place place;
    std::memcpy(&place, bytes->data() + offset, sizeof place);
    if (place.crc != crc32_of(covered(place)) || place.last == 0) continue;
    if (latest && latest->last.value >= place.last) continue;
    latest = DurablePoint{place.incarnation, Position{place.last}, Position{place.first}, {}};
    std::memcpy(latest->link.data(), place.link, sizeof place.link);
  }
  return latest;
}

}  // namespace millrace
