// SPDX-License-Identifier: Apache-2.0
// A backup becomes a log again: copied, checked, and with an incarnation of its own, so that everything that was
// derived from the lost log is recognised as such.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "bus/log_backup.h"

namespace millrace {

struct RestoreOptions {
  std::filesystem::path generation;      // as find_backup() gives it
  std::filesystem::path log;             // becomes the log; must not exist, the folder above is made where missing
  std::optional<Position> lost_through;  // the last position of the lost log, where somebody knows it
};

struct RestoreReport {
  BackupManifest backup;
  std::string incarnation;  // the new one
  Position last;            // with LogRestored, its first own event
  std::optional<Position> lost_through;
};

// Nobody else may use the folder above `log` meanwhile.  Works in `log`.restoring and renames it when the log is whole,
// with the event LogRestored appended.  kConflict when `log` exists, kCorrupt (naming file or position) when the backup
// does not verify, kFull, kIo; `log` does not exist then.
Result<RestoreReport> restore_log(const RestoreOptions& options, const Clock& clock);

// The files of the generation against its manifest, copied into `log`.  kCorrupt names the file.
Result<BackupManifest> copy_backup(const std::filesystem::path& generation, const std::filesystem::path& log);

// A copied log against the manifest: opens, every group reads, last position, incarnation and the chain's root.
// kCorrupt names the first position that does not verify.
Result<void> check_copied_log(const std::filesystem::path& log, const BackupManifest& manifest);

}  // namespace millrace
