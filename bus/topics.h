// SPDX-License-Identifier: Apache-2.0
// Builds and parses every topic.  No other file holds a topic's text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace millrace {

// In the place of a machine's id, which it therefore cannot be.
inline constexpr std::string_view kAllMachines = "all";

class Topics {
 public:
  // `root` may have levels ("shop/millrace") but no wildcards.
  explicit Topics(std::string root = "millrace");

  std::string ingest(std::string_view producer) const;
  std::string ingest_all() const;  // subscription filter
  std::string recorded(std::string_view producer) const;
  std::string event(std::string_view machine, std::string_view type) const;
  std::string state(std::string_view machine, std::string_view facet) const;
  std::string status(std::string_view role_or_machine) const;
  std::string log_anchor() const;
  // What the hub says of a machine to whoever serves it; of kHubProducer: which machines there are.  Retained.
  std::string config(std::string_view machine) const;
  std::string config_all() const;  // subscription filter

  // What is asked of a machine, and what became of it.  Of kAllMachines: of every machine.
  std::string command(std::string_view machine, std::string_view command) const;
  std::string command_all() const;  // subscription filter
  std::string result(std::string_view machine, std::string_view command_id) const;

  // The producer in an ingest topic, or nullopt for any other topic.
  std::optional<std::string> producer_of_ingest(std::string_view topic) const;
  // The producer in a recorded topic.
  std::optional<std::string> producer_of_recorded(std::string_view topic) const;
  // The machine in a config topic.
  std::optional<std::string> machine_of_config(std::string_view topic) const;
  // The two last levels of a command topic.
  struct MachineAndCommand {
    std::string machine;
    std::string command;
    bool operator==(const MachineAndCommand&) const = default;
  };
  std::optional<MachineAndCommand> machine_and_command_of(std::string_view topic) const;
  // Whether an answer may go to a topic that the asker named: below "<root>/v1/reply/", or outside of everything that
  // Millrace and Home Assistant rely on.  Else whoever may ask could have anything published with the program's rights.
  bool is_for_replies(std::string_view topic) const;

 private:
  std::string base_;  // "<root>/v1/"
};

}  // namespace millrace
