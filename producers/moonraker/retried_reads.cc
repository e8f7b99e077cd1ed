// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/retried_reads.h"

#include <vector>

namespace millrace {
namespace {

RpcReply not_asked(std::string why) {
  RpcReply reply;
  reply.kind = RpcReply::Kind::kError;
  reply.code = 503;
  reply.message = std::move(why);
  return reply;
}

}  // namespace

RetriedReads::RetriedReads(const Clock& clock, Random& random, CircuitBreaker& breaker, Send send)
    : clock_(clock), random_(random), breaker_(breaker), send_(std::move(send)) {}

void RetriedReads::ask(MachineRead read) {
  if (reads_.size() >= kMaxReads) return read.done(not_asked("too many reads are under way"));
  const uint64_t number = ++last_number_;
  reads_[number].read = std::move(read);
  attempt(number);
}

bool RetriedReads::wait_until(Asked& asked, MonotonicTime due) const {
  if (asked.read.until && due > *asked.read.until) return false;
  asked.due = due;
  return true;
}

void RetriedReads::attempt(uint64_t number) {
  Asked& asked = reads_.at(number);
  if (asked.read.wanted && !asked.read.wanted()) {
    reads_.erase(number);
    return;
  }
  if (!breaker_.lets_through()) {
    if (!wait_until(asked, breaker_.next_try()))
      finish(number, not_asked("Moonraker does not answer: it is left alone"));
    return;
  }
  asked.due.reset();
  breaker_.began();
  const MachineRead read = asked.read;  // the link may go with it, and everything here
  send_(read.method, read.params, read.timeout, [this, number](const RpcReply& reply) { on_reply(number, reply); });
}

void RetriedReads::on_reply(uint64_t number, const RpcReply& reply) {
  const auto found = reads_.find(number);
  if (found == reads_.end()) return;
  const bool failed = moonraker_failed(reply);
  if (reply.kind == RpcReply::Kind::kTimeout) {
    breaker_.failed();
  } else if (failed) {
    breaker_.undecided();
  } else {
    breaker_.succeeded();
  }
  Asked& asked = found->second;
  if (!failed || asked.retries >= kMaxReadRetries ||
      !wait_until(asked, clock_.monotonic() + read_pause(asked.retries, random_))) {
    return finish(number, reply);
  }
  ++asked.retries;
  if (const JsonRpc::Callback told = asked.read.failed) told(reply);
}

void RetriedReads::finish(uint64_t number, const RpcReply& reply) {
  const auto read = reads_.extract(number);
  read.mapped().read.done(reply);
}

std::optional<MonotonicTime> RetriedReads::next_deadline() const {
  std::optional<MonotonicTime> next;
  for (const auto& [number, asked] : reads_) {
    if (asked.due && (!next || *asked.due < *next)) next = asked.due;
  }
  return next;
}

void RetriedReads::on_timer() {
  std::vector<uint64_t> due;
  for (const auto& [number, asked] : reads_) {
    if (asked.due && *asked.due <= clock_.monotonic()) due.push_back(number);
  }
  for (const uint64_t number : due) {
    if (reads_.contains(number)) attempt(number);
  }
}

}  // namespace millrace
