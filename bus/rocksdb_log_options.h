// SPDX-License-Identifier: Apache-2.0
// How the log's RocksDB is set up.
#pragma once

#include <rocksdb/db.h>

#include <vector>

#include "bus/event_log.h"

namespace millrace {

rocksdb::Options log_database_options(const LogStoreOptions& store);
// Of every LogFamily, in its order.
std::vector<rocksdb::ColumnFamilyDescriptor> log_family_descriptors(const LogStoreOptions& store);

}  // namespace millrace
