// SPDX-License-Identifier: Apache-2.0
#include "bus/log_restore.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/envelope.h"
#include "bus/file_copy.h"
#include "bus/file_io.h"
#include "bus/log_verifier.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kReserveBytes = 64u << 20;  // what the log itself wants to have free, and a little more

std::vector<uint8_t> bytes_of_hex(std::string_view hex) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

Error wrong(const fs::path& what, const std::string& why) {
  return make_error(Errc::kCorrupt, fmt::format("'{}' does not verify: {}", what.string(), why));
}

Result<void> check_room(const fs::path& directory, uint64_t needed) {
  const auto available = free_bytes(directory);
  if (!available) return available.error();
  if (*available >= needed + kReserveBytes) return {};
  return make_error(Errc::kFull,
                    fmt::format("'{}' has {} MiB free, the log needs {} MiB and {} MiB stay in reserve",
                                directory.string(), *available >> 20, (needed >> 20) + 1, kReserveBytes >> 20));
}

Result<Position> append_restored(EventLog& log, const RestoreReport& report, const Clock& clock) {
  schema::LogRestoredT restored;
  restored.previous_incarnation = report.backup.incarnation;
  restored.position = report.backup.position.value;
  restored.root = bytes_of_hex(report.backup.chain_root);
  restored.backed_up_at_us = to_unix_us(report.backup.made_at);
  if (!report.lost_through || *report.lost_through > report.backup.position) {
    auto lost = std::make_unique<schema::LostRangeT>();
    lost->from = report.backup.position.value + 1;
    lost->through = report.lost_through.value_or(Position{}).value;
    lost->reason = "recorded after the backup";
    restored.lost.push_back(std::move(lost));
  }
  const EventId id{std::string(kHubProducer), log.incarnation_number(), 1};
  const auto envelope = Envelope::build(id, draft_of(std::move(restored), "", clock.wall()));
  if (!envelope) return envelope.error();
  const std::vector<Envelope> events{*envelope};
  const std::vector<ProducerMark> marks{{id.producer, {id.epoch, id.sequence}}};
  const auto commit = log.append({events, marks, clock.wall()});
  if (!commit) return commit.error();
  return commit->last;
}

}  // namespace

Result<BackupManifest> copy_backup(const fs::path& generation, const fs::path& log) {
  auto manifest = read_backup_manifest(generation);
  if (!manifest) return manifest;
  if (auto made = make_directories(log); !made) return made.error();
  if (auto room = check_room(log, manifest->bytes()); !room) return room.error();
  for (const BackupFile& file : manifest->files) {
    const fs::path from = generation / "log" / file.name;
    const auto digest = copy_file_durably(from, log / file.name);
    if (!digest && digest.error().code == Errc::kNotFound) return wrong(from, "the file is missing");
    if (!digest) return digest.error();
    if (digest->size != file.size) {
      return wrong(from, fmt::format("{} bytes, the manifest says {}", digest->size, file.size));
    }
    if (digest->sha256 != file.sha256) {
      return wrong(from, fmt::format("SHA-256 {}, the manifest says {}", digest->sha256, file.sha256));
    }
  }
  if (auto synced = sync_directory(log); !synced) return synced.error();
  return manifest;
}

Result<void> check_copied_log(const fs::path& path, const BackupManifest& manifest) {
  VerifyOptions options;
  if (manifest.position.value > 0) {
    const auto anchor =
        decode_anchor(fmt::format("{}/{}/{}", manifest.incarnation, manifest.position.value, manifest.chain_root));
    if (!anchor) return wrong(path, fmt::format("the manifest's root: {}", anchor.error().context));
    options.anchors = {*anchor};
  }
  const auto verdict = verify_rocksdb_log(path, options);
  if (!verdict) return verdict.error();
  if (verdict->incarnation != manifest.incarnation || verdict->last != manifest.position) {
    return wrong(path, fmt::format("log {} to position {}, the manifest says {} and {}", verdict->incarnation,
                                   verdict->last.value, manifest.incarnation, manifest.position.value));
  }
  if (verdict->whole()) return {};
  const LogFault& first = verdict->faults.front();
  return wrong(path, fmt::format("{}{} ({} faults in all): 'millrace log repair' saves what is whole of it",
                                 first.position.value > 0 ? fmt::format("position {}: ", first.position.value) : "",
                                 first.what, verdict->fault_count));
}

Result<RestoreReport> restore_log(const RestoreOptions& options, const Clock& clock) {
  std::error_code ignored;
  if (fs::exists(options.log, ignored)) {
    return make_error(Errc::kConflict, fmt::format("'{}' holds a log already: a restore never overwrites one, move it "
                                                   "away first",
                                                   options.log.string()));
  }
  const fs::path parent = options.log.has_parent_path() ? options.log.parent_path() : fs::path(".");
  if (auto made = make_directories(parent); !made) return made.error();
  const fs::path copy = options.log.string() + ".restoring";
  if (auto removed = remove_tree(copy); !removed) return removed.error();
  auto restored = [&]() -> Result<RestoreReport> {
    auto manifest = copy_backup(options.generation, copy);
    if (!manifest) return manifest.error();
    if (auto checked = check_copied_log(copy, *manifest); !checked) return checked.error();
    RestoreReport report;
    report.backup = std::move(*manifest);
    report.lost_through = options.lost_through;
    auto log = open_rocksdb_event_log_copy(copy, clock);
    if (!log) return log.error();
    report.incarnation = (*log)->incarnation();
    const auto last = append_restored(**log, report, clock);
    if (!last) return last.error();
    report.last = *last;
    log->reset();
    if (auto renamed = rename_durably(copy, options.log); !renamed) return renamed.error();
    return report;
  }();
  if (!restored) (void)remove_tree(copy);
  return restored;
}

}  // namespace millrace
