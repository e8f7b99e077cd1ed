// SPDX-License-Identifier: Apache-2.0
#include "bus/outbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <deque>
#include <map>

#include "bus/crc32.h"
#include "bus/file_io.h"
#include "bus/logging.h"

namespace millrace {
namespace {

// A record: u32 length of the body, u32 CRC-32 of the body, the body.  The body: u8 has_state, u64 epoch and u64
// sequence of the last event before it, u32 count, count x {u64 epoch, u64 sequence, u32 length, bytes}, then the state
// if any.
constexpr size_t kRecordHeader = 8;
constexpr size_t kBodyHeader = 1 + 8 + 8 + 4;
constexpr size_t kEventHeader = 8 + 8 + 4;
constexpr size_t kDropsNote = 8 + 8 + 8 + 4;  // u64 count, the telling event's u64 epoch and u64 sequence, u32 CRC-32
constexpr size_t kMaxRecord = 64u << 20;
constexpr uint64_t kMaxNumber = uint64_t{1} << 56;  // no epoch and no sequence comes near
// A segment whose events are all confirmed is replaced once it is worth a file's creation.
constexpr uint64_t kRollConfirmedBytes = 1u << 20;
// Confirmed events take room until their segment goes, so no segment may be much of a small outbox.
constexpr uint64_t kMinSegments = 8;

OutboxOptions with_small_segments(OutboxOptions options) {
  options.segment_bytes = std::min(options.segment_bytes, options.max_bytes / kMinSegments);
  return options;
}

template <class T>
void put(std::string& out, T number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

template <class T>
T take(std::string_view& bytes) {
  T number{};
  std::memcpy(&number, bytes.data(), sizeof number);
  bytes.remove_prefix(sizeof number);
  return number;
}

std::string encode_record(EventOrder last, const std::vector<Envelope>& events, std::optional<std::string_view> state) {
  std::string record(kRecordHeader, '\0');
  record += state ? '\1' : '\0';
  put(record, last.epoch);
  put(record, last.sequence);
  put(record, static_cast<uint32_t>(events.size()));
  for (const Envelope& event : events) {
    put(record, event.epoch());
    put(record, event.sequence());
    put(record, static_cast<uint32_t>(event.bytes().size()));
    record += event.bytes();
  }
  if (state) record += *state;
  const auto body = std::string_view(record).substr(kRecordHeader);
  const uint32_t length = static_cast<uint32_t>(body.size());
  const uint32_t crc = crc32_of(body);
  std::memcpy(record.data(), &length, 4);
  std::memcpy(record.data() + 4, &crc, 4);
  return record;
}

// Where one event lies.
struct Slot {
  EventOrder order;
  uint32_t segment;
  uint32_t offset;  // of the envelope's bytes
  uint32_t length;
};

struct Segment {
  std::filesystem::path path;
  File file;
  uint64_t size = 0;
  EventOrder last;       // of the events in it; {0, 0} when none
  bool damaged = false;  // some of it does not verify
};

std::filesystem::path segment_path(const std::filesystem::path& directory, uint32_t number) {
  return directory / fmt::format("{:010}.seg", number);
}

std::optional<uint32_t> segment_number(const std::filesystem::path& path) {
  if (path.extension() != ".seg") return std::nullopt;
  const std::string stem = path.stem().string();
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
  if (error != std::errc{} || end != stem.data() + stem.size()) return std::nullopt;
  return number;
}

// What every body is, seen without reading it whole: a search looks at each byte of a damaged segment.
bool is_plausible(std::string_view body) {
  const size_t events_bytes = body.size() - kBodyHeader;
  const bool flag = take<uint8_t>(body) <= 1;
  const auto epoch = take<uint64_t>(body);
  const auto sequence = take<uint64_t>(body);
  const auto count = take<uint32_t>(body);
  return flag && epoch < kMaxNumber && sequence < kMaxNumber && count <= events_bytes / kEventHeader;
}

// The body of the record at the beginning of `bytes`; nullopt when none verifies there.
std::optional<std::string_view> body_at(std::string_view bytes) {
  if (bytes.size() < kRecordHeader + kBodyHeader) return std::nullopt;
  const size_t length = take<uint32_t>(bytes);
  const uint32_t crc = take<uint32_t>(bytes);
  if (length < kBodyHeader || length > kMaxRecord || length > bytes.size()) return std::nullopt;
  const auto body = bytes.substr(0, length);
  return is_plausible(body) && crc32_of(body) == crc ? std::optional(body) : std::nullopt;
}

// Where a whole record begins at or behind `offset`; the content's size when none does.
size_t next_record(std::string_view content, size_t offset) {
  while (offset < content.size() && !body_at(content.substr(offset))) ++offset;
  return offset;
}

class SegmentOutbox final : public Outbox {
 public:
  SegmentOutbox(std::filesystem::path directory, OutboxOptions options)
      : directory_(std::move(directory)), options_(with_small_segments(options)) {}

  // Records that do not verify are left out from now on, and no longer an error.
  void leave_out_damage() { leaves_out_damage_ = true; }

  Result<void> load() {
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (error) return make_error(Errc::kIo, fmt::format("outbox '{}': {}", directory_.string(), error.message()));
    std::vector<uint32_t> numbers;
    for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
      if (const auto number = segment_number(entry.path())) numbers.push_back(*number);
    }
    std::sort(numbers.begin(), numbers.end());
    for (const uint32_t number : numbers) {
      if (auto loaded = load_segment(number, number == numbers.back()); !loaded) return loaded;
    }
    // Nothing more goes into a damaged segment, so that it can go once what is left of it is confirmed.
    if (segments_.empty() || active().damaged) {
      return start_segment(segments_.empty() ? 1 : segments_.rbegin()->first + 1);
    }
    return {};
  }

  Result<void> append(const std::vector<Envelope>& events, std::optional<std::string_view> state) override {
    const std::string record = encode_record(last_, events, state);
    const bool opens = events.size() == 1 && events[0].type() == EventType::EpochOpened;
    if (size_ + record.size() > options_.max_bytes && !events.empty() && !opens) {
      return make_error(
          Errc::kFull, fmt::format("outbox '{}' holds {} of {} bytes", directory_.string(), size_, options_.max_bytes));
    }
    if (auto whole = cut_off_failed_record(); !whole) return whole;
    if (sync_failed_ || (active().size + record.size() > options_.segment_bytes && active().last != EventOrder{})) {
      if (auto started = start_segment(segments_.rbegin()->first + 1); !started) return started;
    }
    const uint64_t offset = active().size;
    if (auto written = write_record(record); !written) return written;
    index_events(offset, events);
    if (state) state_ = *state;
    return {};
  }

  Result<void> confirm(EventOrder order) override {
    if (order <= confirmed_) return {};
    confirmed_ = order;
    while (!slots_.empty() && slots_.front().order <= order) {
      slots_.pop_front();
    }
    return drop_confirmed_segments();
  }

  Result<void> offer_again() override {
    segments_.clear();
    slots_.clear();
    size_ = 0;
    confirmed_ = {};
    return load();
  }

  Result<std::vector<OutboxEntry>> read(EventOrder after, size_t max_events, size_t max_bytes) const override {
    std::vector<OutboxEntry> entries;
    auto slot = first_after(after);
    if (slot == slots_.end()) return entries;
    // One read for a run that lies in one segment and one epoch.
    const auto begin = slot;
    size_t bytes = 0;
    while (slot != slots_.end() && entries_fit(begin, slot, bytes, max_events, max_bytes)) {
      bytes += slot->length;
      ++slot;
    }
    const Segment& segment = segments_.at(begin->segment);
    const Slot& last = *(slot - 1);
    const auto run = segment.file.read_at(begin->offset, last.offset + last.length - begin->offset);
    if (!run) return run.error();
    for (auto it = begin; it != slot; ++it) {
      entries.push_back({it->order, run->substr(it->offset - begin->offset, it->length)});
    }
    return entries;
  }

  bool disk_is_low() const override {
    struct statvfs disk {};
    return ::statvfs(directory_.c_str(), &disk) == 0 &&
           uint64_t{disk.f_bavail} * disk.f_frsize < options_.reserve_bytes;
  }

  std::optional<EventOrder> oldest() const override {
    return slots_.empty() ? std::nullopt : std::optional(slots_.front().order);
  }
  EventOrder last() const override { return last_; }
  EventOrder confirmed() const override { return confirmed_; }
  const std::string& state() const override { return state_; }
  uint64_t size_bytes() const override { return size_; }
  uint64_t size_events() const override { return slots_.size(); }
  uint64_t events_after(EventOrder order) const override {
    return static_cast<uint64_t>(slots_.end() - first_after(order));
  }
  uint64_t bytes_after(EventOrder order) const override {
    uint64_t bytes = 0;
    for (auto slot = first_after(order); slot != slots_.end() && bytes < options_.segment_bytes; ++slot) {
      bytes += slot->length;
    }
    return bytes;
  }

  // Overwritten in place: there may be no room for another file.
  Result<void> note_drops(uint64_t count, EventOrder told_by) override {
    std::string note;
    put(note, count);
    put(note, told_by.epoch);
    put(note, told_by.sequence);
    put(note, crc32_of(note));
    auto file = File::open(directory_ / "drops", O_WRONLY | O_CREAT);
    if (!file) return file.error();
    return file->write_all(note);
  }

  uint64_t untold_drops() const override {
    const auto note = read_file(directory_ / "drops");
    if (!note || note->size() != kDropsNote) return 0;
    std::string_view rest = *note;
    const uint32_t crc = crc32_of(rest.substr(0, kDropsNote - sizeof(uint32_t)));
    const uint64_t count = take<uint64_t>(rest);
    EventOrder told_by;
    told_by.epoch = take<uint64_t>(rest);
    told_by.sequence = take<uint64_t>(rest);
    const bool told = told_by != EventOrder{} && told_by <= last_;
    return take<uint32_t>(rest) != crc || told ? 0 : count;
  }

  Result<void> note_epoch(uint64_t epoch) override {
    return write_file_durably(directory_ / "epoch", std::to_string(std::max(epoch, stored_epoch())));
  }

  Result<uint64_t> open_epoch(WallTime now) override {
    const uint64_t stored = stored_epoch();
    const uint64_t now_ms = static_cast<uint64_t>(std::max<int64_t>(to_unix_us(now) / 1000, 1));
    const uint64_t epoch = std::max(stored + 1, now_ms);
    if (auto written = write_file_durably(directory_ / "epoch", std::to_string(epoch)); !written)
      return written.error();
    return epoch;
  }

 private:
  uint64_t stored_epoch() const {
    const auto text = read_file(directory_ / "epoch");
    uint64_t number = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), number);
    return std::max(last_.epoch, number);
  }

