// SPDX-License-Identifier: Apache-2.0
#include "consumers/machine_config_publisher.h"

#include <chrono>

#include "bus/ids.h"

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kRetry{500};  // after a publish that found no connection or no room

}  // namespace

MachineConfigPublisher::MachineConfigPublisher(MqttClient& publisher, const Topics& topics)
    : publisher_(publisher), topics_(topics) {}

MachineConfigPublisher::~MachineConfigPublisher() { stop(); }

void MachineConfigPublisher::start() {
  publisher_.on_connected([this] {
    {
      std::lock_guard lock(mutex_);
      for (const auto& [id, entry] : known_) due_.insert(id);
      list_due_ = begun_;
    }
    wake_.notify_all();
  });
  thread_ = std::thread([this] { run(); });
}

void MachineConfigPublisher::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void MachineConfigPublisher::keep(Entry entry) {
  const auto known = known_.find(entry.id);
  if (known != known_.end() && known->second.version > entry.version) return;
  due_.insert(entry.id);
  const std::string id = entry.id;
  known_.insert_or_assign(id, std::move(entry));
}

void MachineConfigPublisher::begin(std::vector<Entry> all) {
  {
    std::lock_guard lock(mutex_);
    for (Entry& entry : all) keep(std::move(entry));
    begun_ = list_due_ = true;
  }
  wake_.notify_all();
}

void MachineConfigPublisher::changed(Entry entry) {
  {
    std::lock_guard lock(mutex_);
    keep(std::move(entry));
    list_due_ = true;
  }
  wake_.notify_all();
}

void MachineConfigPublisher::latched(const std::string& machine, uint64_t position) {
  {
    std::lock_guard lock(mutex_);
    if (latches_.size() >= kMaxRegisteredMachines && !latches_.contains(machine)) return;
    auto& latch = latches_[machine];
    if (std::exchange(latch, position) == position || !known_.contains(machine)) return;
    due_.insert(machine);
    list_due_ = true;
  }
  wake_.notify_all();
}

// The list goes first: an adapter takes up a machine only when the list has it too.
bool MachineConfigPublisher::publish_all(const std::vector<std::string>& list,
                                         const std::map<std::string, std::string>& messages) {
  if (!publisher_.publish(topics_.config(kHubProducer), encode_machine_list(list), 1, Retain::kYes)) return false;
  for (const auto& [id, payload] : messages) {
    if (!publisher_.publish(topics_.config(id), payload, 1, Retain::kYes)) return false;
  }
  return true;
}

bool MachineConfigPublisher::publish_due() {
  std::vector<std::string> list;
  std::map<std::string, std::string> messages;
  std::set<std::string> due;
  {
    std::lock_guard lock(mutex_);
    if (!begun_ || !list_due_) return true;
    for (const auto& [id, entry] : known_) {
      if (entry.connection) list.push_back(id);
    }
    for (const std::string& id : due_) {
      auto connection = known_.at(id).connection;
      if (const auto latch = latches_.find(id); connection && latch != latches_.end()) {
        connection->emergency_latch = latch->second;
      }
      messages[id] = connection ? encode(*connection) : "";  // an empty message takes the retained one away
    }
    due.swap(due_);
    list_due_ = false;
  }
  if (publish_all(list, messages)) return true;
  std::lock_guard lock(mutex_);
  due_.merge(due);
  list_due_ = true;
  return false;
}

void MachineConfigPublisher::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || (begun_ && list_due_); });
      if (stopping_) return;
    }
    if (publish_due()) continue;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kRetry, [this] { return stopping_; });
  }
}

}  // namespace millrace
