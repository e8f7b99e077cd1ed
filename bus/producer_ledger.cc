// SPDX-License-Identifier: Apache-2.0
#include "bus/producer_ledger.h"

#include <fmt/format.h>

#include <algorithm>

namespace millrace {
namespace {

constexpr size_t kMaxDisorder = 100;  // of one producer; more say nothing new

ProducerEpoch& epoch_of(ProducerProof& proof, uint64_t epoch) {
  if (proof.epochs.empty() || proof.epochs.back().epoch != epoch) proof.epochs.push_back({.epoch = epoch});
  return proof.epochs.back();
}

}  // namespace

bool ProducerProof::complete() const { return disorder.empty() && holes.empty(); }

bool ProducerProof::explained() const {
  return disorder.empty() &&
         std::all_of(holes.begin(), holes.end(), [](const SequenceHole& hole) { return hole.told_at.value > 0; });
}

ProducerLedger::Line& ProducerLedger::line_of(std::string_view producer) {
  if (latest_ != nullptr && latest_->proof.producer == producer) return *latest_;
  auto found = lines_.find(producer);
  if (found == lines_.end()) {
    found = lines_.emplace(std::string(producer), Line{}).first;
    found->second.proof.producer = producer;
  }
  latest_ = &found->second;
  return *latest_;
}

void ProducerLedger::take(Position position, const Envelope& envelope) {
  if (const auto* rejected = envelope.as<schema::EventRejected>(); rejected != nullptr && rejected->epoch() > 0) {
    Line& line = line_of(text(rejected->producer()));
    const EventOrder order{rejected->epoch(), rejected->sequence()};
    if (order.epoch > line.last.epoch) open_epoch(line, order, nullptr, position);
    number(line, order, position, true);
  }
  if (const auto* dropped = envelope.as<schema::EventsDropped>(); dropped != nullptr) {
    note_dropped(*dropped, position, envelope.producer());
  }
  Line& line = line_of(envelope.producer());
  if (envelope.epoch() > line.last.epoch) {
    open_epoch(line, envelope.order(), envelope.as<schema::EpochOpened>(), position);
  }
  number(line, envelope.order(), position, false);
  auto& machines = line.proof.machines;
  const auto machine = envelope.machine();
  const auto found = machines.find(machine);
  if (found == machines.end()) {
    machines.emplace(std::string(machine), 1);
  } else {
    ++found->second;
  }
}

void ProducerLedger::note_dropped(const schema::EventsDropped& dropped, Position position, std::string_view by) {
  if (dropped.from_sequence() == 0) {
    line_of(by).proof.never_numbered += dropped.count();
    return;
  }
  told_[std::string(text(dropped.producer()))].push_back(
      {dropped.epoch(), dropped.from_sequence(), dropped.to_sequence(), position, std::string(text(dropped.reason()))});
}

// What the new epoch says about the one before.
void ProducerLedger::open_epoch(Line& line, EventOrder order, const schema::EpochOpened* opened, Position position) {
  if (opened != nullptr && line.last.epoch > 0) {
    const EventOrder previous{opened->previous_epoch(), opened->previous_last_sequence()};
    if (previous.epoch == line.last.epoch && previous.sequence > line.last.sequence) {
      missing(line, previous.epoch, line.last.sequence + 1, previous.sequence, position);
    } else if (previous.epoch > line.last.epoch && previous.epoch < order.epoch && previous.sequence > 0) {
      missing(line, previous.epoch, 1, previous.sequence, position);
    }
  }
  line.last = {order.epoch, 0};
}

void ProducerLedger::number(Line& line, EventOrder order, Position position, bool rejected) {
  if (order <= line.last) {
    if (line.proof.disorder.size() < kMaxDisorder) {
      line.proof.disorder.push_back(fmt::format("{}/{} at position {} comes after {}/{}", order.epoch, order.sequence,
                                                position.value, line.last.epoch, line.last.sequence));
    }
    return;
  }
  if (order.sequence > line.last.sequence + 1) {
    missing(line, order.epoch, line.last.sequence + 1, order.sequence - 1, position);
  }
  ProducerEpoch& epoch = epoch_of(line.proof, order.epoch);
  if (epoch.first == 0) epoch.first = order.sequence;
  epoch.last = order.sequence;
  ++(rejected ? epoch.rejected : epoch.events);
  line.last = order;
  line.expired_before = expired_;
}

void ProducerLedger::missing(Line& line, uint64_t epoch, uint64_t from, uint64_t to, Position position) {
  const uint64_t count = to - from + 1;
  if (count <= expired_ - line.expired_before) {
    epoch_of(line.proof, epoch).expired += count;
    line.expired_before += count;
    return;
  }
  line.proof.holes.push_back({epoch, from, to, position, {}, {}});
}

// Splits each hole into the parts that are told of and those that are not.
void ProducerLedger::explain(ProducerProof& proof, const std::vector<Told>& told) {
  std::vector<SequenceHole> holes;
  for (SequenceHole rest : proof.holes) {
    while (rest.from <= rest.to) {
      const Told* next = nullptr;  // the first one that reaches into the rest
      for (const Told& entry : told) {
        if (entry.epoch != rest.epoch || entry.to < rest.from || entry.from > rest.to) continue;
        if (next == nullptr || entry.from < next->from) next = &entry;
      }
      if (next == nullptr) break;
      if (next->from > rest.from) {
        holes.push_back({rest.epoch, rest.from, next->from - 1, rest.before, {}, {}});
        rest.from = next->from;
      }
      const uint64_t end = std::min(rest.to, next->to);
      holes.push_back({rest.epoch, rest.from, end, rest.before, next->at, next->reason});
      rest.from = end + 1;
    }
    if (rest.from <= rest.to) holes.push_back(rest);
  }
  proof.holes = std::move(holes);
}

// Behind the last event of an epoch no number shows what is missing: only who fenced, restored or repaired knows of it.
void ProducerLedger::add_told_ends(ProducerProof& proof, const std::vector<Told>& told) {
  std::map<uint64_t, uint64_t> reached;  // epoch -> the last number that is there or in a hole
  for (const ProducerEpoch& epoch : proof.epochs) reached[epoch.epoch] = epoch.last;
  for (const SequenceHole& hole : proof.holes) reached[hole.epoch] = std::max(reached[hole.epoch], hole.to);
  for (const Told& entry : told) {
    uint64_t& end = reached[entry.epoch];
    const uint64_t from = std::max(entry.from, end + 1);
    if (entry.to != 0 && entry.to < from) continue;
    proof.holes.push_back({entry.epoch, from, entry.to, entry.at, entry.at, entry.reason});
    end = std::max(end, entry.to);
  }
  std::stable_sort(proof.holes.begin(), proof.holes.end(), [](const SequenceHole& a, const SequenceHole& b) {
    return std::pair(a.epoch, a.from) < std::pair(b.epoch, b.from);
  });
}

EventOrder ProducerLedger::last(std::string_view producer) const {
  const auto found = lines_.find(producer);
  return found == lines_.end() ? EventOrder{} : found->second.last;
}

std::vector<ProducerProof> ProducerLedger::finish(const std::vector<ProducerMark>& marks) {
  for (const ProducerMark& mark : marks) {
    Line& line = line_of(mark.producer);
    const bool same_epoch = mark.order.epoch == line.last.epoch;
    if (!same_epoch || mark.order.sequence <= line.last.sequence) continue;
    const uint64_t count = mark.order.sequence - line.last.sequence;
    if (count > expired_ - line.expired_before) continue;  // the mark is wrong: the caller compares it with last()
    epoch_of(line.proof, mark.order.epoch).expired += count;
    line.last = mark.order;
  }
  std::vector<ProducerProof> proofs;
  for (auto& [producer, line] : lines_) {
    if (const auto found = told_.find(producer); found != told_.end()) {
      explain(line.proof, found->second);
      add_told_ends(line.proof, found->second);
    }
    proofs.push_back(line.proof);
  }
  return proofs;
}

}  // namespace millrace
