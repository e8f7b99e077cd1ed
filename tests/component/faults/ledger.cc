// SPDX-License-Identifier: Apache-2.0
#include "tests/component/faults/ledger.h"

#include <rocksdb/db.h>

#include <cstdlib>

#include "bus/hash_chain.h"
#include "bus/logging.h"
#include "bus/rocksdb_log_reader.h"
#include "bus/rocksdb_store.h"

namespace millrace::testing {

Ledger::Group Ledger::make_group() {
  Group group;
  const uint64_t events = 1 + random_.next() % 20;
  std::map<std::string, EventOrder> marks;
  for (uint64_t i = 0; i < events; ++i) {
    const std::string producer = "p" + std::to_string(random_.next() % 3);
    const uint64_t sequence = ++next_[producer];
    const uint64_t kind = random_.next() % 8;
    group.events.push_back(kind == 0  ? fact_of_size(producer, 1, sequence, 200 + random_.next() % 8000)
                           : kind < 5 ? telemetry(producer, 1, sequence)
                                      : fact(producer, 1, sequence));
    marks[producer] = {1, sequence};
  }
  for (const auto& [producer, order] : marks) group.marks.push_back({producer, order});
  return group;
}

void Ledger::confirm(const Group& group) {
  for (const Envelope& event : group.events) events_.emplace_back(event.bytes());
  for (const ProducerMark& mark : group.marks) marks_[mark.producer] = mark.order;
}

Result<Commit> Ledger::append(EventLog& log) {
  Group group = make_group();
  auto commit = log.append({group.events, group.marks, noon(static_cast<int64_t>(events_.size()))});
  if (commit) {
    confirm(group);
  } else {
    for (const Envelope& event : group.events) --next_[std::string(event.producer())];
    if (commit.error().code == Errc::kSyncFailed) unknown_ = std::move(group);
  }
  return commit;
}

std::string Ledger::compare(const EventLog& log) {
  if (unknown_ && log.last().value > events_.size()) {
    confirm(*unknown_);
    for (const ProducerMark& mark : unknown_->marks) next_[mark.producer] = mark.order.sequence;
  } else if (unknown_) {
    ++vanished_;
  }
  unknown_.reset();
  if (log.last().value != events_.size()) {
    return fmt::format("the log ends at {}, {} events are expected", log.last().value, events_.size());
  }
  for (Position after; after < log.last();) {
    const auto read = log.read(after, {.events = 4096}, {});
    if (!read) return read.error().message();
    for (const RecordedEvent& event : read->events) {
      if (event.position.value != after.value + 1) return fmt::format("a gap behind position {}", after.value);
      after = event.position;
      if (event.envelope.bytes() != events_[after.value - 1]) {
        return fmt::format("position {} holds something else", after.value);
      }
    }
    if (read->events.empty()) return fmt::format("nothing to read behind position {}", after.value);
  }
  for (const auto& [producer, order] : marks_) {
    if (log.mark(producer) != order) return fmt::format("the mark of '{}' is not {}", producer, order.sequence);
  }
  return {};
}

namespace {

Sha256 group_digest(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, uint64_t first, uint64_t count) {
  std::unique_ptr<rocksdb::Iterator> at(db.NewIterator({}, family));
  at->Seek(big_endian(first));
  if (!at->Valid() || from_big_endian(view(at->key())) >= first + count) return {};
  const std::string_view group = view(at->value());
  Sha256Digester digester;
  return digester.digest(group.substr(0, group.size() - 8));
}

std::string walk_chain(rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& families) {
  const auto family = [&](LogFamily id) { return families[static_cast<size_t>(id)]; };
  Sha256Digester digester;
  Sha256 previous{};
  uint64_t next = 1;
  std::unique_ptr<rocksdb::Iterator> at(db.NewIterator({}, family(LogFamily::kChain)));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    ChainLink link;
    if (!decode_link(view(at->value()), link)) return fmt::format("no link at position {}", next);
    if (link.first != next) return fmt::format("a link of position {} where {} was expected", link.first, next);
    const auto expected =
        next_link(previous, link.first, link.count, group_digest(db, family(LogFamily::kFacts), next, link.count),
                  group_digest(db, family(LogFamily::kTelemetry), next, link.count), digester);
    if (expected.link != link.link) return fmt::format("the link of position {} does not fit", next);
    previous = link.link;
    next += link.count;
  }
  return at->status().ok() ? "" : at->status().ToString();
}

}  // namespace

std::string chain_breach(const std::filesystem::path& directory) {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const auto name : kLogFamilyNames) descriptors.emplace_back(std::string(name), rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* opened = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly({}, directory.string(), descriptors, &families, &opened);
  if (!status.ok()) return status.ToString();
  const std::unique_ptr<rocksdb::DB> db(opened);
  auto breach = walk_chain(*db, families);
  for (auto* family : families) db->DestroyColumnFamilyHandle(family);
  return breach;
}

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void quiet_logging() {
  LoggingOptions options;
  options.level = LogLevel::kOff;
  (void)start_logging(options);
}

}  // namespace millrace::testing