  using Place = std::deque<Slot>::const_iterator;

  Segment& active() { return segments_.rbegin()->second; }

  Place first_after(EventOrder after) const {
    return std::upper_bound(slots_.begin(), slots_.end(), after,
                            [](EventOrder order, const Slot& slot) { return order < slot.order; });
  }

  static bool entries_fit(const Place& begin, const Place& slot, size_t bytes, size_t max_events, size_t max_bytes) {
    if (slot == begin) return true;  // one always goes, however large
    const auto place = static_cast<size_t>(slot - begin);
    return place < max_events && bytes + slot->length <= max_bytes && slot->segment == begin->segment &&
           slot->order.epoch == begin->order.epoch && slot->order.sequence == begin->order.sequence + place;
  }

  Result<void> start_segment(uint32_t number) {
    Segment segment;
    segment.path = segment_path(directory_, number);
    auto file = File::open(segment.path, O_RDWR | O_CREAT | O_APPEND);
    if (!file) return file.error();
    segment.file = std::move(*file);
    segments_.emplace(number, std::move(segment));
    if (auto written = write_record(encode_record(last_, {}, state_)); !written) {
      std::error_code ignored;
      std::filesystem::remove(segments_.rbegin()->second.path, ignored);
      segments_.erase(std::prev(segments_.end()));
      torn_ = false;
      return written;
    }
    sync_failed_ = false;
    return options_.sync ? sync_directory(directory_) : Result<void>{};
  }

