// SPDX-License-Identifier: Apache-2.0
// What every RocksDB of the house has in common: big-endian keys, errors, and a logger that leads to our own log (the
// library's own text file may abort the process on a full disk).  Included only by files that wrap RocksDB.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <memory>
#include <string>
#include <string_view>

#include "bus/result.h"

namespace millrace {

std::shared_ptr<rocksdb::Logger> make_rocksdb_logger(std::string component);

// kCorrupt, kConflict (locked by another process), kFull (no space) or kIo, with the status's text after `what`.
Error error_from(const rocksdb::Status& status, std::string_view what);

inline rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view view(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

std::string big_endian(uint64_t number);
// The first 8 bytes of `key`; precondition: it has them.
uint64_t from_big_endian(std::string_view key);

}  // namespace millrace
