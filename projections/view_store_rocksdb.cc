// SPDX-License-Identifier: Apache-2.0
// One column family per view.  The write-ahead log is on, so that a batch over several families is atomic after a
// crash, but it is not synced: the event log is the durable one.
#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "bus/logging.h"
#include "bus/rocksdb_store.h"
#include "projections/view_store.h"

namespace millrace {
namespace {

constexpr uint64_t kMaxWalBytes = 8u << 20;
constexpr int kMaxOpenFiles = 64;

struct Database {
  std::unique_ptr<rocksdb::DB> db;
  std::map<std::string, rocksdb::ColumnFamilyHandle*, std::less<>> families;

  ~Database() {
    if (!db) return;
    for (const auto& [name, handle] : families) db->DestroyColumnFamilyHandle(handle);
  }

  Result<rocksdb::ColumnFamilyHandle*> family(std::string_view view) const {
    const auto found = families.find(view);
    if (found == families.end()) return make_error(Errc::kNotFound, fmt::format("view '{}' does not exist", view));
    return found->second;
  }
};

class RocksDbReader final : public ViewReader {
 public:
  explicit RocksDbReader(std::shared_ptr<const Database> database)
      : database_(std::move(database)), snapshot_(database_->db->GetSnapshot()) {
    options_.snapshot = snapshot_;
  }
  ~RocksDbReader() override { database_->db->ReleaseSnapshot(snapshot_); }
  RocksDbReader(const RocksDbReader&) = delete;
  RocksDbReader& operator=(const RocksDbReader&) = delete;

  Result<std::optional<std::string>> get(std::string_view view, std::string_view key) const override {
    const auto family = database_->family(view);
    if (!family) return family.error();
    std::string value;
    const auto status = database_->db->Get(options_, *family, slice(key), &value);
    if (status.IsNotFound()) return std::optional<std::string>{};
    if (!status.ok()) return error_from(status, fmt::format("reading view '{}'", view));
    return std::optional(std::move(value));
  }

  Result<void> scan(std::string_view view, const KeyRange& range, const Visitor& visitor) const override {
    const auto family = database_->family(view);
    if (!family) return family.error();
    if (!range.to.empty() && range.to <= range.from) return {};
    rocksdb::ReadOptions options = options_;
    const rocksdb::Slice lower = slice(range.from);
    const rocksdb::Slice upper = slice(range.to);
    if (!range.from.empty()) options.iterate_lower_bound = &lower;
    if (!range.to.empty()) options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> at(database_->db->NewIterator(options, *family));
    range.backwards ? at->SeekToLast() : at->SeekToFirst();
    for (; at->Valid(); range.backwards ? at->Prev() : at->Next()) {
      if (!visitor(millrace::view(at->key()), millrace::view(at->value()))) break;
    }
    if (!at->status().ok()) return error_from(at->status(), fmt::format("scanning view '{}'", view));
    return {};
  }

