// SPDX-License-Identifier: Apache-2.0
// Where a log on RocksDB keeps its schemas.  Meta "schema/<crc>" holds a binary schema, "written/<first position>" the
// crc of the one that events were written with from there on.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <filesystem>
#include <string_view>
#include <vector>

#include "bus/log_schema.h"

namespace millrace {

// In order of position.  kCorrupt for one that does not have its checksum or is named and not there.
Result<std::vector<LogSchema>> read_log_schemas(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* meta);

// kIncompatible, naming the log, when a newer program wrote it: with a format, or a schema that knows more, than this
// program has.  kCorrupt when `bfbs` is no schema.
Result<void> check_log_format(const std::filesystem::path& directory, uint64_t format);
Result<void> check_log_schema(const std::filesystem::path& directory, std::string_view bfbs);

// read_log_schemas() and check_log_schema() of each.
Result<std::vector<LogSchema>> read_known_schemas(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* meta,
                                                  const std::filesystem::path& directory);

// This program's schema itself.
void put_event_schema(rocksdb::WriteBatch& writes, rocksdb::ColumnFamilyHandle* meta);
// That it is used from `since` on.
void put_schema_use(rocksdb::WriteBatch& writes, rocksdb::ColumnFamilyHandle* meta, Position since);

}  // namespace millrace
