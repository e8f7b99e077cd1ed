// SPDX-License-Identifier: Apache-2.0
#include "bus/event_group.h"

#include <fmt/format.h>
#include <lz4.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace millrace {
namespace {

static_assert(std::endian::native == std::endian::little, "the log is written in the machine's own order");

constexpr uint32_t kMagic = 0x3147524D;  // "MRG1"
constexpr size_t kHeaderBytes = 32;
constexpr size_t kEntryBytes = 8;
constexpr size_t kMinEnvelopeBytes = 8;  // the offset of its root and the file identifier
constexpr size_t kMaxBodyBytes = 64u << 20;
// Below 64 KiB LZ4 works with a table that fits the processor's first cache: 1.6 times the speed of one block of 1 MiB
// (measured), for a twentieth more bytes.
constexpr size_t kPiece = (64u << 10) - 64;
constexpr size_t kPieceHeader = 4;
// A lone small event gains nothing.
constexpr size_t kMinCompressed = 512;
// From here on a second thread saves more than waking it costs.
constexpr size_t kHelpedPieces = 6;
// A group of that size means that much is waiting: then LZ4 looks for matches less thoroughly, which saves a tenth of
// the append and costs a seventh more bytes (measured).
constexpr int kThorough = 1;
constexpr int kHurried = 8;

enum BodyForm : uint32_t { kPlain = 0, kLz4 = 1 };

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

Result<SharedBytes> unpack_body(std::string_view stored, size_t size, uint32_t form) {
  if (form == kPlain && size == stored.size()) return SharedBytes::copy_of(stored);
  if (form != kLz4 || size > kMaxBodyBytes) return corrupt(fmt::format("body of form {} and {} bytes", form, size));
  SharedBytes body = SharedBytes::uninitialised(size);
  char* target = reinterpret_cast<char*>(body.mutable_data());
  for (size_t offset = 0; offset < size; offset += kPiece) {
    const size_t piece = std::min(kPiece, size - offset);
    const size_t length = stored.size() < kPieceHeader ? stored.size() : get<uint32_t>(stored, 0);
    if (stored.size() < kPieceHeader || length > stored.size() - kPieceHeader) return corrupt("a piece leaves it");
    const int unpacked = LZ4_decompress_safe(stored.data() + kPieceHeader, target + offset, static_cast<int>(length),
                                             static_cast<int>(piece));
    if (unpacked < 0 || static_cast<size_t>(unpacked) != piece) return corrupt("its body does not decompress");
    stored.remove_prefix(kPieceHeader + length);
  }
  if (!stored.empty()) return corrupt("bytes behind its last piece");
  return body;
}

// The table and the envelopes, uncompressed, of which any part can be copied: the whole need never lie in one place.
class BodySource {
 public:
  void lay_out(std::span<const GroupMember> members) {
    members_ = members;
    table_.resize(padded(members.size() * kEntryBytes));
    begins_.clear();
    const uint64_t first = members.front().position.value;
    size_ = table_.size();
    size_t entry = 0;
    for (const GroupMember& member : members) {
      put(table_, entry, static_cast<uint32_t>(member.position.value - first));
      put(table_, entry + 4, static_cast<uint32_t>(member.bytes.size()));
      entry += kEntryBytes;
      begins_.push_back(size_);
      size_ += padded(member.bytes.size());
    }
  }

  size_t size() const { return size_; }

  // Bytes [begin, end) to `target`.  Any number of threads.
  void copy(size_t begin, size_t end, char* target) const {
    if (begin < table_.size()) {
      const size_t length = std::min(end, table_.size()) - begin;
      std::memcpy(target, table_.data() + begin, length);
      target += length;
      begin += length;
    }
    auto member = static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), begin) - begins_.begin());
    for (; begin < end; ++member) {
      const std::string_view bytes = members_[member - 1].bytes;
      const size_t skipped = begin - begins_[member - 1];
      const size_t wanted = std::min(end - begin, padded(bytes.size()) - skipped);
      const size_t present = std::min(wanted, bytes.size() - std::min(bytes.size(), skipped));
      if (present > 0) std::memcpy(target, bytes.data() + skipped, present);
      std::memset(target + present, 0, wanted - present);
      target += wanted;
      begin += wanted;
    }
  }

 private:
  std::span<const GroupMember> members_;
  std::string table_;
  std::vector<size_t> begins_;  // of each member's envelope
  size_t size_ = 0;
};

