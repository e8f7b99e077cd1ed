// SPDX-License-Identifier: Apache-2.0
// Where a log on RocksDB keeps its schemas.  Meta "schema/<crc>" holds a binary schema, "written/<first position>" the
// crc of the one that events were written with from there on.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <vector>

#include "bus/log_schema.h"

namespace millrace {

// In order of position.  kCorrupt for one that does not have its checksum or is named and not there.
Result<std::vector<LogSchema>> read_log_schemas(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* meta);

// This program's schema itself.
void put_event_schema(rocksdb::WriteBatch& writes, rocksdb::ColumnFamilyHandle* meta);
// That it is used from `since` on.
void put_schema_use(rocksdb::WriteBatch& writes, rocksdb::ColumnFamilyHandle* meta, Position since);

}  // namespace millrace