  // All of the record or none of it: what a failed write left behind is cut off again.
  Result<void> write_record(std::string_view record) {
    Segment& segment = active();
    auto written = segment.file.write_all(record);
    if (written && options_.sync) {
      written = segment.file.sync();
      sync_failed_ = !written;
    }
    if (!written) {
      torn_ = true;
      (void)cut_off_failed_record();
      return written;
    }
    segment.size += record.size();
    size_ += record.size();
    return {};
  }

  // Also later, where a disk that fails refuses even that.
  Result<void> cut_off_failed_record() {
    if (!torn_) return {};
    auto cut = active().file.truncate(active().size);
    torn_ = !cut;
    return cut;
  }

  void index_events(uint64_t record_offset, const std::vector<Envelope>& events) {
    uint64_t offset = record_offset + kRecordHeader + kBodyHeader;
    for (const Envelope& event : events) {
      offset += kEventHeader;
      add_slot(event.order(), offset, event.bytes().size());
      offset += event.bytes().size();
    }
  }

  void add_slot(EventOrder order, uint64_t offset, size_t length) {
    slots_.push_back({order, segments_.rbegin()->first, static_cast<uint32_t>(offset), static_cast<uint32_t>(length)});
    active().last = last_ = order;
  }

  Result<void> drop_confirmed_segments() {
    if (slots_.empty() && active().size > std::min(kRollConfirmedBytes, options_.segment_bytes)) {
      if (auto started = start_segment(segments_.rbegin()->first + 1); !started) return started;
    }
    while (segments_.size() > 1 && (slots_.empty() || segments_.begin()->first < slots_.front().segment)) {
      Segment& segment = segments_.begin()->second;
      std::error_code error;
      std::filesystem::remove(segment.path, error);
      if (error) return make_error(Errc::kIo, fmt::format("remove '{}': {}", segment.path.string(), error.message()));
      size_ -= segment.size;
      segments_.erase(segments_.begin());
    }
    return {};
  }

