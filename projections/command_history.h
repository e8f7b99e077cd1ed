// SPDX-License-Identifier: Apache-2.0
// The view "commands": every command from its request to its outcome, and its key for repeated requests.
//
// Keys: "c/<id>" -> schema::CommandView; "t/<position, later ones first>" and "m/<machine>/<the same>" -> id;
// "i/<machine>/<actor>/<idempotency key>" -> id.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "projections/projection.h"
#include "schemas/view_generated.h"

namespace millrace {

inline constexpr std::string_view kCommandsView = "commands";

std::unique_ptr<const Projection> make_command_history();

// "completed", "rejected", "failed", "expired" or "not_confirmed": nothing more will be said of it.
bool is_final_command_status(std::string_view status);

// nullopt when there is none of that id.  kCorrupt.
Result<std::optional<schema::CommandViewT>> find_command(const ViewReader& reader, std::string_view id);
// The command that `actor` asked for with this key; nullopt when there is none.
Result<std::optional<schema::CommandViewT>> find_repeated_command(const ViewReader& reader, std::string_view machine,
                                                                  std::string_view actor,
                                                                  std::string_view idempotency_key);

// Newest first, of one machine or, with an empty one, of all.  `after` is the first_position of the last one of the
// page before, 0 for the first page.  Only those for which `wanted` says so; looks at 10,000 at the most.
struct CommandPage {
  std::vector<schema::CommandViewT> items;
  uint64_t next_after = 0;  // 0: there are no more
};
Result<CommandPage> list_commands(const ViewReader& reader, std::string_view machine, uint64_t after, size_t limit,
                                  const std::function<bool(const schema::CommandViewT&)>& wanted);

}  // namespace millrace
