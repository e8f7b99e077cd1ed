// SPDX-License-Identifier: Apache-2.0
#include "bus/rocksdb_log_options.h"

#include <rocksdb/cache.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include "bus/rocksdb_log_reader.h"
#include "bus/rocksdb_store.h"

namespace millrace {
namespace {

rocksdb::ColumnFamilyOptions family_options(LogFamily family, const LogStoreOptions& store,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  const bool holds_groups = family == LogFamily::kFacts || family == LogFamily::kTelemetry;
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = holds_groups ? store.write_buffer_bytes : store.write_buffer_bytes / 8;
  options.compression = holds_groups ? rocksdb::kNoCompression : rocksdb::kLZ4Compression;  // groups bring their own
  options.max_write_buffer_number = 3;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = holds_groups ? 64u << 10 : 16u << 10;
  table.cache_index_and_filter_blocks = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

rocksdb::Options log_database_options(const LogStoreOptions& store) {
  rocksdb::Options options;
  if (store.env != nullptr) options.env = store.env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  // What was only in the write-ahead log goes to a sorted file of its own when the log is opened, and that is synced.
  // After a failed fsync this is what makes the tail durable: the page cache may show it and never write it.
  options.avoid_flush_during_recovery = false;
  options.info_log = make_rocksdb_logger("log");
  options.db_write_buffer_size = store.write_buffer_bytes;
  options.max_background_jobs = 2;
  options.max_open_files = 256;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.keep_log_file_num = 1;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.max_total_wal_size = 4 * store.write_buffer_bytes;
  options.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();  // for `millrace log verify`
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> log_family_descriptors(const LogStoreOptions& store) {
  const auto cache = rocksdb::NewLRUCache(store.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (size_t i = 0; i < kLogFamilyNames.size(); ++i) {
    descriptors.emplace_back(std::string(kLogFamilyNames[i]), family_options(static_cast<LogFamily>(i), store, cache));
  }
  return descriptors;
}

}  // namespace millrace
