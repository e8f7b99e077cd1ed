// SPDX-License-Identifier: Apache-2.0
#include "bus/bare_group_store.h"
#include "bus/event_group.h"
#include "bus/rocksdb_leased.h"
#include "bus/rocksdb_log_options.h"
#include "bus/rocksdb_store.h"

namespace millrace {
namespace {

class RocksdbBareGroupStore final : public BareGroupStore {
 public:
  explicit RocksdbBareGroupStore(std::unique_ptr<OpenLogDatabase> open) : open_(std::move(open)) {}

  Result<void> append(std::span<const Envelope> envelopes, WallTime recorded_at) override {
    std::vector<GroupMember> facts;
    std::vector<GroupMember> telemetry;
    for (const Envelope& envelope : envelopes) {
      (envelope.family() == Family::kFact ? facts : telemetry).push_back({last_, envelope.bytes()});
      last_ = last_ + 1;
    }
    writes_.Clear();
    for (const auto& [family, members] :
         {std::pair{LogFamily::kFacts, &facts}, std::pair{LogFamily::kTelemetry, &telemetry}}) {
      if (members->empty()) continue;
      Sha256 none{};
      writes_.Put(open_->family(family), big_endian(members->front().position.value),
                  slice(encoder_.encode(recorded_at, *members, none)));
    }
    rocksdb::WriteOptions options;
    options.sync = true;
    const auto status = open_->db->Write(options, &writes_);
    if (!status.ok()) return error_from(status, "append");
    handed_on_.assign(envelopes.begin(), envelopes.end());
    return {};
  }

 private:
  std::unique_ptr<OpenLogDatabase> open_;
  Position last_;
  GroupEncoder encoder_{GroupEncoder::Digests::kNo};
  rocksdb::WriteBatch writes_;
  std::vector<Envelope> handed_on_;
};

}  // namespace

Result<std::unique_ptr<BareGroupStore>> make_bare_group_store(const std::filesystem::path& directory) {
  auto open = std::make_unique<OpenLogDatabase>();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto status =
      rocksdb::DB::Open(log_database_options({}), directory.string(), log_family_descriptors({}), &handles, &db);
  if (!status.ok()) return error_from(status, "store");
  open->db.reset(db);
  std::copy(handles.begin(), handles.end(), open->families.begin());
  return std::make_unique<RocksdbBareGroupStore>(std::move(open));
}

}  // namespace millrace