 private:
  std::shared_ptr<const Database> database_;
  const rocksdb::Snapshot* snapshot_;
  rocksdb::ReadOptions options_;
};

rocksdb::Options options_for(const ViewStoreOptions& wanted) {
  rocksdb::Options options;
  if (wanted.env != nullptr) options.env = wanted.env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.compression = rocksdb::kLZ4Compression;
  options.write_buffer_size = wanted.write_buffer_bytes;
  options.max_write_buffer_number = 2;
  options.target_file_size_base = 4u << 20;
  options.max_total_wal_size = kMaxWalBytes;
  options.max_open_files = kMaxOpenFiles;
  options.info_log = make_rocksdb_logger("views");
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(wanted.block_cache_bytes, /*num_shard_bits=*/0);
  table.cache_index_and_filter_blocks = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// The names that are wanted, those that are already there, and the one that RocksDB insists on.
std::vector<std::string> families_to_open(const rocksdb::Options& options, const std::string& path,
                                          const std::vector<std::string>& views) {
  std::vector<std::string> names;
  if (!rocksdb::DB::ListColumnFamilies(options, path, &names).ok()) names.clear();
  names.push_back(rocksdb::kDefaultColumnFamilyName);
  names.insert(names.end(), views.begin(), views.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

enum class Access { kWrite, kReadOnly };

Result<std::shared_ptr<Database>> open_database(const rocksdb::Options& options, const std::string& path,
                                                const std::vector<std::string>& views, Access access) {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : families_to_open(options, path, views)) descriptors.emplace_back(name, options);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto status = access == Access::kWrite
                          ? rocksdb::DB::Open(options, path, descriptors, &handles, &db)
                          : rocksdb::DB::OpenForReadOnly(options, path, descriptors, &handles, &db);
  if (!status.ok()) return error_from(status, fmt::format("opening the views in {}", path));
  auto database = std::make_shared<Database>();
  database->db.reset(db);
  for (rocksdb::ColumnFamilyHandle* handle : handles) database->families[handle->GetName()] = handle;
  return database;
}

Result<void> drop_unnamed(Database& database, const std::vector<std::string>& views) {
  for (auto at = database.families.begin(); at != database.families.end();) {
    const auto& [name, handle] = *at;
    if (name == rocksdb::kDefaultColumnFamilyName || std::find(views.begin(), views.end(), name) != views.end()) {
      ++at;
      continue;
    }
    const auto dropped = database.db->DropColumnFamily(handle);
    if (!dropped.ok()) return error_from(dropped, fmt::format("dropping view '{}'", name));
    database.db->DestroyColumnFamilyHandle(handle);
    at = database.families.erase(at);
  }
  return {};
}

// Views that do not verify are made anew, empty.
Result<std::shared_ptr<Database>> open_to_write(const rocksdb::Options& options, const std::string& path,
                                                const std::vector<std::string>& views) {
  auto database = open_database(options, path, views, Access::kWrite);
  if (!database && database.error().code == Errc::kCorrupt) {
    log_warn("views", "{}; the views are made anew from the log", database.error().context);
    const auto destroyed = rocksdb::DestroyDB(path, options);
    if (!destroyed.ok()) return error_from(destroyed, fmt::format("removing the damaged views in {}", path));
    database = open_database(options, path, views, Access::kWrite);
  }
  if (!database) return database.error();
  if (auto dropped = drop_unnamed(**database, views); !dropped) return dropped.error();
  return database;
}

// What opening needs: a sorted file for what the write-ahead log holds.
Result<void> check_room(const std::string& path) {
  struct statvfs disk {};
  if (::statvfs(path.c_str(), &disk) != 0) return {};
  const uint64_t available = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (available >= 2 * kMaxWalBytes && (disk.f_flag & ST_RDONLY) == 0) return {};
  return make_error(Errc::kFull,
                    fmt::format("the views in '{}' wait for a disk that takes writes and has {} MiB free: it "
                                "has {} MiB",
                                path, 2 * kMaxWalBytes >> 20, available >> 20));
}

// A reader of nothing, for as long as the store is closed.
class ClosedReader final : public ViewReader {
 public:
  Result<std::optional<std::string>> get(std::string_view, std::string_view) const override { return closed(); }
  Result<void> scan(std::string_view, const KeyRange&, const Visitor&) const override { return closed(); }

 private:
  static Error closed() { return make_error(Errc::kUnavailable, "the views are closed and will be opened again"); }
};

class RocksDbViewStore final : public ViewStore {
 public:
  RocksDbViewStore(rocksdb::Options options, std::string path, std::vector<std::string> views,
                   std::shared_ptr<const Database> database)
      : options_(std::move(options)),
        path_(std::move(path)),
        views_(std::move(views)),
        database_(std::move(database)) {}

  Result<void> commit(const std::vector<ViewWrite>& writes) override {
    if (broken_) return refused();
    rocksdb::WriteBatch batch;
    if (auto added = add(batch, writes); !added) return added;
    return write(batch);
  }

  Result<void> clear(std::string_view view, const std::vector<ViewWrite>& writes) override {
    if (broken_) return refused();
    const auto family = database_->family(view);
    if (!family) return family.error();
    rocksdb::WriteBatch batch;
    const std::unique_ptr<rocksdb::Iterator> at(database_->db->NewIterator({}, *family));
    at->SeekToLast();
    if (at->Valid()) batch.DeleteRange(*family, "", at->key().ToString() + '\0');
    if (!at->status().ok()) return error_from(at->status(), fmt::format("clearing view '{}'", view));
    if (auto added = add(batch, writes); !added) return added;
    return write(batch);
  }

  // The old readers keep what they have; while one of them does, RocksDB's lock refuses the second opening.
  Result<void> recover() override {
    if (!broken_) return {};
    if (auto room = check_room(path_); !room) return room;
    hold(nullptr);
    auto opened = open_to_write(options_, path_, views_);
    if (opened) {
      broken_ = false;
      hold(*opened);
      log_info("views", "the views in '{}' were opened again", path_);
      return {};
    }
    const Error error = opened.error();
    // What can be read stays readable.
    if (auto readable = open_database(options_, path_, views_, Access::kReadOnly)) hold(*readable);
    if (error.code != Errc::kConflict) return error;
    return make_error(Errc::kUnavailable, "the views wait for their last reader before they are opened again");
  }

  std::shared_ptr<const ViewReader> reader() const override {
    std::lock_guard lock(mutex_);
    if (!database_) return std::make_shared<ClosedReader>();
    return std::make_shared<RocksDbReader>(database_);
  }

 private:
  static Error refused() {
    return make_error(Errc::kUnavailable, "a write of the views failed: they wait for recovery");
  }

  Result<void> add(rocksdb::WriteBatch& batch, const std::vector<ViewWrite>& writes) const {
    for (const ViewWrite& write : writes) {
      const auto family = database_->family(write.view);
      if (!family) return family.error();
      write.value ? batch.Put(*family, write.key, *write.value) : batch.Delete(*family, write.key);
    }
    return {};
  }

  Result<void> write(rocksdb::WriteBatch& batch) {
    auto status = database_->db->Write({}, &batch);
    if (status.ok()) return {};
    const Error error = error_from(status, "writing the views");
    // A failed write leaves the database read-only until it is told that the cause may be gone, or for good.
    const auto resumed = database_->db->Resume();
    if (!resumed.ok()) log_debug("views", "resume: {}", resumed.ToString());
    broken_ = !resumed.ok();
    return error;
  }

  void hold(std::shared_ptr<const Database> database) {
    std::lock_guard lock(mutex_);
    database_.swap(database);
  }

  const rocksdb::Options options_;
  const std::string path_;
  const std::vector<std::string> views_;
  mutable std::mutex mutex_;  // guards the pointer, which only the committing thread changes
  std::shared_ptr<const Database> database_;
  bool broken_ = false;  // the committing thread's own
};

}  // namespace

Result<std::unique_ptr<ViewStore>> open_rocksdb_view_store(const std::filesystem::path& directory,
                                                           const std::vector<std::string>& views,
                                                           const ViewStoreOptions& wanted) {
  std::error_code made;
  std::filesystem::create_directories(directory, made);
  if (made) return make_error(Errc::kIo, fmt::format("creating {}: {}", directory.string(), made.message()));
  const rocksdb::Options options = options_for(wanted);
  const std::string path = directory.string();
  auto database = open_to_write(options, path, views);
  if (!database) return database.error();
  return std::make_unique<RocksDbViewStore>(options, path, views, *database);
}

}  // namespace millrace
