// SPDX-License-Identifier: Apache-2.0
#include "tests/support/faults/fault_file_system.h"

#include <rocksdb/system_clock.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace millrace::testing {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr uint64_t kSector = 512;

IOStatus no_power() { return IOStatus::IOError("the power is off"); }

// After a failed flush RocksDB sleeps for a second; a disk without power does not get better by that.
class ImpatientClock final : public rocksdb::SystemClockWrapper {
 public:
  using rocksdb::SystemClockWrapper::SystemClockWrapper;
  const char* Name() const override { return "ImpatientClock"; }
  void SleepForMicroseconds(int micros) override { target_->SleepForMicroseconds(std::min(micros, kLongestSleep)); }

 private:
  static constexpr int kLongestSleep = 5'000;
};

class FaultEnv final : public rocksdb::EnvWrapper {
 public:
  explicit FaultEnv(std::unique_ptr<rocksdb::Env> target) : EnvWrapper(std::move(target)) {
    file_system_ = EnvWrapper::target()->GetFileSystem();
    system_clock_ = std::make_shared<ImpatientClock>(EnvWrapper::target()->GetSystemClock());
  }
};

// The file system does not own itself; RocksDB wants to share it.
std::shared_ptr<rocksdb::FileSystem> unowned(rocksdb::FileSystem* file_system) {
  return {file_system, [](rocksdb::FileSystem*) {}};
}

}  // namespace

std::string_view name_of(FaultFileSystem::Call call) {
  switch (call) {
    case FaultFileSystem::Call::kAppend:
      return "append";
    case FaultFileSystem::Call::kSync:
      return "sync";
    case FaultFileSystem::Call::kTruncate:
      return "truncate";
    case FaultFileSystem::Call::kCreate:
      return "create";
    case FaultFileSystem::Call::kRename:
      return "rename";
    case FaultFileSystem::Call::kDelete:
      return "delete";
    case FaultFileSystem::Call::kLink:
      return "link";
    case FaultFileSystem::Call::kSyncDirectory:
      return "sync of the directory";
  }
  return "?";
}

class FaultFileSystem::WritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  WritableFile(FaultFileSystem& system, std::unique_ptr<rocksdb::FSWritableFile>&& target,
               std::shared_ptr<Content> content)
      : FSWritableFileOwnerWrapper(std::move(target)), system_(system), content_(std::move(content)) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* context) override {
    return append(data, [&](const rocksdb::Slice& bytes) { return target()->Append(bytes, options, context); });
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* context) override {
    return append(data, [&](const rocksdb::Slice& bytes) { return target()->Append(bytes, options, context); });
  }
  IOStatus PositionedAppend(const rocksdb::Slice&, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::NotSupported("direct writes");
  }
  IOStatus PositionedAppend(const rocksdb::Slice&, uint64_t, const IOOptions&, const rocksdb::DataVerificationInfo&,
                            IODebugContext*) override {
    return IOStatus::NotSupported("direct writes");
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* context) override {
    return system_.change(Call::kTruncate, [&] {
      const auto status = target()->Truncate(size, options, context);
      if (!status.ok()) return status;
      content_->size = size;
      content_->durable = std::min(content_->durable, size);
      return status;
    });
  }
  // The real sync would only cost time: what is durable is what is counted here.
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return sync(); }
  // Promises nothing.
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  bool IsSyncThreadSafe() const override { return true; }
  IOStatus Close(const IOOptions& options, IODebugContext* context) override {
    return system_.has_power() ? target()->Close(options, context) : no_power();
  }

 private:
  template <class Write>
  IOStatus append(const rocksdb::Slice& data, const Write& write) {
    const auto status = system_.change(Call::kAppend, [&] {
      const auto written = write(data);
      if (written.ok()) content_->size += data.size();
      return written;
    });
    if (status.IsNoSpace()) append_part(data, write);
    return status;
  }
  // What a full disk does: some of the bytes found room.
  template <class Write>
  void append_part(const rocksdb::Slice& data, const Write& write) {
    std::lock_guard lock(system_.mutex_);
    const size_t part = data.size() / 3;
    if (part > 0 && write(rocksdb::Slice(data.data(), part)).ok()) content_->size += part;
  }
  IOStatus sync() {
    return system_.change(Call::kSync, [&] {
      if (system_.failing_syncs_ > 0) {
        --system_.failing_syncs_;
        content_->unwritable = true;
        return IOStatus::IOError("fsync: Input/output error");
      }
      if (system_.lie_ != Lie::kAboutFiles && !content_->unwritable) content_->durable = content_->size;
      return IOStatus::OK();
    });
  }

  FaultFileSystem& system_;
  std::shared_ptr<Content> content_;
};

