// SPDX-License-Identifier: Apache-2.0
#include "cli/command_backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "bus/file_copy.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "bus/log_backup.h"
#include "bus/log_restore.h"
#include "bus/logging.h"
#include "cli/control_service.h"
#include "cli/hub.h"
#include "cli/opened_log.h"
#include "projections/checkpoint.h"
#include "projections/registry.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

// Without a hub this process is the log's only user.
Result<std::string> back_up_directly(const BackupCommandOptions& options, const fs::path& directory) {
  const auto log_folder = log_directory(options.data_dir);
  if (!fs::exists(log_folder / "CURRENT")) {
    return make_error(Errc::kNotFound, fmt::format("'{}' holds no log; --data names the data folder of a hub",
                                                   options.data_dir.string()));
  }
  const SystemClock clock;
  const auto log = open_rocksdb_event_log(log_folder, clock);
  if (!log) return log.error();
  const auto blobs = open_blob_folder(blobs_directory(options.data_dir));
  if (!blobs) return blobs.error();
  BackupOptions wanted;
  wanted.blobs = blobs->get();
  wanted.directory = directory;
  wanted.keep = static_cast<size_t>(options.keep);
  const auto report = back_up_log(**log, backup_staging(options.data_dir), wanted, clock);
  if (!report) return report.error();
  return to_json(*report);
}

Result<std::string> back_up(const BackupCommandOptions& options) {
  std::error_code error;
  const fs::path directory = fs::absolute(options.directory, error).lexically_normal();
  if (error)
    return make_error(Errc::kInvalidArgument, fmt::format("'{}': {}", options.directory.string(), error.message()));
  if (lies_within(directory, log_directory(options.data_dir))) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("'{}' lies in the folder of the log itself: a backup belongs elsewhere, best on "
                                  "another disk",
                                  directory.string()));
  }
  JsonWriter request;
  request.object().field("command", "backup").field("directory", directory.string()).field("keep", options.keep).end();
  auto answer = ask_hub(options.data_dir, request.text());
  if (!answer && answer.error().code == Errc::kUnavailable) return back_up_directly(options, directory);
  return answer;
}

void print_backup(std::string_view answer) {
  JsonReader reader;
  const auto json = reader.parse(answer);
  const auto number = [&](std::string_view name) { return json ? integer_member(*json, name).value_or(0) : 0; };
  fmt::print("{}: positions 1 to {}, {} bytes in {} files, {} of them new\n",
             json ? text_member(*json, "generation").value_or("") : "", number("position"), number("bytes"),
             number("files"), number("new_bytes"));
  if (number("new_blobs") > 0) {
    fmt::print("{} new pictures and long texts, {} bytes\n", number("new_blobs"), number("new_blob_bytes"));
  }
  if (number("damaged_blobs") > 0) fmt::print("{} damaged pictures left out\n", number("damaged_blobs"));
  if (number("removed_generations") > 0) fmt::print("{} older generations removed\n", number("removed_generations"));
}

// How far the views had come that lie beside the lost log: at least so much of it there was.
std::optional<Position> seen_by_views(const fs::path& data_dir, std::string_view incarnation) {
  if (!fs::exists(views_directory(data_dir) / "CURRENT")) return std::nullopt;
  const auto views = open_rocksdb_view_store(views_directory(data_dir), view_names());
  if (!views) return std::nullopt;
  std::optional<Position> seen;
  const auto reader = (*views)->reader();
  for (const auto& name : projection_names()) {
    const auto checkpoint = read_checkpoint(*reader, name);
    if (!checkpoint || !*checkpoint || (*checkpoint)->incarnation != incarnation) continue;
    seen = std::max(seen.value_or(Position{}), (*checkpoint)->position);
  }
  return seen;
}

// Before the log, whose events refer to them.  Those that are there stay.
Result<CopiedBlobs> restore_blobs(const fs::path& generation, const fs::path& data_dir) {
  const fs::path held = blobs_of_backup(generation);
  std::error_code ignored;
  if (!fs::is_directory(held, ignored)) return CopiedBlobs{};
  const auto from = open_blob_folder(held);
  if (!from) return from.error();
  const auto to = open_blob_folder(blobs_directory(data_dir));
  if (!to) return to.error();
  return copy_blobs(**from, **to);
}

