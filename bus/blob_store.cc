// SPDX-License-Identifier: Apache-2.0
#include "bus/blob_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "bus/file_io.h"
#include "bus/logging.h"
#include "bus/sha256.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnfinished = ".new";
constexpr unsigned kFileMode = 0600;

Error not_a_name(std::string_view name) {
  return make_error(Errc::kInvalidArgument,
                    fmt::format("'{}' is no SHA-256: expected 64 digits of 0-9 and a-f", name.substr(0, 100)));
}

Result<void> make_private(const fs::path& folder) {
  std::error_code failed;
  const bool made = fs::create_directories(folder, failed);
  if (!failed && made) fs::permissions(folder, fs::perms::owner_all, failed);
  if (failed) return make_error(Errc::kIo, fmt::format("creating '{}': {}", folder.string(), failed.message()));
  return {};
}

class BlobFolder final : public BlobStore {
 public:
  BlobFolder(fs::path folder, BlobStoreOptions options) : folder_(std::move(folder)), options_(options) {}

  // Counts what is there and removes what was not finished.
  Result<void> open() {
    if (auto made = make_private(folder_); !made) return made;
    std::error_code failed;
    for (fs::recursive_directory_iterator file(folder_, failed), end; !failed && file != end; file.increment(failed)) {
      if (!file->is_regular_file(failed)) continue;
      if (file->path().extension() == kUnfinished) {
        fs::remove(file->path(), failed);
      } else if (is_sha256(file->path().filename().string())) {
        total_ += file->file_size(failed);
      }
    }
    if (failed) return make_error(Errc::kIo, fmt::format("reading '{}': {}", folder_.string(), failed.message()));
    return {};
  }

  Result<void> put(std::string_view sha256, std::string_view bytes) override {
    if (!is_sha256(sha256)) return not_a_name(sha256);
    if (bytes.size() > options_.max_blob_bytes) {
      return make_error(Errc::kTooLarge,
                        fmt::format("a blob of {} bytes: at most {}", bytes.size(), options_.max_blob_bytes));
    }
    if (const std::string real = blob_name(bytes); real != sha256) {
      return make_error(Errc::kMalformed, fmt::format("the bytes have the SHA-256 {}, not {}", real, sha256));
    }
    std::lock_guard lock(mutex_);
    std::error_code missing;
    const auto held = fs::file_size(path_of(sha256), missing);
    if (!missing && held == bytes.size()) return {};
    const uint64_t freed = missing ? 0 : held;
    if (total_ - freed + bytes.size() > options_.max_bytes) {
      return make_error(Errc::kFull, fmt::format("the blobs have {} of {} bytes: {} more do not fit", total_,
                                                 options_.max_bytes, bytes.size()));
    }
    if (auto written = write(sha256, bytes); !written) return written;
    total_ += bytes.size() - freed;
    return {};
  }

  Result<std::string> get(std::string_view sha256) const override {
    if (!is_sha256(sha256)) return not_a_name(sha256);
    auto bytes = read_file(path_of(sha256));
    if (!bytes && bytes.error().code == Errc::kNotFound) {
      return make_error(Errc::kNotFound, fmt::format("there is no blob {}", sha256));
    }
    if (!bytes) return bytes.error();
    if (blob_name(*bytes) != sha256) {
      return make_error(Errc::kCorrupt,
                        fmt::format("blob {}: its {} bytes are not what was stored", sha256, bytes->size()));
    }
    return bytes;
  }

  bool has(std::string_view sha256) const override {
    std::error_code failed;
    return is_sha256(sha256) && fs::is_regular_file(path_of(sha256), failed);
  }

  Result<void> remove(std::string_view sha256) override {
    if (!is_sha256(sha256)) return not_a_name(sha256);
    std::lock_guard lock(mutex_);
    std::error_code failed;
    const auto held = fs::file_size(path_of(sha256), failed);
    if (failed) return {};
    fs::remove(path_of(sha256), failed);
    if (failed) return make_error(Errc::kIo, fmt::format("removing blob {}: {}", sha256, failed.message()));
    total_ -= std::min<uint64_t>(held, total_);
    return {};
  }

