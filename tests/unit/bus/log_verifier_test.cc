// SPDX-License-Identifier: Apache-2.0
// A log that was changed with all its checksums made right again; what the log itself explains; the proof of numbers.
#include "bus/log_verifier.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <fstream>

#include "bus/event_group.h"
#include "bus/hash_chain.h"
#include "bus/rocksdb_log_reader.h"
#include "bus/rocksdb_store.h"
#include "tests/support/log_folder.h"

namespace millrace {
namespace {

using namespace testing;

// Writes to a log behind its back, as somebody with access to the disk could.
class Forger {
 public:
  explicit Forger(const std::filesystem::path& directory) {
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (const auto name : kLogFamilyNames) descriptors.emplace_back(std::string(name), rocksdb::ColumnFamilyOptions());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    rocksdb::Options options;
    options.info_log = make_rocksdb_logger("forger");
    EXPECT_TRUE(rocksdb::DB::Open(options, directory.string(), descriptors, &handles, &db).ok());
    db_.reset(db);
    std::copy(handles.begin(), handles.end(), families_.begin());
  }
  ~Forger() {
    for (auto* handle : families_) db_->DestroyColumnFamilyHandle(handle);
  }

  std::string get(LogFamily family, uint64_t key) {
    std::string value;
    EXPECT_TRUE(db_->Get({}, at(family), big_endian(key), &value).ok()) << key;
    return value;
  }
  void put(LogFamily family, const std::string& key, const std::string& value) {
    EXPECT_TRUE(db_->Put({}, at(family), key, value).ok());
  }
  void remove(LogFamily family, const std::string& key) { EXPECT_TRUE(db_->Delete({}, at(family), key).ok()); }
  ChainLink link(uint64_t first) {
    ChainLink link;
    EXPECT_TRUE(decode_link(get(LogFamily::kChain, first), link));
    return link;
  }
  std::vector<ChainLink> links() {
    std::vector<ChainLink> found;
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, at(LogFamily::kChain)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      found.emplace_back();
      EXPECT_TRUE(decode_link(view(it->value()), found.back()));
    }
    return found;
  }
  // The whole chain anew over what links say of their commits.
  void rechain(std::vector<ChainLink> links) {
    Sha256Digester digester;
    Sha256 tip{};
    for (ChainLink& link : links) {
      link = next_link(tip, link.first, link.count, link.facts, link.telemetry, digester);
      tip = link.link;
      put(LogFamily::kChain, big_endian(link.first), encode_link(link));
    }
  }
  // The group with one event changed, its own checksum right; gives its digest.
  Sha256 rewrite(uint64_t first) {
    const auto group = decode_group(get(LogFamily::kFacts, first)).value();
    std::vector<Envelope> envelopes;
    std::vector<GroupMember> members;
    for (const RecordedEvent& event : group.events) envelopes.push_back(event.envelope);
    schema::MachineStateChangedT lie;
    lie.text = "nothing happened";
    envelopes.back() =
        event(envelopes.back().id(), draft_of(std::move(lie), std::string(envelopes.back().machine()), noon()));
    for (size_t i = 0; i < envelopes.size(); ++i) members.push_back({group.events[i].position, envelopes[i].bytes()});
    GroupEncoder encoder;
    Sha256 digest{};
    put(LogFamily::kFacts, big_endian(first), std::string(encoder.encode(group.recorded_at, members, digest)));
    return digest;
  }

 private:
  rocksdb::ColumnFamilyHandle* at(LogFamily family) { return families_[static_cast<size_t>(family)]; }
  std::unique_ptr<rocksdb::DB> db_;
  LogFamilyHandles families_{};
};

class LogVerifier : public ::testing::Test {
 protected:
  void SetUp() override { open(); }

  void open() { log_ = open_rocksdb_event_log(directory(), clock_).value(); }
  void close() { log_.reset(); }
  std::filesystem::path directory() const { return directory_ / "log"; }