class FaultFileSystem::Directory final : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(FaultFileSystem& system, std::unique_ptr<rocksdb::FSDirectory>&& target, std::string path)
      : FSDirectoryWrapper(std::move(target)), system_(system), path_(std::move(path)) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*, const rocksdb::DirFsyncOptions&) override {
    return sync();
  }

 private:
  IOStatus sync() {
    return system_.change(Call::kSyncDirectory, [&] {
      if (system_.lie_ != Lie::kAboutDirectories) system_.keep_entries(path_);
      return IOStatus::OK();
    });
  }

  FaultFileSystem& system_;
  const std::string path_;
};

FaultFileSystem::Content::~Content() {
  std::error_code ignored;
  std::filesystem::remove(kept, ignored);
}

FaultFileSystem::FaultFileSystem(std::filesystem::path directory, std::filesystem::path keep, uint64_t seed, Lie lie)
    : FileSystemWrapper(rocksdb::FileSystem::Default()),
      directory_(clean(directory.string())),
      keep_(std::move(keep)),
      lie_(lie),
      env_(std::make_unique<FaultEnv>(rocksdb::NewCompositeEnv(unowned(this)))),
      random_(seed) {
  std::filesystem::create_directories(directory_);
  std::filesystem::create_directories(keep_);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
    if (!entry.is_regular_file() || entry.path().filename() == "LOCK") continue;
    auto content = content_of(entry.path().string());
    content->durable = content->size;
    durable_entries_[entry.path().string()] = content;
  }
}

FaultFileSystem::~FaultFileSystem() = default;

std::string FaultFileSystem::clean(const std::string& path) {
  std::string text = std::filesystem::path(path).lexically_normal().string();
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::string FaultFileSystem::parent(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

void FaultFileSystem::cut_power_after(uint64_t calls) {
  std::lock_guard lock(mutex_);
  cut_at_call_ = calls_ + std::max<uint64_t>(calls, 1);
}

void FaultFileSystem::cut_power() {
  std::lock_guard lock(mutex_);
  power_ = false;
}

bool FaultFileSystem::has_power() const {
  std::lock_guard lock(mutex_);
  return power_;
}

FaultFileSystem::Call FaultFileSystem::cut_at() const {
  std::lock_guard lock(mutex_);
  return cut_at_;
}

uint64_t FaultFileSystem::calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

void FaultFileSystem::fail_syncs(uint64_t times) {
  std::lock_guard lock(mutex_);
  failing_syncs_ = times;
}

void FaultFileSystem::fail_changes(IOStatus status) {
  std::lock_guard lock(mutex_);
  failure_ = std::move(status);
}

void FaultFileSystem::heal() {
  std::lock_guard lock(mutex_);
  failure_ = IOStatus::OK();
  failing_syncs_ = 0;
}

template <class Effect>
IOStatus FaultFileSystem::change(Call call, const Effect& effect) {
  std::lock_guard lock(mutex_);
  if (!power_) return no_power();
  const bool cut = ++calls_ == cut_at_call_;
  const bool before = cut && random_.next() % 2 == 0;
  if (cut) {
    power_ = false;
    cut_at_ = call;
  }
  if (before) return no_power();
  if (!failure_.ok()) return cut ? no_power() : failure_;
  const IOStatus answer = effect();
  return cut ? no_power() : answer;
}

// The entry's content; one that is new gets a second name, under which it outlives the entry.
std::shared_ptr<FaultFileSystem::Content> FaultFileSystem::content_of(const std::string& path) {
  auto& content = entries_[path];
  if (content) return content;
  content = std::make_shared<Content>();
  content->kept = keep_ / std::to_string(++kept_files_);
  std::filesystem::create_hard_link(path, content->kept);
  content->size = std::filesystem::file_size(path);
  return content;
}

IOStatus FaultFileSystem::NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                          std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* context) {
  const std::string name = clean(path);
  return change(Call::kCreate, [&] {
    // A file of that name lives on as it was until the new one's name is durable.
    std::error_code ignored;
    std::filesystem::remove(name, ignored);
    entries_.erase(name);
    const auto created = target()->NewWritableFile(path, options, file, context);
    if (!created.ok()) return created;
    auto content = content_of(name);
    unsynced_.push_back({parent(name), {{name, content}}});
    *file = std::make_unique<WritableFile>(*this, std::move(*file), content);
    return created;
  });
}

IOStatus FaultFileSystem::ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                             std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* context) {
  const std::string name = clean(path);
  return change(Call::kCreate, [&] {
    const bool known = entries_.contains(name);
    const auto opened = target()->ReopenWritableFile(path, options, file, context);
    if (!opened.ok()) return opened;
    auto content = content_of(name);
    if (!known) unsynced_.push_back({parent(name), {{name, content}}});
    *file = std::make_unique<WritableFile>(*this, std::move(*file), content);
    return opened;
  });
}

IOStatus FaultFileSystem::ReuseWritableFile(const std::string&, const std::string&, const rocksdb::FileOptions&,
                                            std::unique_ptr<rocksdb::FSWritableFile>*, IODebugContext*) {
  return IOStatus::NotSupported("files are not used again");
}