  Result<void> each(const std::function<void(const std::string&, uint64_t)>& visit) const override {
    std::set<std::pair<std::string, uint64_t>> found;
    std::error_code failed;
    for (fs::recursive_directory_iterator file(folder_, failed), end; !failed && file != end; file.increment(failed)) {
      const std::string name = file->path().filename().string();
      if (file->is_regular_file(failed) && is_sha256(name)) found.emplace(name, file->file_size(failed));
    }
    if (failed) return make_error(Errc::kIo, fmt::format("reading '{}': {}", folder_.string(), failed.message()));
    for (const auto& [name, bytes] : found) visit(name, bytes);
    return {};
  }

  uint64_t total_bytes() const override {
    std::lock_guard lock(mutex_);
    return total_;
  }

 private:
  fs::path path_of(std::string_view sha256) const { return folder_ / sha256.substr(0, 2) / sha256; }

  // By a temporary file and a rename, both synced.  Under the lock: two of the same name would share the temporary one.
  Result<void> write(std::string_view sha256, std::string_view bytes) const {
    const fs::path path = path_of(sha256);
    if (auto made = make_private(path.parent_path()); !made) return made;
    if (auto synced = sync_directory(folder_); !synced) return synced;
    // The hub and the adapters of one data folder each have an object of this kind, maybe in one process.
    const fs::path temporary =
        fmt::format("{}.{}-{}{}", path.string(), ::getpid(), static_cast<const void*>(this), kUnfinished);
    const auto written = [&]() -> Result<void> {
      auto file = File::open(temporary, O_WRONLY | O_CREAT | O_TRUNC, kFileMode);
      if (!file) return file.error();
      if (auto all = file->write_all(bytes); !all) return all;
      if (auto synced = file->sync(); !synced) return synced;
      std::error_code failed;
      fs::rename(temporary, path, failed);
      if (failed) return make_error(Errc::kIo, fmt::format("rename '{}': {}", temporary.string(), failed.message()));
      return sync_directory(path.parent_path());
    }();
    std::error_code ignored;
    if (!written) fs::remove(temporary, ignored);
    return written;
  }

  const fs::path folder_;
  const BlobStoreOptions options_;
  mutable std::mutex mutex_;
  uint64_t total_ = 0;
};

}  // namespace

Result<CopiedBlobs> copy_blobs(const BlobStore& from, BlobStore& to, const std::function<bool()>& cancelled) {
  std::vector<std::string> missing;
  const auto seen = from.each([&](const std::string& name, uint64_t) {
    if (!to.has(name)) missing.push_back(name);
  });
  if (!seen) return seen.error();
  CopiedBlobs copied;
  for (const std::string& name : missing) {
    if (cancelled && cancelled()) return make_error(Errc::kUnavailable, "copying the blobs was given up");
    const auto bytes = from.get(name);
    if (!bytes && bytes.error().code == Errc::kCorrupt) {
      log_error("blobs", "not copied: {}", bytes.error().message());
      ++copied.damaged;
      continue;
    }
    if (!bytes) return bytes.error();
    if (auto put = to.put(name, *bytes); !put) return put.error();
    ++copied.count;
    copied.bytes += bytes->size();
  }
  return copied;
}

std::string blob_name(std::string_view bytes) { return hex_of(Sha256Digester().digest(bytes)); }

bool is_sha256(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Result<std::unique_ptr<BlobStore>> open_blob_folder(const std::filesystem::path& folder, BlobStoreOptions options) {
  auto store = std::make_unique<BlobFolder>(folder, options);
  if (auto opened = store->open(); !opened) return opened.error();
  return std::unique_ptr<BlobStore>(std::move(store));
}

}  // namespace millrace