  Commit append(std::vector<Envelope> events, std::vector<ProducerMark> marks, std::optional<Position> remove = {}) {
    clock_.advance(std::chrono::seconds(2));
    return log_->append({events, marks, clock_.wall(), remove}).value();
  }
  // Commits of two facts and two samples of m1, from position 1 on.
  void write(uint64_t commits) {
    for (uint64_t i = 0; i < commits; ++i) {
      std::vector<Envelope> events;
      for (int e = 0; e < 4; ++e) {
        ++sequence_;
        events.push_back(sequence_ == 1 ? epoch_opened("m1", 1)
                         : e % 2 == 0   ? fact("m1", 1, sequence_)
                                        : telemetry("m1", 1, sequence_));
      }
      append(events, {{"m1", {1, sequence_}}});
    }
  }
  void hub_says(EventDraft draft, std::optional<Position> remove = {}) {
    ++hub_sequence_;
    append({event({"hub", 9, hub_sequence_}, std::move(draft))}, {{"hub", {9, hub_sequence_}}}, remove);
  }
  LogAnchor anchor() { return anchor_of(log_->info().value(), clock_.wall()).value(); }

  LogVerdict verify(std::optional<LogAnchor> anchor = {}) {
    close();
    VerifyOptions options;
    if (anchor) options.anchors = {*anchor};
    return verify_rocksdb_log(directory(), options).value();
  }
  void expect_first_fault(const LogVerdict& verdict, uint64_t position, const std::string& what) {
    ASSERT_FALSE(verdict.whole());
    EXPECT_EQ(verdict.faults.front().position.value, position) << verdict.faults.front().what;
    EXPECT_NE(verdict.faults.front().what.find(what), std::string::npos) << verdict.faults.front().what;
  }
  void expect_whole(const LogVerdict& verdict) {
    EXPECT_TRUE(verdict.whole()) << verdict.faults.front().position.value << ": " << verdict.faults.front().what;
  }