// A thread that runs one task at a time and sleeps in between.
class Helper {
 public:
  ~Helper() {
    if (!thread_.joinable()) return;
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  void begin(std::function<void()> task) {
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    {
      std::lock_guard lock(mutex_);
      task_ = std::move(task);
    }
    wake_.notify_all();
  }

  // Returns when the task has ended; one that has not begun is forgotten.
  void end() {
    std::unique_lock lock(mutex_);
    task_ = nullptr;
    wake_.wait(lock, [this] { return !running_; });
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || task_; });
      if (stopping_) return;
      const auto task = std::exchange(task_, nullptr);
      running_ = true;
      lock.unlock();
      task();
      lock.lock();
      running_ = false;
      wake_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::function<void()> task_;
  bool running_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

struct GroupEncoder::Impl {
  explicit Impl(Digests digests) : digests_(digests == Digests::kYes) {}

  std::string_view encode(WallTime recorded_at, std::span<const GroupMember> members, Sha256& digest) {
    source_.lay_out(members);
    put_header(recorded_at, members);
    const bool compressed = source_.size() >= kMinCompressed && compress(digest);
    if (!compressed) store_plain(digest);
    std::memcpy(out_.data() + content_, digest.data(), kGroupDigestBytes);
    return std::string_view(out_).substr(0, content_ + kGroupDigestBytes);
  }

 private:
  static constexpr size_t kSlot = LZ4_COMPRESSBOUND(kPiece);

  void put_header(WallTime recorded_at, std::span<const GroupMember> members) {
    reserve(kHeaderBytes);
    put(out_, 0, kMagic);
    put(out_, 4, static_cast<uint32_t>(members.size()));
    put(out_, 8, to_unix_us(recorded_at));
    put(out_, 16, members.front().position.value);
    put(out_, 24, static_cast<uint32_t>(source_.size()));
    content_ = kHeaderBytes;
  }

  void store_plain(Sha256& digest) {
    reserve(kHeaderBytes + source_.size() + kGroupDigestBytes);
    put(out_, 28, static_cast<uint32_t>(kPlain));
    source_.copy(0, source_.size(), out_.data() + kHeaderBytes);
    content_ = kHeaderBytes + source_.size();
    if (digests_) digest = digester_.digest(std::string_view(out_).substr(0, content_));
  }

  // False when the body would not be smaller.  While pieces are still being compressed, those before them are put in
  // their place and digested.
  bool compress(Sha256& digest) {
    pieces_ = (source_.size() + kPiece - 1) / kPiece;
    next_ = 0;
    if (slots_.size() < pieces_ * kSlot) slots_.resize(pieces_ * kSlot);
    if (lengths_.size() < pieces_) lengths_ = std::vector<std::atomic<uint32_t>>(pieces_);
    for (size_t i = 0; i < pieces_; ++i) lengths_[i] = 0;
    const bool helped = pieces_ >= kHelpedPieces;
    acceleration_ = helped ? kHurried : kThorough;
    if (helped)
      helper_.begin([this] {
        while (compress_next(helpers_piece_)) continue;
      });

    put(out_, 28, static_cast<uint32_t>(kLz4));
    digester_.begin();
    digest_part(0, kHeaderBytes);
    for (size_t done = 0; done < pieces_;) {
      const uint32_t length = lengths_[done];
      if (length > 0) {
        append_piece(done++, length);
      } else if (!compress_next(piece_)) {
        lengths_[done].wait(0);
      }
    }
    if (helped) helper_.end();
    digest = digester_.end();
    return content_ - kHeaderBytes < source_.size();
  }

  // Takes the next piece that nobody has taken; false when there is none.
  bool compress_next(std::string& piece) {
    const size_t i = next_.fetch_add(1);
    if (i >= pieces_) return false;
    const size_t begin = i * kPiece;
    const size_t end = std::min(begin + kPiece, source_.size());
    piece.resize(kPiece);
    source_.copy(begin, end, piece.data());
    lengths_[i] =
        static_cast<uint32_t>(LZ4_compress_fast(piece.data(), slots_.data() + i * kSlot, static_cast<int>(end - begin),
                                                static_cast<int>(kSlot), acceleration_));
    lengths_[i].notify_one();
    return true;
  }

  void append_piece(size_t i, uint32_t length) {
    reserve(content_ + kPieceHeader + length + kGroupDigestBytes);
    put(out_, content_, length);
    std::memcpy(out_.data() + content_ + kPieceHeader, slots_.data() + i * kSlot, length);
    digest_part(content_, kPieceHeader + length);
    content_ += kPieceHeader + length;
  }

