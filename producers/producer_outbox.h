// SPDX-License-Identifier: Apache-2.0
// Opens a producer's outbox whatever state it is in.
#pragma once

#include <filesystem>
#include <memory>

#include "bus/clock.h"
#include "bus/outbox.h"

namespace millrace {

// An outbox that does not verify is set aside as "<directory>.corrupt-<time>", not thrown away, and a new one is begun.
Result<std::unique_ptr<Outbox>> open_producer_outbox(const std::filesystem::path& directory,
                                                     const OutboxOptions& options, const Clock& clock);

}  // namespace millrace