struct Restored {
  RestoreReport log;
  CopiedBlobs blobs;
};

Result<Restored> restore(const BackupCommandOptions& options) {
  const auto hub = ask_hub(options.data_dir, R"({"command":"ping"})");
  if (hub || hub.error().code != Errc::kUnavailable) {
    return make_error(Errc::kConflict,
                      fmt::format("a hub runs on '{}': stop it before a restore", options.data_dir.string()));
  }
  RestoreOptions wanted;
  std::error_code error;
  const auto generation = find_backup(options.directory);
  if (!generation) return generation.error();
  wanted.generation = *generation;
  wanted.log = log_directory(options.data_dir);
  const auto manifest = read_backup_manifest(*generation);
  if (!manifest) return manifest.error();
  if (options.lost_through > 0) wanted.lost_through = Position{options.lost_through};
  if (const auto seen = seen_by_views(options.data_dir, manifest->incarnation)) {
    wanted.lost_through = std::max(wanted.lost_through.value_or(Position{}), *seen);
  }
  if (fs::exists(wanted.log, error)) return restore_log(wanted, SystemClock()).error();
  const auto blobs = restore_blobs(*generation, options.data_dir);
  if (!blobs) return blobs.error();
  auto log = restore_log(wanted, SystemClock());
  if (!log) return log.error();
  return Restored{std::move(*log), *blobs};
}

uint64_t lost_count(const RestoreReport& report) {
  const uint64_t through = report.lost_through.value_or(Position{}).value;
  return through > report.backup.position.value ? through - report.backup.position.value : 0;
}

std::string lost_text(const RestoreReport& report) {
  const uint64_t from = report.backup.position.value + 1;
  if (!report.lost_through) {
    return fmt::format("positions from {} on, how many is not known here; outboxes may still hold their events", from);
  }
  if (lost_count(report) == 0) return "nothing that is known of";
  return fmt::format("positions {} to {}, {} events, as far as outboxes do not hold them", from,
                     report.lost_through->value, lost_count(report));
}

void print_restore(const Restored& restored) {
  const RestoreReport& report = restored.log;
  fmt::print("restored   positions 1 to {} of log {}, backed up {}\n", report.backup.position.value,
             report.backup.incarnation, to_rfc3339(report.backup.made_at));
  fmt::print("verified   {} files, {} bytes, chain root {}\n", report.backup.files.size(), report.backup.bytes(),
             report.backup.chain_root);
  fmt::print("goes on    as log {} at position {}\n", report.incarnation, report.last.value);
  if (restored.blobs.count > 0) {
    fmt::print("pictures   {} of {} bytes\n", restored.blobs.count, restored.blobs.bytes);
  }
  if (restored.blobs.damaged > 0) fmt::print("damaged    {} pictures, left out\n", restored.blobs.damaged);
  fmt::print("lost       {}\n", lost_text(report));
}

void print_restore_json(const Restored& restored) {
  const RestoreReport& report = restored.log;
  JsonWriter json;
  json.object()
      .field("incarnation", report.incarnation)
      .field("previous_incarnation", report.backup.incarnation)
      .field("position", report.backup.position.value)
      .field("chain_root", report.backup.chain_root)
      .field("backed_up_at", to_rfc3339(report.backup.made_at))
      .field("last_position", report.last.value)
      .field("blobs", restored.blobs.count)
      .field("damaged_blobs", restored.blobs.damaged)
      .field("lost_through", report.lost_through ? std::optional(report.lost_through->value) : std::nullopt)
      .field("lost_events", report.lost_through ? std::optional(lost_count(report)) : std::nullopt)
      .end();
  std::puts(json.text().c_str());
}

// To stderr: stdout holds the result.
void start_warnings() {
  LoggingOptions logging;
  logging.level = LogLevel::kWarn;
  (void)start_logging(logging);
}

}  // namespace

int run_log_backup(const BackupCommandOptions& options) {
  start_warnings();
  const auto answer = back_up(options);
  if (!answer) return fail(answer.error());
  options.json ? (void)std::puts(answer->c_str()) : print_backup(*answer);
  return 0;
}

int run_log_restore(const BackupCommandOptions& options) {
  start_warnings();
  const auto report = restore(options);
  if (!report) return fail(report.error());
  options.json ? print_restore_json(*report) : print_restore(*report);
  return 0;
}

}  // namespace millrace
