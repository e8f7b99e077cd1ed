// SPDX-License-Identifier: Apache-2.0
#include "bus/rocksdb_log_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "bus/crc32.h"
#include "bus/rocksdb_log_reader.h"
#include "bus/rocksdb_store.h"

namespace millrace {
namespace {

constexpr std::string_view kSchemaPrefix = "schema/";
constexpr std::string_view kWrittenPrefix = "written/";

std::string name_of_schema(uint32_t crc) { return fmt::format("{:08x}", crc); }

// Everything below `prefix`, without it.
Result<std::map<std::string, std::string>> read_prefix(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* meta,
                                                       std::string_view prefix) {
  std::map<std::string, std::string> found;
  std::unique_ptr<rocksdb::Iterator> it(db.NewIterator({}, meta));
  for (it->Seek(slice(prefix)); it->Valid() && view(it->key()).starts_with(prefix); it->Next()) {
    found.emplace(view(it->key()).substr(prefix.size()), view(it->value()));
  }
  if (!it->status().ok()) return error_from(it->status(), "the log's schemas");
  return found;
}

// A log from before uses were noted: the schema that no use names wrote its beginning.
void add_beginning(const std::map<std::string, std::string>& bodies, std::map<std::string, std::string>& uses) {
  if (uses.contains(big_endian(1))) return;
  for (const auto& [name, bfbs] : bodies) {
    const bool named =
        std::any_of(uses.begin(), uses.end(), [&crc = name](const auto& use) { return use.second == crc; });
    if (named) continue;
    uses.emplace(big_endian(1), name);
    return;
  }
}

}  // namespace

Result<std::vector<LogSchema>> read_log_schemas(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* meta) {
  const auto bodies = read_prefix(db, meta, kSchemaPrefix);
  if (!bodies) return bodies.error();
  auto uses = read_prefix(db, meta, kWrittenPrefix);
  if (!uses) return uses.error();
  add_beginning(*bodies, *uses);
  std::vector<LogSchema> schemas;
  for (const auto& [since, name] : *uses) {
    const auto body = bodies->find(name);
    if (since.size() != 8 || body == bodies->end() || name_of_schema(crc32_of(body->second)) != name) {
      return make_error(Errc::kCorrupt, fmt::format("the log's schema '{}' is missing or damaged", name));
    }
    schemas.push_back({Position{from_big_endian(since)}, crc32_of(body->second), body->second});
  }
  return schemas;
}

Result<void> check_log_format(const std::filesystem::path& directory, uint64_t format) {
  if (format <= kLogFormat) return {};
  return make_error(Errc::kIncompatible, fmt::format("the log in '{}' has format {}, this program knows up to {}",
                                                     directory.string(), format, kLogFormat));
}

Result<void> check_log_schema(const std::filesystem::path& directory, std::string_view bfbs) {
  const auto known = check_schema_known(bfbs);
  if (known) return {};
  return make_error(known.error().code, fmt::format("the log in '{}': {}", directory.string(), known.error().context));
}

Result<std::vector<LogSchema>> read_known_schemas(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* meta,
                                                  const std::filesystem::path& directory) {
  auto schemas = read_log_schemas(db, meta);
  if (!schemas) return schemas;
  for (const LogSchema& schema : *schemas) {
    if (auto known = check_log_schema(directory, schema.bfbs); !known) return known.error();
  }
  return schemas;
}

void put_event_schema(rocksdb::WriteBatch& writes, rocksdb::ColumnFamilyHandle* meta) {
  writes.Put(meta, std::string(kSchemaPrefix) + name_of_schema(own_event_schema_crc()), slice(own_event_schema()));
}

void put_schema_use(rocksdb::WriteBatch& writes, rocksdb::ColumnFamilyHandle* meta, Position since) {
  writes.Put(meta, std::string(kWrittenPrefix) + big_endian(since.value), name_of_schema(own_event_schema_crc()));
}

}  // namespace millrace
