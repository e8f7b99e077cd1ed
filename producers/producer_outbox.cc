// SPDX-License-Identifier: Apache-2.0
#include "producers/producer_outbox.h"

#include "bus/logging.h"

namespace millrace {

Result<std::unique_ptr<Outbox>> open_producer_outbox(const std::filesystem::path& directory,
                                                     const OutboxOptions& options, const Clock& clock) {
  auto opened = Outbox::open(directory, options);
  if (opened || opened.error().code != Errc::kCorrupt) return opened;
  const std::filesystem::path aside =
      directory.string() + ".corrupt-" + std::to_string(to_unix_us(clock.wall()) / 1'000'000);
  std::error_code error;
  std::filesystem::rename(directory, aside, error);
  if (error) return opened;
  log_error("outbox", "{}; it is set aside as '{}' and a new one is begun", opened.error().context, aside.string());
  return Outbox::open(directory, options);
}

}  // namespace millrace
