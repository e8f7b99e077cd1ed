// SPDX-License-Identifier: Apache-2.0
// Backups of the log: whole copies in generations that share their unchanged files.
//
//   DIR/000001/backup.json     the manifest
//   DIR/000001/log/...         a log of its own, as a checkpoint of the running one left it
//   DIR/000002/...             unchanged files are hard links to those of 000001
//   DIR/blobs/...              the blobs that events of any generation refer to: named by their content, never removed
//
// A generation is made under another name and renamed when every byte of it is on the disk, so one with a number is
// whole, whatever was killed when.  One backup at a time works in a folder.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bus/blob_store.h"
#include "bus/event_log.h"

namespace millrace {

struct BackupFile {
  std::string name;  // within log/
  uint64_t size = 0;
  std::string sha256;
};

struct BackupManifest {
  std::string incarnation;
  uint64_t incarnation_number = 0;
  Position position;
  std::string chain_root;  // at `position`; empty for an empty log
  WallTime made_at{};
  std::vector<BackupFile> files;
  uint64_t bytes() const;
};

struct BackupOptions {
  std::filesystem::path directory;       // made where it is missing; may lie on another file system
  size_t keep = 7;                       // generations, at least 1; older ones are removed after a success
  uint64_t reserve_bytes = 64u << 20;    // stay free in `directory`
  const BlobStore* blobs = nullptr;      // copied too
  std::function<bool()> cancelled = {};  // asked often; true ends the backup with kUnavailable
};

struct BackupReport {
  std::filesystem::path generation;
  BackupManifest manifest;
  uint64_t new_bytes = 0;     // of files that the generation before does not have
  uint64_t shared_bytes = 0;  // of files that it has
  size_t removed = 0;         // generations
  CopiedBlobs blobs;          // those that `directory` did not have
};

// Beside a log that appends, from any thread.  `staging` is a folder on the log's own file system that does not exist
// or is a leftover of a backup that was killed.  On an error `directory` holds the generations that it held.  kFull,
// kIo, kConflict when another backup works in `directory`, kInvalidArgument.
Result<BackupReport> back_up_log(const EventLog& log, const std::filesystem::path& staging,
                                 const BackupOptions& options, const Clock& clock);

// Where the blobs of a generation are; there are none if it does not exist.
std::filesystem::path blobs_of_backup(const std::filesystem::path& generation);

// `backup` is a generation, or a folder of them: then the newest.  kNotFound.
Result<std::filesystem::path> find_backup(const std::filesystem::path& backup);

// kNotFound, kMalformed, kIncompatible.
Result<BackupManifest> read_backup_manifest(const std::filesystem::path& generation);

// One line of JSON without the files, as `log backup --json` prints it.
std::string to_json(const BackupReport& report);

}  // namespace millrace