IOStatus FaultFileSystem::NewDirectory(const std::string& path, const IOOptions& options,
                                       std::unique_ptr<rocksdb::FSDirectory>* directory, IODebugContext* context) {
  const auto opened = target()->NewDirectory(path, options, directory, context);
  if (opened.ok()) *directory = std::make_unique<Directory>(*this, std::move(*directory), clean(path));
  return opened;
}

IOStatus FaultFileSystem::DeleteFile(const std::string& path, const IOOptions& options, IODebugContext* context) {
  const std::string name = clean(path);
  return change(Call::kDelete, [&] {
    const auto removed = target()->DeleteFile(path, options, context);
    if (!removed.ok()) return removed;
    entries_.erase(name);
    unsynced_.push_back({parent(name), {{name, nullptr}}});
    return removed;
  });
}

IOStatus FaultFileSystem::RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                                     IODebugContext* context) {
  const std::string old_name = clean(from);
  const std::string new_name = clean(to);
  return change(Call::kRename, [&] {
    const bool directory = std::filesystem::is_directory(old_name);
    const auto renamed = target()->RenameFile(from, to, options, context);
    if (!renamed.ok()) return renamed;
    if (directory) {
      rename_directory(old_name, new_name);
      return renamed;
    }
    auto content = entries_[old_name];
    entries_.erase(old_name);
    entries_[new_name] = content;
    unsynced_.push_back({parent(new_name), {{old_name, nullptr}, {new_name, content}}});
    return renamed;
  });
}

IOStatus FaultFileSystem::LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                                   IODebugContext* context) {
  const std::string name = clean(to);
  return change(Call::kLink, [&] {
    const auto linked = target()->LinkFile(from, to, options, context);
    if (!linked.ok()) return linked;
    auto content = content_of(clean(from));
    entries_[name] = content;
    unsynced_.push_back({parent(name), {{name, content}}});
    return linked;
  });
}

namespace {

template <class Entries>
void apply_change(const Entries& changed, Entries& entries) {
  for (const auto& [name, content] : changed) {
    if (content) {
      entries[name] = content;
    } else {
      entries.erase(name);
    }
  }
}

template <class Entries>
Entries moved(const Entries& entries, const std::string& from, const std::string& to) {
  Entries result;
  for (const auto& [name, content] : entries) {
    const bool inside = name.starts_with(from + "/");
    result[inside ? to + name.substr(from.size()) : name] = content;
  }
  return result;
}

}  // namespace

void FaultFileSystem::keep_entries(const std::string& directory) {
  const auto waiting = std::stable_partition(unsynced_.begin(), unsynced_.end(),
                                             [&](const Change& change) { return change.directory == directory; });
  for (auto it = unsynced_.begin(); it != waiting; ++it) apply_change(it->entries, durable_entries_);
  unsynced_.erase(unsynced_.begin(), waiting);
}

void FaultFileSystem::rename_directory(const std::string& from, const std::string& to) {
  entries_ = moved(entries_, from, to);
  durable_entries_ = moved(durable_entries_, from, to);
  for (Change& change : unsynced_) {
    if (change.directory == from) change.directory = to;
    change.entries = moved(change.entries, from, to);
  }
}

FaultFileSystem::Entries FaultFileSystem::entries_after_crash() {
  std::map<std::string, uint64_t> changes;  // of each directory, those that reached the disk
  for (const Change& change : unsynced_) ++changes[change.directory];
  for (auto& [directory, count] : changes) count = random_.next() % (count + 1);
  Entries entries = durable_entries_;
  for (const Change& change : unsynced_) {
    uint64_t& left = changes[change.directory];
    if (left == 0) continue;
    --left;
    apply_change(change.entries, entries);
  }
  return entries;
}

void FaultFileSystem::write_after_crash(const std::string& name, const Content& content,
                                        const std::filesystem::path& path) {
  const uint64_t loose = content.size - content.durable;
  const uint64_t kept = random_.next() % 3 == 0 ? 0 : random_.next() % (loose + 1);
  std::ifstream source(content.kept, std::ios::binary);
  std::string bytes(content.durable + kept, '\0');
  source.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  // The last sector may hold anything.  Not of a manifest: RocksDB refuses to open one whose last record does not
  // verify, which is repair's business and no loss.
  const bool manifest = std::filesystem::path(name).filename().string().starts_with("MANIFEST");
  if (kept > 0 && !manifest && random_.next() % 3 == 0) {
    const uint64_t torn = std::min(kept, 1 + random_.next() % kSector);
    for (uint64_t i = bytes.size() - torn; i < bytes.size(); ++i) bytes[i] = static_cast<char>(random_.next());
  }
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void FaultFileSystem::crash_image(const std::filesystem::path& to) {
  std::lock_guard lock(mutex_);
  std::filesystem::create_directories(to);
  for (const auto& [name, content] : entries_after_crash()) {
    write_after_crash(name, *content, to / std::filesystem::relative(name, directory_));
  }
}

}  // namespace millrace::testing
