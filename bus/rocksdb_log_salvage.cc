// SPDX-License-Identifier: Apache-2.0
#include "bus/rocksdb_log_salvage.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/write_batch.h>

#include <algorithm>

#include "bus/file_io.h"
#include "bus/rocksdb_log_files.h"
#include "bus/rocksdb_log_reader.h"
#include "bus/rocksdb_store.h"

namespace millrace {
namespace {

constexpr size_t kWindow = 8u << 20;   // read at once
constexpr size_t kOverlap = 4u << 20;  // the largest group: a megabyte of events, and one more, badly compressed

std::optional<LogFamily> family_named(std::string_view name) {
  const auto found = std::find(kLogFamilyNames.begin(), kLogFamilyNames.end(), name);
  if (found == kLogFamilyNames.end()) return std::nullopt;
  return static_cast<LogFamily>(found - kLogFamilyNames.begin());
}

class Collector {
 public:
  explicit Collector(Salvage& salvage) : salvage_(salvage) {}

  // A row of any family but those of the groups.
  void row(LogFamily family, std::string_view key, std::string_view value) {
    if (family == LogFamily::kMeta) meta(key, value);
    if (family == LogFamily::kProducers && value.size() == 16 && !is_ended_key(key)) {
      EventOrder& mark = salvage_.marks[std::string(key)];
      mark = std::max(mark, EventOrder{from_big_endian(value), from_big_endian(value.substr(8))});
    }
    if (family == LogFamily::kMachines && key.size() > 9 && value.size() == 8) {
      salvage_.commit_counts[from_big_endian(key.substr(key.size() - 8))] = from_big_endian(value);
    }
    ChainLink link;
    if (family == LogFamily::kChain && key.size() == 8 && decode_link(value, link) &&
        from_big_endian(key) == link.first) {
      salvage_.links[link.first] = link;
    }
  }

  // Every whole group in `bytes`; `place` completes what is known of each.
  template <class Place>
  void groups_in(std::string_view bytes, size_t begin_before, Place place) {
    for (auto found = find_group(bytes, 0); found && found->offset < begin_before;) {
      const auto value = bytes.substr(found->offset, found->length);
      SavedGroup saved;
      const auto group = decode_group(value, saved.digest);
      if (group) {
        saved.last = group->events.back().position.value;
        saved.length = static_cast<uint32_t>(value.size());
        place(saved, found->offset, value);
        keep(*group, std::move(saved));
      }
      found = find_group(bytes, found->offset + (group ? found->length : 1));
    }
  }

 private:
  void meta(std::string_view key, std::string_view value) {
    if (key.starts_with("schema/")) {
      salvage_.schemas[std::string(key)] = value;
    } else if (value.size() == 8) {
      uint64_t& number = salvage_.numbers[std::string(key)];
      number = std::max(number, from_big_endian(value));
    }
  }

  void keep(const EventGroup& group, SavedGroup saved) {
    const uint64_t first = group.events.front().position.value;
    const bool facts = group.events.front().envelope.family() == Family::kFact;
    auto& groups = facts ? salvage_.facts : salvage_.telemetry;
    const auto [begin, end] = groups.equal_range(first);
    if (std::any_of(begin, end, [&](const auto& other) { return other.second.digest == saved.digest; })) return;
    if (facts) note_what_they_say(group);
    groups.emplace(first, std::move(saved));
  }

  void note_what_they_say(const EventGroup& group) {
    for (const RecordedEvent& event : group.events) {
      if (const auto* expired = event.envelope.as<schema::TelemetryExpired>()) {
        salvage_.removed_through = std::max(salvage_.removed_through, expired->through());
      }
      const auto* redacted = event.envelope.as<schema::FactsRedacted>();
      if (redacted == nullptr || redacted->groups() == nullptr) continue;
      for (const auto* changed : *redacted->groups()) {
        Sha256 after{};
        if (changed->after() == nullptr || changed->after()->size() != after.size()) continue;
        std::copy(changed->after()->begin(), changed->after()->end(), after.begin());
        redactions_[changed->first()][event.position.value] = after;
        auto& list = salvage_.redactions[changed->first()];
        list.clear();
        for (const auto& [position, digest] : redactions_[changed->first()]) list.push_back(digest);
      }
    }
  }

  Salvage& salvage_;
  std::map<uint64_t, std::map<uint64_t, Sha256>> redactions_;  // group -> position of the redaction -> digest
};

// The rows of one write batch, as its write-ahead log has it.
class BatchRows final : public rocksdb::WriteBatch::Handler {
 public:
  explicit BatchRows(Collector& collector) : collector_(collector) {}
  rocksdb::Status PutCF(uint32_t family, const rocksdb::Slice& key, const rocksdb::Slice& value) override {
    // The families were created in their order, so their numbers are their places.
    if (family < kLogFamilyNames.size()) collector_.row(static_cast<LogFamily>(family), view(key), view(value));
    return {};
  }
  rocksdb::Status DeleteCF(uint32_t, const rocksdb::Slice&) override { return {}; }
  rocksdb::Status DeleteRangeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override { return {}; }
  rocksdb::Status SingleDeleteCF(uint32_t, const rocksdb::Slice&) override { return {}; }
  rocksdb::Status MergeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override { return {}; }
  void LogData(const rocksdb::Slice&) override {}

