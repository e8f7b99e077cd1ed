// SPDX-License-Identifier: Apache-2.0
#include "cli/unserved_commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "web/edge/command_lane.h"

namespace millrace {
namespace {

constexpr std::string_view kEmergencyStop = "emergency_stop";
constexpr const char* kSomebody = "mqtt";  // the broker does not tell who

CommandReceptionOptions with_wanted(CommandReceptionOptions options,
                                    std::function<bool(const Topics::MachineAndCommand&)> wanted) {
  options.wanted = std::move(wanted);
  return options;
}

}  // namespace

UnservedCommands::UnservedCommands(UnservedCommandsOptions options, Parts parts)
    : options_(options),
      parts_(std::move(parts)),
      refused_(parts_.metrics.counter("millrace_commands_unserved_total",
                                      "Commands by the broker for machines that nobody serves")),
      held_(loop_, parts_.clock, options_.patience, options_.max_held,
            [this](AskedCommand asked) { refuse(std::move(asked)); }),
      told_(parts_.clock),
      reception_(std::make_unique<CommandReception>(
          loop_, *parts_.client, parts_.topics,
          with_wanted(parts_.reception, [this](const auto& address) { return is_unserved(address); }), parts_.clock,
          parts_.metrics, [this](const std::string&, AskedCommand asked) {
            const MonotonicTime received = asked.received;
            held_.hold(std::move(asked), received);
            return true;
          })) {}

UnservedCommands::~UnservedCommands() { stop(); }

void UnservedCommands::start() {
  reception_->start();
  thread_ = std::thread([this] { loop_.run(); });
  parts_.client->start();
}

void UnservedCommands::stop() {
  if (!thread_.joinable()) return;
  parts_.client->stop();
  loop_.post([this] {
    held_.cancel();
    loop_.stop();
  });
  thread_.join();
}

// A stop of all machines is for those that there are.
bool UnservedCommands::is_unserved(const Topics::MachineAndCommand& address) {
  if (address.machine == kAllMachines && address.command == kEmergencyStop) return false;
  return parts_.why(address.machine).has_value();
}

void UnservedCommands::refuse(AskedCommand asked) {
  const auto why = parts_.why(asked.message.machine);
  if (!why) return;  // its adapter has it
  refused_.add();
  CommandMessage& message = asked.message;
  const std::string machine = message.machine;
  if (message.id.empty()) message.id = new_command_id();
  std::vector<Refusal> reasons{why->refusal};
  if (message.command == kEmergencyStop) {
    message.actor = kSomebody;  // whose fields are others than a command's
  } else if (asked.refused) {
    reasons.push_back(*asked.refused);
  }
  reception_->reply(machine,
                    {message.id, reply_json(machine, message, "rejected", reasons, "", "", parts_.clock.wall()),
                     asked.response_topic, asked.correlation_data});
  // Else whoever may publish could fill the views with machines.
  if (!why->is_known && !message.recorded) message.machine.clear();
  record(std::move(message), std::move(reasons));
}

void UnservedCommands::record(CommandMessage message, std::vector<Refusal> reasons) {
  const auto stands_for = told_.note(kSomebody, reasons.front().rule);
  if (!stands_for) return;
  if (*stands_for > 1) {
    reasons.front().detail += fmt::format(" ({} such commands since the last one told)", *stands_for);
  }
  message.sent_at = parts_.clock.wall();
  parts_.submit({refusal_events(std::move(message), reasons), {}, [](const Result<Position>&) {}});
}

}  // namespace millrace