  ManualClock clock_;
  TemporaryDirectory directory_;
  std::unique_ptr<EventLog> log_;
  uint64_t sequence_ = 0;
  uint64_t hub_sequence_ = 0;
};

TEST_F(LogVerifier, WholeLogIsWhole) {
  write(20);
  const auto verdict = verify();
  expect_whole(verdict);
  EXPECT_EQ(verdict.commits, 20u);
  EXPECT_EQ(verdict.facts, 40u);
  EXPECT_EQ(verdict.telemetry, 40u);
  ASSERT_EQ(verdict.producers.size(), 1u);
  EXPECT_TRUE(verdict.producers[0].complete());
  EXPECT_EQ(verdict.producers[0].machines.at("m1"), 80u);
}

TEST_F(LogVerifier, ReadsBesideAnOpenLog) {
  write(20);
  expect_whole(verify_rocksdb_log(directory()).value());
}

TEST_F(LogVerifier, EmptyFolderHoldsNoLog) {
  EXPECT_EQ(verify_rocksdb_log(directory_ / "none").error().code, Errc::kNotFound);
}

TEST_F(LogVerifier, RewrittenGroupDiffersFromItsLink) {
  write(20);
  close();
  Forger(directory()).rewrite(9);
  expect_first_fault(verify(), 9, "no redaction says so");
}

TEST_F(LogVerifier, RewrittenGroupWithItsLinkDoesNotFitTheNextLink) {
  write(20);
  close();
  {
    Forger forger(directory());
    ChainLink link = forger.link(9);
    link.facts = forger.rewrite(9);
    Sha256Digester digester;
    const ChainLink forged =
        next_link(forger.link(5).link, link.first, link.count, link.facts, link.telemetry, digester);
    forger.put(LogFamily::kChain, big_endian(9), encode_link(forged));
  }
  expect_first_fault(verify(), 13, "does not follow");
}

TEST_F(LogVerifier, RewrittenChainIsFoundByTheAnchorAlone) {
  write(20);
  const LogAnchor kept = anchor();
  write(5);
  close();
  std::filesystem::remove(directory() / "DURABLE");  // the forger knows of the note
  {
    Forger forger(directory());
    auto links = forger.links();
    links[2].facts = forger.rewrite(9);
    forger.rechain(links);
  }
  expect_whole(verify());
  const auto verdict = verify(kept);
  ASSERT_FALSE(verdict.whole());
  expect_first_fault(verdict, 80, "anchor");
}

TEST_F(LogVerifier, RewrittenChainIsFoundByTheNoteOfWhatWasConfirmed) {
  write(20);
  close();
  {
    Forger forger(directory());
    auto links = forger.links();
    links[2].facts = forger.rewrite(9);
    forger.rechain(links);
  }
  expect_first_fault(verify(), 80, "the note of what was confirmed has another");
}

TEST_F(LogVerifier, AnchorHoldsWhileTheLogGrows) {
  write(20);
  const LogAnchor kept = anchor();
  write(20);
  expect_whole(verify(kept));
  expect_whole(verify(decode_anchor(encode(kept)).value()));
  expect_whole(verify(decode_anchor("as of today: " + short_text(kept) + "\n").value()));
}

TEST_F(LogVerifier, EachAnchorOfAFileIsChecked) {
  write(20);
  const LogAnchor first = anchor();
  write(20);
  LogAnchor second = anchor();
  const std::string lines = "# kept at the office\n" + short_text(first) + "  2026-11-21T14:11:53Z\n\n";
  close();
  VerifyOptions options;
  options.anchors = decode_anchors(lines + encode(second) + "\n").value();
  const auto verdict = verify_rocksdb_log(directory(), options).value();
  expect_whole(verdict);
  EXPECT_EQ(verdict.anchors_held, 2u);
  second.root.link[0] ^= 1;
  options.anchors = decode_anchors(lines + encode(second)).value();
  const auto changed = verify_rocksdb_log(directory(), options).value();
  expect_first_fault(changed, 160, "the anchor has another");
  EXPECT_EQ(changed.anchors_held, 1u);
  EXPECT_EQ(changed.anchor_faults, changed.fault_count) << "no repair would help";
}

TEST_F(LogVerifier, AnchorBeyondWhatARestoreHadIsNoSignOfAChange) {
  write(20);
  const LogAnchor early = anchor();
  write(20);
  LogAnchor late = anchor();
  close();
  std::filesystem::remove_all(directory());
  sequence_ = 0;
  open();
  write(20);
  LogAnchor same = anchor();
  ASSERT_EQ(same.root.position, early.root.position);
  schema::LogRestoredT restored;
  restored.previous_incarnation = late.incarnation = "00000000000000ff";
  restored.position = same.root.position.value;
  hub_says(draft_of(std::move(restored), "", noon()));
  write(30);
  expect_first_fault(verify(late), late.root.position.value, "up to position 80 only");
  same.incarnation = "00000000000000ff";
  expect_whole(verify(same));
}

TEST_F(LogVerifier, AnchorBeyondTheEndMeansThatTheEndIsMissing) {
  write(20);
  LogAnchor later = anchor();
  later.root.position = Position{400};
  expect_first_fault(verify(later), 400, "its end is missing");
}

TEST_F(LogVerifier, AnchorOfAnotherLogIsRefused) {
  write(3);
  LogAnchor other = anchor();
  other.incarnation = "00000000000000ff";
  EXPECT_FALSE(verify(other).whole());
}

TEST_F(LogVerifier, OneDamagedFileIsNamedAndNotBuriedUnderWhatFollows) {
  write(400);
  ASSERT_TRUE(log_->destroy_replaced());  // everything is in sorted files
  close();
  const auto sorted = files_of(directory(), ".sst");
  ASSERT_GE(sorted.size(), 5u);
  for (const auto& file : sorted) {
    const auto kept = directory_ / "kept";
    std::filesystem::copy_file(file, kept, std::filesystem::copy_options::overwrite_existing);
    std::fstream(file, std::ios::in | std::ios::out).seekp(20) << "damaged";  // in its first block of data
    const auto verdict = verify_rocksdb_log(directory()).value();
    std::filesystem::copy_file(kept, file, std::filesystem::copy_options::overwrite_existing);
    ASSERT_FALSE(verdict.whole()) << file;
    EXPECT_LT(verdict.fault_count, 20u) << file << ": " << verdict.faults.back().what;
    EXPECT_TRUE(std::any_of(verdict.faults.begin(), verdict.faults.end(), [&](const LogFault& fault) {
      return fault.file == file || fault.what.find(file.filename()) != std::string::npos;
    })) << file;
  }
  expect_whole(verify());
}

TEST_F(LogVerifier, DroppedCommitIsFound) {
  write(20);
  close();
  {
    Forger forger(directory());
    forger.remove(LogFamily::kFacts, big_endian(9));
    forger.remove(LogFamily::kTelemetry, big_endian(10));
    forger.remove(LogFamily::kChain, big_endian(9));
  }
  const auto verdict = verify();
  expect_first_fault(verdict, 9, "");
  EXPECT_TRUE(std::any_of(verdict.faults.begin(), verdict.faults.end(), [](const LogFault& fault) {
    return fault.what.find("positions 9 to 12 are missing") != std::string::npos;
  }));
}

TEST_F(LogVerifier, DroppedTelemetryIsFoundUnlessAnEventSaysThatItExpired) {
  write(20);
  close();
  Forger(directory()).remove(LogFamily::kTelemetry, big_endian(10));
  expect_first_fault(verify(), 10, "missing");
}

TEST_F(LogVerifier, ExpiredTelemetryIsLegitimate) {
  write(20);
  schema::TelemetryExpiredT expired;
  expired.through = 40;
  hub_says(draft_of(std::move(expired), "", noon()), Position{40});
  ASSERT_TRUE(log_->reclaim());
  write(5);
  const auto verdict = verify();
  expect_whole(verdict);
  EXPECT_EQ(verdict.expired, 20u);
  EXPECT_TRUE(verdict.producers[1].complete());
  EXPECT_EQ(verdict.producers[1].epochs[0].expired, 20u);
}

TEST_F(LogVerifier, RemovalThatNoEventTellsIsFound) {
  write(20);
  hub_says(draft_of(schema::ClockJumpedT{}, "", noon()), Position{40});
  expect_first_fault(verify(), 1, "removed up to position 40");
}

TEST_F(LogVerifier, SwappedCommitsAreFound) {
  write(20);
  close();
  {
    Forger forger(directory());
    const auto nine = forger.get(LogFamily::kFacts, 9);
    const auto thirteen = forger.get(LogFamily::kFacts, 13);
    forger.put(LogFamily::kFacts, big_endian(9), thirteen);
    forger.put(LogFamily::kFacts, big_endian(13), nine);
  }
  expect_first_fault(verify(), 9, "begins at position 13");
}

TEST_F(LogVerifier, ForgedMarkIndexAndEndAreFound) {
  write(20);
  close();
  {
    Forger forger(directory());
    forger.put(LogFamily::kProducers, "m1", big_endian(1) + big_endian(79));
    forger.remove(LogFamily::kMachines, machine_key("m1", 9));
    forger.put(LogFamily::kMachines, machine_key("ghost", 13), big_endian(4));
    forger.put(LogFamily::kMeta, "last", big_endian(81));
  }
  const auto verdict = verify();
  std::string all;
  for (const auto& fault : verdict.faults) all += fault.what + "\n";
  EXPECT_NE(all.find("the mark of 'm1' is 1/79"), std::string::npos) << all;
  EXPECT_NE(all.find("machine 'm1' is not in the index"), std::string::npos) << all;
  EXPECT_NE(all.find("'ghost'"), std::string::npos) << all;
  EXPECT_NE(all.find("the log says that it ends at 81"), std::string::npos) << all;
}

class LogVerifierRedaction : public LogVerifier {
 protected:
  // Group 9 replaced; the events tell of `told` as its digest afterwards.
  void redact(bool truthfully, bool again = false) {
    write(20);
    close();
    Sha256 before{};
    Sha256 after{};
    {
      Forger forger(directory());
      before = forger.link(9).facts;
      after = forger.rewrite(9);
    }
    open();
    if (!truthfully) after[0] ^= 1;
    say(before, after);
    if (again) say(after, before);
  }
  void say(const Sha256& before, const Sha256& after) {
    schema::FactsRedactedT redacted;
    auto group = std::make_unique<schema::RedactedGroupT>();
    group->first = 9;
    group->before.assign(before.begin(), before.end());
    group->after.assign(after.begin(), after.end());
    redacted.groups.push_back(std::move(group));
    hub_says(draft_of(std::move(redacted), "", noon()));
  }
};

TEST_F(LogVerifierRedaction, IsLegitimateWhenTheEventNamesBothDigests) {
  redact(true);
  const auto verdict = verify();
  expect_whole(verdict);
  EXPECT_EQ(verdict.redacted, 1u);
}

TEST_F(LogVerifierRedaction, OtherContentThanTheEventNamesIsFound) {
  redact(false);
  expect_first_fault(verify(), 9, "their last redaction");
}

TEST_F(LogVerifierRedaction, TheLatestOneCounts) {
  redact(true, true);
  expect_first_fault(verify(), 9, "their last redaction");
}

class LogVerifierProducers : public LogVerifier {
 protected:
  const ProducerProof& proof_of(const LogVerdict& verdict, const std::string& producer) {
    for (const auto& proof : verdict.producers) {
      if (proof.producer == producer) return proof;
    }
    ADD_FAILURE() << producer;
    return verdict.producers.front();
  }
};

TEST_F(LogVerifierProducers, HoleThatNobodyTellsOfIsNamed) {
  append({epoch_opened("m1", 1), fact("m1", 1, 2), fact("m1", 1, 5)}, {{"m1", {1, 5}}});
  const auto verdict = verify();
  expect_first_fault(verdict, 3, "'m1' lacks 1/3 to 1/4");
  EXPECT_FALSE(proof_of(verdict, "m1").complete());
}

TEST_F(LogVerifierProducers, HoleThatAnEventTellsOfIsNamedAndLegitimate) {
  append({epoch_opened("m1", 1)}, {{"m1", {1, 1}}});
  schema::EventsDroppedT dropped;
  dropped.producer = "m1";
  dropped.epoch = 1;
  dropped.from_sequence = 2;
  dropped.to_sequence = 4;
  dropped.reason = "outbox_lost";
  hub_says(draft_of(std::move(dropped), "m1", noon()));
  append({fact("m1", 1, 5)}, {{"m1", {1, 5}}});
  const auto verdict = verify();
  expect_whole(verdict);
  const auto& holes = proof_of(verdict, "m1").holes;
  ASSERT_EQ(holes.size(), 1u);
  EXPECT_EQ(holes[0].from, 2u);
  EXPECT_EQ(holes[0].to, 4u);
  EXPECT_EQ(holes[0].told_at, Position{2});
  EXPECT_EQ(holes[0].reason, "outbox_lost");
}

TEST_F(LogVerifierProducers, EndOfAnEpochThatWasFencedOrLostIsNamedToo) {
  append({epoch_opened("m1", 1), fact("m1", 1, 2)}, {{"m1", {1, 2}}});
  append({epoch_opened("m1", 2)}, {{"m1", {2, 1}}});
  schema::EventsDroppedT fenced;
  fenced.producer = "m1";
  fenced.epoch = 1;
  fenced.from_sequence = 3;
  fenced.to_sequence = 5;
  fenced.reason = "fenced";
  hub_says(draft_of(std::move(fenced), "m1", noon()));
  schema::EventsDroppedT rest;  // how much it was is not known
  rest.producer = "m1";
  rest.epoch = 2;
  rest.from_sequence = 2;
  rest.reason = "restored";
  hub_says(draft_of(std::move(rest), "m1", noon()));
  append({epoch_opened("m1", 3, {2, 1})}, {{"m1", {3, 1}}});
  const auto verdict = verify();
  expect_whole(verdict);
  const auto& proof = proof_of(verdict, "m1");
  EXPECT_FALSE(proof.complete());
  EXPECT_TRUE(proof.explained());
  ASSERT_EQ(proof.holes.size(), 2u);
  EXPECT_EQ(proof.holes[0].from, 3u);
  EXPECT_EQ(proof.holes[0].to, 5u);
  EXPECT_EQ(proof.holes[0].told_at, Position{4});
  EXPECT_EQ(proof.holes[1].epoch, 2u);
  EXPECT_EQ(proof.holes[1].from, 2u);
  EXPECT_EQ(proof.holes[1].to, 0u);
}

TEST_F(LogVerifierProducers, WhatAFullOutboxDroppedIsCounted) {
  append({epoch_opened("m1", 1)}, {{"m1", {1, 1}}});
  schema::EventsDroppedT dropped;
  dropped.producer = "m1";
  dropped.epoch = 1;
  dropped.count = 17;
  dropped.reason = "outbox_full";
  append({event({"m1", 1, 2}, draft_of(std::move(dropped), "m1", noon()))}, {{"m1", {1, 2}}});
  const auto verdict = verify();
  expect_whole(verdict);
  EXPECT_EQ(proof_of(verdict, "m1").never_numbered, 17u);
  EXPECT_TRUE(proof_of(verdict, "m1").complete()) << "every number is there";
}

TEST_F(LogVerifierProducers, RestOfAnEpochThatIsMissingIsNamed) {
  append({epoch_opened("m1", 1), fact("m1", 1, 2)}, {{"m1", {1, 2}}});
  append({epoch_opened("m1", 2, {1, 6})}, {{"m1", {2, 1}}});
  expect_first_fault(verify(), 3, "'m1' lacks 1/3 to 1/6");
}

TEST_F(LogVerifierProducers, NumberThatCameTwiceIsFound) {
  append({epoch_opened("m1", 1), fact("m1", 1, 2)}, {{"m1", {1, 2}}});
  append({fact("m1", 1, 2)}, {{"m1", {1, 2}}});
  EXPECT_FALSE(proof_of(verify(), "m1").complete());
}

TEST_F(LogVerifierProducers, RejectedEventUsesItsNumber) {
  append({epoch_opened("m1", 1)}, {{"m1", {1, 1}}});
  schema::EventRejectedT rejected;
  rejected.producer = "m1";
  rejected.epoch = 1;
  rejected.sequence = 2;
  ++hub_sequence_;
  append({event({"hub", 9, hub_sequence_}, draft_of(std::move(rejected), "m1", noon()))},
         {{"hub", {9, hub_sequence_}}, {"m1", {1, 2}}});
  append({fact("m1", 1, 3)}, {{"m1", {1, 3}}});
  const auto verdict = verify();
  expect_whole(verdict);
  EXPECT_EQ(proof_of(verdict, "m1").epochs[0].rejected, 1u);
}

TEST(LogAnchorText, WhatIsNoAnchorIsRefused) {
  for (const char* text : {"", "{}", "abc/1/def", "{\"incarnation\":\"x\",\"position\":0,\"root\":\"00\"}"}) {
    EXPECT_EQ(decode_anchor(text).error().code, Errc::kMalformed) << text;
    EXPECT_EQ(decode_anchors(text).error().code, Errc::kMalformed) << text;
  }
}

}  // namespace
}  // namespace millrace