 private:
  Collector& collector_;
};

void read_write_ahead(const std::filesystem::path& path, Collector& collector, Salvage& salvage) {
  const auto scan = scan_records(path, [&](std::string_view record) {
    collector.groups_in(record, record.size(),
                        [](SavedGroup& saved, size_t, std::string_view value) { saved.bytes = value; });
    BatchRows rows(collector);
    (void)rocksdb::WriteBatch(std::string(record)).Iterate(&rows);
  });
  if (!scan) {
    salvage.damage.push_back(fmt::format("'{}': {}", path.string(), scan.error().message()));
  } else if (scan->first_bad) {
    salvage.damage.push_back(
        fmt::format("'{}': does not verify from byte {} of {} on", path.string(), *scan->first_bad, scan->bytes));
  }
}

// A damaged block makes the whole of its groups suspect to the store; their own checksums say which of them are good.
void carve_groups(const std::filesystem::path& path, Collector& collector, Salvage& salvage) {
  const auto file = File::open(path, O_RDONLY);
  if (!file) return salvage.damage.push_back(file.error().message());
  for (uint64_t offset = 0;; offset += kWindow) {
    const auto bytes = file->read_at(offset, kWindow + kOverlap);
    if (!bytes) return salvage.damage.push_back(bytes.error().message());
    collector.groups_in(*bytes, kWindow, [&](SavedGroup& saved, size_t at, std::string_view) {
      saved.file = path;
      saved.offset = offset + at;
    });
    if (bytes->size() < kWindow + kOverlap) return;
  }
}

// Rows behind a damaged block are found by asking for keys that may be there: the beginnings of groups.
void read_rows(rocksdb::SstFileReader& reader, LogFamily family, const std::set<uint64_t>& positions,
               Collector& collector) {
  std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(log_scan_options()));
  uint64_t last = 0;
  const auto take_all = [&] {
    for (; it->Valid(); it->Next()) {
      collector.row(family, view(it->key()), view(it->value()));
      if (family == LogFamily::kChain && it->key().size() == 8) last = from_big_endian(view(it->key()));
    }
  };
  it->SeekToFirst();
  take_all();
  while (!it->status().ok() && family == LogFamily::kChain) {
    const auto next = positions.upper_bound(last);
    if (next == positions.end()) return;
    last = *next;
    it->Seek(big_endian(last));
    take_all();
  }
}

void read_sorted(const std::filesystem::path& path, const std::set<uint64_t>& positions, Collector& collector,
                 Salvage& salvage) {
  rocksdb::Options options;
  options.info_log = make_rocksdb_logger("log");
  options.info_log->SetInfoLogLevel(rocksdb::InfoLogLevel::ERROR_LEVEL);  // it warns of every file opened by itself
  rocksdb::SstFileReader reader(options);
  if (const auto status = reader.Open(path.string()); !status.ok()) {
    return salvage.damage.push_back(fmt::format("'{}': {}", path.string(), status.ToString()));
  }
  const auto properties = reader.GetTableProperties();
  const auto family = family_named(properties ? properties->column_family_name : std::string());
  if (family && *family != LogFamily::kFacts && *family != LogFamily::kTelemetry) {
    read_rows(reader, *family, positions, collector);
  }
  if (const auto status = reader.VerifyChecksum(); !status.ok()) {
    salvage.damage.push_back(fmt::format("'{}': {}", path.string(), status.ToString()));
  }
}

}  // namespace

Salvage salvage_log(const std::filesystem::path& directory) {
  Salvage salvage;
  Collector collector(salvage);
  const LogFolder folder = look_at_log_folder(directory);
  for (const auto& path : folder.sorted) carve_groups(path, collector, salvage);
  for (const auto& path : folder.write_ahead) read_write_ahead(path, collector, salvage);
  std::set<uint64_t> positions;
  for (const auto* groups : {&salvage.facts, &salvage.telemetry}) {
    for (const auto& [first, group] : *groups) positions.insert(first);
  }
  for (const auto& path : folder.sorted) read_sorted(path, positions, collector, salvage);
  salvage.removed_through = std::max(salvage.removed_through, salvage.numbers[std::string(kLogRemovedKey)]);
  return salvage;
}

Result<std::string> bytes_of(const SavedGroup& group) {
  if (group.file.empty()) return group.bytes;
  const auto file = File::open(group.file, O_RDONLY);
  if (!file) return file.error();
  auto bytes = file->read_at(group.offset, group.length);
  if (bytes && bytes->size() != group.length) {
    return make_error(Errc::kCorrupt, fmt::format("'{}' has become shorter", group.file.string()));
  }
  return bytes;
}

}  // namespace millrace