  void digest_part(size_t offset, size_t length) {
    if (digests_) digester_.add(std::string_view(out_).substr(offset, length));
  }

  void reserve(size_t bytes) {
    if (out_.size() < bytes) out_.resize(std::max(bytes, 2 * out_.size()));
  }

  const bool digests_;
  Sha256Digester digester_;
  BodySource source_;
  std::string out_;
  size_t content_ = 0;  // bytes of out_ that are the group, without the digest

  size_t pieces_ = 0;
  int acceleration_ = kThorough;
  std::atomic<size_t> next_{0};
  std::string slots_;                           // a compressed piece each
  std::vector<std::atomic<uint32_t>> lengths_;  // of the compressed pieces; 0: not ready
  std::string piece_;
  std::string helpers_piece_;
  Helper helper_;  // ends before what it works on
};

GroupEncoder::GroupEncoder(Digests digests) : impl_(std::make_unique<Impl>(digests)) {}
GroupEncoder::~GroupEncoder() = default;

std::string_view GroupEncoder::encode(WallTime recorded_at, std::span<const GroupMember> members, Sha256& digest) {
  return impl_->encode(recorded_at, members, digest);
}

namespace {

// Of the group that begins at `bytes`, by its own header; 0 when that makes no sense.
size_t length_of_group(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kGroupDigestBytes) return 0;
  const size_t size = get<uint32_t>(bytes, 24);
  const uint32_t form = get<uint32_t>(bytes, 28);
  const size_t available = bytes.size() - kGroupDigestBytes;
  if (form == kPlain) return size <= available - kHeaderBytes ? kHeaderBytes + size + kGroupDigestBytes : 0;
  if (form != kLz4 || size > kMaxBodyBytes) return 0;
  size_t offset = kHeaderBytes;
  for (size_t unpacked = 0; unpacked < size; unpacked += kPiece) {
    if (available - offset < kPieceHeader) return 0;
    const size_t length = get<uint32_t>(bytes, offset);
    offset += kPieceHeader;
    if (length > available - offset) return 0;
    offset += length;
  }
  return offset + kGroupDigestBytes;
}

}  // namespace

std::optional<GroupPlace> find_group(std::string_view bytes, size_t from) {
  const std::string_view magic(reinterpret_cast<const char*>(&kMagic), sizeof kMagic);
  for (size_t at = bytes.find(magic, from); at != std::string_view::npos; at = bytes.find(magic, at + 1)) {
    if (const size_t length = length_of_group(bytes.substr(at)); length > 0) return GroupPlace{at, length};
  }
  return std::nullopt;
}

Result<EventGroup> decode_group(std::string_view value) {
  Sha256 digest;
  return decode_group(value, digest);
}

Result<EventGroup> decode_group(std::string_view value, Sha256& whole_digest) {
  if (value.size() < kHeaderBytes + kGroupDigestBytes) return corrupt(fmt::format("{} bytes only", value.size()));
  const auto content = value.substr(0, value.size() - kGroupDigestBytes);
  thread_local Sha256Digester digester;
  const Sha256 digest = digester.digest(content);
  if (std::memcmp(digest.data(), value.data() + content.size(), kGroupDigestBytes) != 0) {
    return corrupt("its checksum does not match");
  }
  const size_t count = get<uint32_t>(value, 4);
  const auto body = unpack_body(content.substr(kHeaderBytes), get<uint32_t>(value, 24), get<uint32_t>(value, 28));
  if (!body) return body.error();
  const auto bytes = body->view();
  if (get<uint32_t>(value, 0) != kMagic || count == 0 || count > bytes.size() / kEntryBytes) {
    return corrupt(fmt::format("bad magic or count {}", count));
  }
  EventGroup group;
  group.recorded_at = from_unix_us(get<int64_t>(value, 8));
  group.first = Position{get<uint64_t>(value, 16)};
  group.events.reserve(count);
  size_t offset = padded(count * kEntryBytes);
  for (size_t i = 0; i < count; ++i) {
    const size_t entry = i * kEntryBytes;
    const size_t length = get<uint32_t>(bytes, entry + 4);
    if (offset > bytes.size() || length > bytes.size() - offset) return corrupt(fmt::format("event {} leaves it", i));
    if (length < kMinEnvelopeBytes) return corrupt(fmt::format("event {} of {} bytes", i, length));
    group.events.push_back({group.first + get<uint32_t>(bytes, entry), group.recorded_at,
                            Envelope::trusted(*body, bytes.substr(offset, length))});
    offset += padded(length);
  }
  whole_digest = digest;
  return group;
}

}  // namespace millrace
