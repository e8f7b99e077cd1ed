// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/line/fake_broker.h"

#include <algorithm>

namespace millrace::testing {
namespace {

constexpr Micros kReconnectMax{300'000};

bool matches(std::string_view filter, std::string_view topic) {
  if (!filter.ends_with("/+")) return filter == topic;
  filter.remove_suffix(1);
  return topic.starts_with(filter) && topic.find('/', filter.size()) == std::string_view::npos;
}

}  // namespace

class FakeBroker::Link final : public MqttClient {
 public:
  explicit Link(FakeBroker& broker) : broker_(broker) { broker_.links_.push_back(this); }
  ~Link() override { std::erase(broker_.links_, this); }

  void on_message(std::function<void(const MqttClient::Message&)> callback) override { message_ = std::move(callback); }
  void on_connected(std::function<void()> callback) override { connected_ = std::move(callback); }
  void on_disconnected(std::function<void(std::string)> callback) override { lost_ = std::move(callback); }
  void on_room(std::function<void()>) override {}
  void subscribe(std::string filter, int) override { filters.push_back(std::move(filter)); }
  void start() override { started = true; }
  void stop() override { started = false; }
  bool connected() const override { return connection != 0; }
  Result<void> publish(std::string_view topic, std::string_view payload, int, Retain retain) override {
    if (connection == 0) return make_error(Errc::kUnavailable, "not connected");
    if (broker_.chance(broker_.faults.refused)) return make_error(Errc::kFull, "too many under way");
    broker_.accept(connection, {std::string(topic), std::string(payload), retain == Retain::kYes, false});
    return {};
  }

  void come(uint64_t number) {
    connection = number;
    if (connected_) connected_();
  }
  void lose(MonotonicTime until) {
    if (connection == 0) return;
    connection = 0;
    retry_at = until;
    if (lost_) lost_("cut");
  }
  void hear(const FakeBroker::Message& message) const {
    if (message_) message_({message.topic, message.payload, message.retained});
  }

  uint64_t connection = 0;  // 0: none
  MonotonicTime retry_at{};
  bool started = false;
  std::vector<std::string> filters;

 private:
  FakeBroker& broker_;
  std::function<void(const MqttClient::Message&)> message_;
  std::function<void()> connected_;
  std::function<void(std::string)> lost_;
};

std::unique_ptr<MqttClient> FakeBroker::link() { return std::make_unique<Link>(*this); }

void FakeBroker::stop() {
  running_ = false;
  inbound_.clear();
  outbound_.clear();
  for (Link* link : links_) link->lose(clock_.monotonic() + up_to(kReconnectMax));
}

void FakeBroker::cut_one() {
  if (links_.empty()) return;
  Link& link = *links_[random_.next() % links_.size()];
  const uint64_t gone = link.connection;
  std::erase_if(outbound_, [&](const auto& way) { return way.first.first == gone; });
  link.lose(clock_.monotonic() + up_to(kReconnectMax));
}

void FakeBroker::accept(uint64_t connection, Message message) {
  if (chance(faults.repeated)) {
    repetitions_.emplace_back(clock_.monotonic() + up_to(faults.repeat_delay_max), message);
  }
  if (!chance(faults.lost)) put(inbound_, connection, std::move(message));
}

void FakeBroker::put(std::map<WayKey, Way>& ways, uint64_t connection, Message message) {
  auto& messages = ways[{connection, message.topic}].messages;
  const MonotonicTime due = clock_.monotonic() + up_to(faults.delay_max);
  messages.emplace_back(messages.empty() ? due : std::max(due, messages.back().first), std::move(message));
}

void FakeBroker::arrive(const Message& message) {
  if (message.retain) retained_[message.topic] = message;
  for (const Link* link : links_) {
    const bool wants = std::any_of(link->filters.begin(), link->filters.end(),
                                   [&](const auto& filter) { return matches(filter, message.topic); });
    if (link->connection != 0 && wants && !chance(faults.lost)) put(outbound_, link->connection, message);
  }
}

void FakeBroker::deliver(uint64_t connection, const Message& message) {
  const auto to =
      std::find_if(links_.begin(), links_.end(), [&](Link* link) { return link->connection == connection; });
  if (to != links_.end()) (*to)->hear(message);
}

void FakeBroker::welcome(Link& link) {
  for (const auto& [topic, message] : retained_) {
    const auto wants = [&topic = topic](const auto& filter) { return matches(filter, topic); };
    if (std::none_of(link.filters.begin(), link.filters.end(), wants)) continue;
    Message again = message;
    again.retained = true;
    put(outbound_, next_connection_, std::move(again));
  }
  link.come(next_connection_++);
}

template <class Take>
void FakeBroker::take_due(std::map<WayKey, Way>& ways, const Take& take) {
  std::vector<std::pair<uint64_t, Message>> due;
  for (auto way = ways.begin(); way != ways.end();) {
    auto& messages = way->second.messages;
    for (; !messages.empty() && messages.front().first <= clock_.monotonic(); messages.pop_front()) {
      due.emplace_back(way->first.first, std::move(messages.front().second));
    }
    way = messages.empty() ? ways.erase(way) : std::next(way);
  }
  for (const auto& [connection, message] : due) take(connection, message);
}

void FakeBroker::step() {
  if (!running_) return;
  for (size_t i = 0; i < links_.size(); ++i) {
    Link& link = *links_[i];
    if (link.started && link.connection == 0 && link.retry_at <= clock_.monotonic()) welcome(link);
  }
  std::vector<Message> again;
  std::erase_if(repetitions_, [&](auto& repetition) {
    if (repetition.first > clock_.monotonic()) return false;
    again.push_back(std::move(repetition.second));
    return true;
  });
  take_due(inbound_, [this](uint64_t, const Message& message) { arrive(message); });
  for (const Message& message : again) arrive(message);
  take_due(outbound_, [this](uint64_t connection, const Message& message) { deliver(connection, message); });
}

}  // namespace millrace::testing
