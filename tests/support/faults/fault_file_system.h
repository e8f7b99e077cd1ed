// SPDX-License-Identifier: Apache-2.0
// A file system under RocksDB that fails when told to, and that can lose power.
//
// Calls go through to real files.  Beside them it keeps what a disk would still have after a loss of power: of each
// file the length that was synced, of each directory the entries that it had when it was last synced.  Once the power
// is cut every changing call fails, and crash_image() writes such a disk to another directory.  So the process lives
// on, what it had open does no harm any more, and one instant can give several disks.
//
// Stricter than most file systems: syncing a file does not keep its name, a failed fsync means that those bytes are
// never written by a later one.  Kinder than some: of what was not synced a file keeps a beginning, whose end may be
// torn; a directory keeps the first of its changes; a renamed directory keeps its new name.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bus/random.h"

namespace millrace::testing {

class FaultFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  enum class Call { kAppend, kSync, kTruncate, kCreate, kRename, kDelete, kLink, kSyncDirectory };
  enum class Lie { kNone, kAboutFiles, kAboutDirectories };

  // Over `directory`, whose content counts as durable.  What was deleted or is not yet durable is kept in `keep`, on
  // the same disk.
  FaultFileSystem(std::filesystem::path directory, std::filesystem::path keep, uint64_t seed, Lie lie = Lie::kNone);
  ~FaultFileSystem() override;

  // For LogStoreOptions::env; valid as long as this.
  rocksdb::Env* env() const { return env_.get(); }

  // Cuts the power at the `calls`th changing call from now: by chance just before its effect, or between its effect and
  // its answer.
  void cut_power_after(uint64_t calls);
  void cut_power();
  bool has_power() const;
  Call cut_at() const;     // which call it was; kAppend for cut_power()
  uint64_t calls() const;  // changing ones so far
  // What may be on the disk, at random; can be called again for another.  Precondition: the power was cut.
  void crash_image(const std::filesystem::path& to);

  // The next `times` syncs of a file fail, and what they would have written never becomes durable.
  void fail_syncs(uint64_t times);
  // Every changing call fails with this, appends after a part of their bytes, until heal().
  void fail_changes(rocksdb::IOStatus status);
  void heal();

  const char* Name() const override { return "FaultFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* context) override;

 private:
  class WritableFile;
  class Directory;
  struct Content {  // what a directory entry leads to
    std::filesystem::path kept;
    uint64_t size = 0;
    uint64_t durable = 0;
    bool unwritable = false;  // a sync failed: later ones do not help
    ~Content();
  };
  using Entries = std::map<std::string, std::shared_ptr<Content>>;  // nullptr in a change: no longer there
  struct Change {
    std::string directory;
    Entries entries;
  };

  // Runs `effect` unless the power is off or goes off before it; what it returns is the answer unless it goes off
  // after.
  template <class Effect>
  rocksdb::IOStatus change(Call call, const Effect& effect);
  std::shared_ptr<Content> content_of(const std::string& path);
  void keep_entries(const std::string& directory);
  void rename_directory(const std::string& from, const std::string& to);
  Entries entries_after_crash();
  void write_after_crash(const std::string& name, const Content& content, const std::filesystem::path& path);
  static std::string clean(const std::string& path);
  static std::string parent(const std::string& path);

  const std::filesystem::path directory_;
  const std::filesystem::path keep_;
  const Lie lie_;
  std::unique_ptr<rocksdb::Env> env_;

  mutable std::mutex mutex_;
  SeededRandom random_;
  bool power_ = true;
  uint64_t calls_ = 0;
  uint64_t cut_at_call_ = 0;  // 0: never
  Call cut_at_ = Call::kAppend;
  uint64_t failing_syncs_ = 0;
  rocksdb::IOStatus failure_;
  uint64_t kept_files_ = 0;
  Entries entries_;          // as processes see them
  Entries durable_entries_;  // as the disk has them
  std::vector<Change> unsynced_;
};

std::string_view name_of(FaultFileSystem::Call call);

}  // namespace millrace::testing