  Result<void> load_segment(uint32_t number, bool is_last) {
    Segment segment;
    segment.path = segment_path(directory_, number);
    auto file = File::open(segment.path, O_RDWR | O_APPEND);
    if (!file) return file.error();
    segment.file = std::move(*file);
    const auto content = read_file(segment.path);
    if (!content) return content.error();
    segments_.emplace(number, std::move(segment));
    size_t offset = 0;
    while (offset < content->size()) {
      const auto used = load_record(std::string_view(*content).substr(offset), offset);
      if (!used) {
        const size_t next = next_record(*content, offset + 1);
        if (!is_last || next < content->size()) {
          auto damaged = make_error(Errc::kCorrupt, fmt::format("outbox '{}' at byte {}: {}", active().path.string(),
                                                                offset, used.error().context));
          if (!leaves_out_damage_) return damaged;
          log_error("outbox", "{}; {} bytes are left out", damaged.context, next - offset);
          active().damaged = true;
          offset = next;
          continue;
        }
        log_warn("outbox", "{}: {} bytes at the end of '{}' are no whole record and are cut off", used.error().context,
                 content->size() - offset, active().path.string());
        if (auto cut = active().file.truncate(offset); !cut) return cut;
        break;
      }
      offset += *used;
    }
    active().size = offset;
    size_ += offset;
    if (offset == 0) return write_record(encode_record(last_, {}, state_));
    return {};
  }

  // Returns how many bytes the record takes.
  Result<size_t> load_record(std::string_view bytes, size_t offset) {
    const auto torn = [] { return make_error(Errc::kCorrupt, "a record does not verify"); };
    const auto verified = body_at(bytes);
    if (!verified) return torn();
    const size_t length = verified->size();
    auto body = *verified;
    const bool has_state = take<uint8_t>(body) != 0;
    EventOrder before;
    before.epoch = take<uint64_t>(body);
    before.sequence = take<uint64_t>(body);
    last_ = std::max(last_, before);
    const size_t count = take<uint32_t>(body);
    for (size_t i = 0; i < count; ++i) {
      if (body.size() < kEventHeader) return torn();
      EventOrder order;
      order.epoch = take<uint64_t>(body);
      order.sequence = take<uint64_t>(body);
      const size_t size = take<uint32_t>(body);
      if (size > body.size()) return torn();
      add_slot(order, offset + kRecordHeader + static_cast<size_t>(body.data() - (bytes.data() + kRecordHeader)), size);
      body.remove_prefix(size);
    }
    if (has_state) state_ = body;
    return kRecordHeader + length;
  }

  const std::filesystem::path directory_;
  const OutboxOptions options_;
  std::map<uint32_t, Segment> segments_;
  std::deque<Slot> slots_;  // unconfirmed, in order
  std::string state_;
  EventOrder last_;
  EventOrder confirmed_;
  uint64_t size_ = 0;  // of all segments
  bool leaves_out_damage_ = false;
  bool torn_ = false;  // behind the active segment's records lies a part of one that failed
  // What a failed fsync was to write may never reach the disk, whatever later ones say: the next record begins a
  // segment.
  bool sync_failed_ = false;
};

}  // namespace

Result<std::unique_ptr<Outbox>> Outbox::open(std::filesystem::path directory, OutboxOptions options, Damage damage) {
  auto outbox = std::make_unique<SegmentOutbox>(std::move(directory), options);
  if (damage == Damage::kLeftOut) outbox->leave_out_damage();
  if (auto loaded = outbox->load(); !loaded) return loaded.error();
  return std::unique_ptr<Outbox>(std::move(outbox));
}

}  // namespace millrace
