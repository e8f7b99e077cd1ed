// SPDX-License-Identifier: Apache-2.0
#include "bus/topics.h"

#include <fmt/format.h>

namespace millrace {
namespace {

constexpr std::string_view kVersion = "/v1/";

// What follows `prefix` when it is one non-empty topic level.
std::optional<std::string> level_after(std::string_view topic, std::string_view prefix) {
  if (!topic.starts_with(prefix)) return std::nullopt;
  topic.remove_prefix(prefix.size());
  if (topic.empty() || topic.find('/') != std::string_view::npos) return std::nullopt;
  return std::string(topic);
}

}  // namespace

Topics::Topics(std::string root) : base_(std::move(root) + std::string(kVersion)) {}

std::string Topics::ingest(std::string_view producer) const { return fmt::format("{}ingest/{}", base_, producer); }
std::string Topics::ingest_all() const { return base_ + "ingest/+"; }
std::string Topics::recorded(std::string_view producer) const { return fmt::format("{}recorded/{}", base_, producer); }
std::string Topics::event(std::string_view machine, std::string_view type) const {
  return fmt::format("{}event/{}/{}", base_, machine, type);
}
std::string Topics::state(std::string_view machine, std::string_view facet) const {
  return fmt::format("{}state/{}/{}", base_, machine, facet);
}
std::string Topics::status(std::string_view role_or_machine) const {
  return fmt::format("{}status/{}", base_, role_or_machine);
}

std::string Topics::log_anchor() const { return base_ + "log/anchor"; }
std::string Topics::config(std::string_view machine) const { return fmt::format("{}config/{}", base_, machine); }
std::string Topics::config_all() const { return base_ + "config/+"; }

std::string Topics::command(std::string_view machine, std::string_view command) const {
  return fmt::format("{}command/{}/{}", base_, machine, command);
}
std::string Topics::command_all() const { return base_ + "command/+/+"; }
std::string Topics::result(std::string_view machine, std::string_view command_id) const {
  return fmt::format("{}result/{}/{}", base_, machine, command_id);
}

std::optional<std::string> Topics::producer_of_ingest(std::string_view topic) const {
  return level_after(topic, base_ + "ingest/");
}
std::optional<std::string> Topics::producer_of_recorded(std::string_view topic) const {
  return level_after(topic, base_ + "recorded/");
}
std::optional<std::string> Topics::machine_of_config(std::string_view topic) const {
  return level_after(topic, base_ + "config/");
}
std::optional<Topics::MachineAndCommand> Topics::machine_and_command_of(std::string_view topic) const {
  const size_t slash = topic.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto machine = level_after(topic.substr(0, slash), base_ + "command/");
  if (!machine || slash + 1 == topic.size()) return std::nullopt;
  return MachineAndCommand{std::move(*machine), std::string(topic.substr(slash + 1))};
}

bool Topics::is_for_replies(std::string_view topic) const {
  if (topic.empty() || topic.front() == '$' || topic.find_first_of("+#") != std::string_view::npos) return false;
  const std::string replies = base_ + "reply/";
  if (topic.starts_with(replies)) return topic.size() > replies.size();
  const std::string_view root = std::string_view(base_).substr(0, base_.size() - kVersion.size());
  const auto is_below = [&](std::string_view level) {
    return topic.starts_with(level) && (topic.size() == level.size() || topic[level.size()] == '/');
  };
  return !is_below(root) && !is_below("homeassistant");
}

}  // namespace millrace
