// SPDX-License-Identifier: Apache-2.0
#include "bus/rocksdb_log_files.h"

#include <fcntl.h>
#include <rocksdb/file_checksum.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <memory>

#include "bus/durable_mark.h"
#include "bus/file_io.h"

namespace millrace {
namespace {

constexpr size_t kBlock = 32u << 10;
constexpr size_t kHeader = 7;  // u32 masked CRC-32C of what follows the length, u16 length, u8 type
constexpr size_t kReadAtOnce = 1u << 20;
enum RecordType : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

std::string crc32c_of(std::string_view bytes) {
  thread_local auto factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  auto generator = factory->CreateFileChecksumGenerator({});
  generator->Update(bytes.data(), bytes.size());
  generator->Finalize();
  return generator->GetChecksum();  // big-endian
}

uint32_t masked_crc32c_of(std::string_view bytes) {
  uint32_t crc = 0;
  for (const char c : crc32c_of(bytes)) crc = crc << 8 | static_cast<unsigned char>(c);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

struct Fragment {
  RecordType type{};
  std::string_view content;
};

// The fragment at the beginning of `bytes`, the rest of a block; nullopt when none verifies there.
std::optional<Fragment> fragment_at(std::string_view bytes) {
  if (bytes.size() < kHeader) return std::nullopt;
  uint32_t crc = 0;
  uint16_t length = 0;
  std::memcpy(&crc, bytes.data(), sizeof crc);
  std::memcpy(&length, bytes.data() + 4, sizeof length);
  const auto type = static_cast<uint8_t>(bytes[6]);
  if (type < kFull || type > kLast || length > bytes.size() - kHeader) return std::nullopt;
  if (masked_crc32c_of(bytes.substr(6, 1u + length)) != crc) return std::nullopt;
  return Fragment{static_cast<RecordType>(type), bytes.substr(kHeader, length)};
}

// Puts fragments together again.
class RecordJoiner {
 public:
  explicit RecordJoiner(const std::function<void(std::string_view)>& sink) : sink_(sink) {}

  void take(const Fragment& fragment) {
    if (fragment.type == kFull || fragment.type == kFirst) {
      whole_ = true;
      record_.clear();
    }
    if (!whole_) return;
    record_ += fragment.content;
    if (fragment.type == kFirst || fragment.type == kMiddle) return;
    ++records_;
    sink_(record_);
    whole_ = false;
  }
  void lose() { whole_ = false; }
  bool inside() const { return whole_; }
  uint64_t records() const { return records_; }

 private:
  const std::function<void(std::string_view)>& sink_;
  std::string record_;
  bool whole_ = false;
  uint64_t records_ = 0;
};

class RecordScanner {
 public:
  explicit RecordScanner(const std::function<void(std::string_view)>& sink) : joiner_(sink) {}

  void block(std::string_view bytes, uint64_t offset) {
    size_t at = 0;
    while (bytes.size() - at >= kHeader) {
      const auto fragment = fragment_at(bytes.substr(at));
      if (!fragment) {
        bad(offset + at);
        at = next_fragment(bytes, at + 1);
        continue;
      }
      if (scan_.first_bad && (fragment->type == kFull || fragment->type == kFirst)) scan_.goes_on = true;
      if (!joiner_.inside() && (fragment->type == kMiddle || fragment->type == kLast)) bad(offset + at);
      joiner_.take(*fragment);
      at += kHeader + fragment->content.size();
    }
    if (at < bytes.size() && bytes.size() < kBlock) bad(offset + at);  // the file ends inside a header
    end_ = offset + bytes.size();
  }

  RecordScan finish() {
    if (joiner_.inside()) bad(end_);  // cut off between its fragments
    scan_.bytes = end_;
    scan_.records = joiner_.records();
    return scan_;
  }

 private:
  void bad(uint64_t offset) {
    joiner_.lose();
    if (!scan_.first_bad) scan_.first_bad = offset;
  }

  // A damaged length leads nowhere, so every place is tried; zeros, which no record begins with, are passed over.
  static size_t next_fragment(std::string_view bytes, size_t from) {
    while (from < bytes.size() && !fragment_at(bytes.substr(from))) ++from;
    return from;
  }

  RecordJoiner joiner_;
  RecordScan scan_;
  uint64_t end_ = 0;
};

bool is_number(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

}  // namespace

LogFolder look_at_log_folder(const std::filesystem::path& directory) {
  constexpr std::string_view kManifestPrefix = "MANIFEST-";
  LogFolder folder;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const auto& path = entry.path();
    const std::string name = path.filename().string();
    if (name == "CURRENT") {
      const auto content = read_file(path);
      folder.current = content ? *content : "";
    }
    if (name == kDurableMarkName) folder.marked = true;
    if (path.extension() == ".sst") folder.sorted.push_back(path);
    if (path.extension() == ".log" && is_number(path.stem().string())) folder.write_ahead.push_back(path);
    if (name.starts_with(kManifestPrefix)) folder.manifests.push_back(path);
  }
  for (auto* files : {&folder.sorted, &folder.write_ahead, &folder.manifests}) {
    std::sort(files->begin(), files->end(), [](const auto& a, const auto& b) {
      const auto left = a.filename().string();
      const auto right = b.filename().string();
      return left.size() != right.size() ? left.size() < right.size() : left < right;
    });
  }
  return folder;
}

Result<RecordScan> scan_records(const std::filesystem::path& path, const std::function<void(std::string_view)>& sink) {
  const auto file = File::open(path, O_RDONLY);
  if (!file) return file.error();
  RecordScanner scanner(sink);
  for (uint64_t offset = 0;;) {
    const auto bytes = file->read_at(offset, kReadAtOnce);
    if (!bytes) return bytes.error();
    for (size_t at = 0; at < bytes->size(); at += kBlock) {
      scanner.block(std::string_view(*bytes).substr(at, kBlock), offset + at);
    }
    offset += bytes->size();
    if (bytes->size() < kReadAtOnce) return scanner.finish();
  }
}

Result<std::string> checksum_of_file(const std::filesystem::path& path, const std::function<void(size_t)>& on_bytes) {
  const auto file = File::open(path, O_RDONLY);
  if (!file) return file.error();
  auto generator = rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator({});
  for (uint64_t offset = 0;;) {
    const auto bytes = file->read_at(offset, kReadAtOnce);
    if (!bytes) return bytes.error();
    generator->Update(bytes->data(), bytes->size());
    on_bytes(bytes->size());
    offset += bytes->size();
    if (bytes->size() < kReadAtOnce) break;
  }
  generator->Finalize();
  return generator->GetChecksum();
}

bool is_log_in_use(const std::filesystem::path& directory) {
  const int descriptor = ::open((directory / "LOCK").c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return false;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool asked = ::fcntl(descriptor, F_GETLK, &lock) == 0;
  ::close(descriptor);
  return asked && lock.l_type != F_UNLCK;
}

}  // namespace millrace
