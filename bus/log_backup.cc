// SPDX-License-Identifier: Apache-2.0
#include "bus/log_backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <optional>

#include "bus/file_copy.h"
#include "bus/file_io.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "bus/logging.h"
#include "bus/rocksdb_log_files.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kFormat = 1;
constexpr std::string_view kManifestName = "backup.json";
constexpr std::string_view kLogFolder = "log";
constexpr std::string_view kBlobFolder = "blobs";
constexpr std::string_view kMakingName = ".making";
constexpr std::string_view kRemovingPrefix = ".removing-";
constexpr std::string_view kLockName = ".lock";
constexpr size_t kMaxManifestBytes = 64u << 20;

// The folder of generations for one writer; the system lets go of it when the process dies.
class FolderLock {
 public:
  static Result<FolderLock> take(const fs::path& directory) {
    FolderLock lock;
    const fs::path path = directory / kLockName;
    lock.descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (lock.descriptor_ < 0) return system_error("open", path);
    if (::flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0) {
      return make_error(Errc::kConflict, fmt::format("another backup works in '{}'", directory.string()));
    }
    return lock;
  }
  FolderLock(FolderLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ~FolderLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  FolderLock() = default;
  int descriptor_ = -1;
};

// Removes what a function leaves behind when it returns early.
class TreeGuard {
 public:
  explicit TreeGuard(fs::path path) : path_(std::move(path)) {}
  TreeGuard(const TreeGuard&) = delete;
  TreeGuard& operator=(const TreeGuard&) = delete;
  ~TreeGuard() {
    if (!path_.empty()) (void)remove_tree(path_);
  }

 private:
  fs::path path_;
};

std::optional<uint64_t> generation_number(const std::string& name) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (name.size() < 6 || error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return number;
}

// Folders with a number for a name that are no generations are somebody else's: neither counted nor removed.
Result<std::map<uint64_t, fs::path>> generations_in(const fs::path& directory) {
  const auto names = list_directory(directory);
  if (!names) return names.error();
  std::map<uint64_t, fs::path> generations;
  std::error_code ignored;
  for (const std::string& name : *names) {
    const auto number = generation_number(name);
    if (number && fs::exists(directory / name / kManifestName, ignored)) generations.emplace(*number, directory / name);
  }
  return generations;
}

// The first free one behind them.
uint64_t next_number(const fs::path& directory, const std::map<uint64_t, fs::path>& generations) {
  uint64_t number = generations.empty() ? 1 : generations.rbegin()->first + 1;
  std::error_code ignored;
  while (fs::exists(directory / fmt::format("{:06}", number), ignored)) ++number;
  return number;
}

Result<void> remove_leftovers(const fs::path& directory) {
  const auto names = list_directory(directory);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    if (name != kMakingName && !name.starts_with(kRemovingPrefix)) continue;
    log_info("backup", "'{}' is a leftover of a backup that was interrupted", (directory / name).string());
    if (auto removed = remove_tree(directory / name); !removed) return removed;
  }
  return {};
}

std::string manifest_json(const BackupManifest& manifest) {
  JsonWriter json;
  json.object()
      .field("format", kFormat)
      .field("incarnation", manifest.incarnation)
      .field("position", manifest.position.value)
      .field("chain_root", manifest.chain_root)
      .field("made_at", to_rfc3339(manifest.made_at))
      .key("files")
      .array();
  for (const BackupFile& file : manifest.files) {
    json.object().field("name", file.name).field("size", file.size).field("sha256", file.sha256).end();
  }
  json.end().end();
  return json.take() + "\n";
}

Result<BackupFile> file_from(const Json& json, const fs::path& path) {
  const auto name = text_member(json, "name");
  const auto size = integer_member(json, "size");
  const auto sha256 = text_member(json, "sha256");
  const bool plain = name && !name->empty() && name->front() != '.' && name->find('/') == std::string_view::npos;
  if (!plain || !size || *size < 0 || !sha256 || sha256->size() != 64) {
    return make_error(Errc::kMalformed, fmt::format("'{}': a file without a plain name, a size and a SHA-256: {}",
                                                    path.string(), to_text(json)));
  }
  return BackupFile{std::string(*name), static_cast<uint64_t>(*size), std::string(*sha256)};
}

// What the copy says about itself.
Result<BackupManifest> describe(const fs::path& copy) {
  const fs::path scratch = copy.string() + ".reader";
  const TreeGuard guard(scratch);
  if (auto made = make_directories(scratch); !made) return made.error();
  const auto log = open_rocksdb_event_log_reader(copy, scratch);
  if (!log) return log.error();
  const auto info = (*log)->info();
  if (!info) return info.error();
  BackupManifest manifest;
  manifest.incarnation = info->incarnation;
  manifest.incarnation_number = info->incarnation_number;
  manifest.position = info->last;
  manifest.chain_root = root_text(*info);
  return manifest;
}

Error no_room(const fs::path& directory, uint64_t available, uint64_t needed, uint64_t reserve) {
  return make_error(Errc::kFull, fmt::format("'{}' has {} MiB free, the backup needs {} MiB and {} MiB stay in reserve",
                                             directory.string(), available >> 20, (needed >> 20) + 1, reserve >> 20));
}

// One generation in the making.
class Generation {
 public:
  // `checksums`: of the copy's sorted files, as its manifest has them.
  Generation(const fs::path& copy, fs::path folder, std::map<std::string, std::string> checksums,
             const BackupOptions& options, BackupReport& report)
      : copy_(copy), folder_(std::move(folder)), checksums_(std::move(checksums)), options_(options), report_(report) {}

  // The files of an earlier generation may be shared.
  void follow(const fs::path& previous) {
    const auto manifest = read_backup_manifest(previous);
    if (!manifest) {
      log_warn("backup", "nothing is shared with the generation before: {}", manifest.error().message());
      return;
    }
    previous_ = previous / kLogFolder;
    for (const BackupFile& file : manifest->files) known_.emplace(file.name, file);
  }

  Result<void> make() {
    const auto names = list_directory(copy_);
    if (!names) return names.error();
    if (auto room = check_room(*names); !room) return room;
    if (auto made = make_directories(folder_ / kLogFolder); !made) return made;
    for (const std::string& name : *names) {
      auto file = add(name);
      if (!file) return file.error();
      report_.manifest.files.push_back(std::move(*file));
    }
    return sync_directory(folder_ / kLogFolder);
  }

  Result<void> finish(WallTime now) {
    report_.manifest.made_at = now;
    if (auto written = write_file_durably(folder_ / kManifestName, manifest_json(report_.manifest)); !written) {
      return written;
    }
    return sync_directory(folder_);
  }

 private:
  // Files of the same name and size count as shared, and links cost nothing: what is wanted is an early, clear refusal.
  Result<void> check_room(const std::vector<std::string>& names) const {
    std::error_code ignored;
    uint64_t needed = 0;
    for (const std::string& name : names) {
      const uint64_t size = fs::file_size(copy_ / name, ignored);
      const auto known = known_.find(name);
      if (known == known_.end() || known->second.size != size) needed += size;
    }
    const auto available = free_bytes(options_.directory);
    if (!available) return available.error();
    if (*available >= needed + options_.reserve_bytes) return {};
    return no_room(options_.directory, *available, needed, options_.reserve_bytes);
  }

  Result<BackupFile> add(const std::string& name) {
    const fs::path from = copy_ / name;
    const fs::path to = folder_ / kLogFolder / name;
    const auto known = known_.find(name);
    if (known != known_.end()) {
      const auto shared = share(known->second, from, to);
      if (!shared) return shared.error();
      if (*shared) {
        report_.shared_bytes += known->second.size;
        return known->second;
      }
    }
    const auto linked = link_file(from, to);
    if (!linked) return linked.error();
    const auto digest = *linked ? digest_file(to, options_.cancelled) : copy_file_durably(from, to, options_.cancelled);
    if (!digest) return digest.error();
    if (auto whole = check_sorted(name, to); !whole) return whole.error();
    if (*linked) {
      auto file = File::open(to, O_RDONLY);
      if (!file) return file.error();
      if (auto synced = file->sync(); !synced) return synced.error();
    }
    report_.new_bytes += digest->size;
    return BackupFile{name, digest->size, digest->sha256};
  }

  // A damaged log is not backed up: with each night's copy of it a whole generation would go.
  Result<void> check_sorted(const std::string& name, const fs::path& copied) const {
    const auto known = checksums_.find(name);
    if (known == checksums_.end()) return {};
    const auto sum = checksum_of_file(copied, [](size_t) {});
    if (!sum) return sum.error();
    if (*sum == known->second) return {};
    return with_advice(make_error(Errc::kCorrupt, fmt::format("'{}' of the log: its checksum is not the one that the "
                                                              "manifest has, nothing was backed up",
                                                              name)));
  }

  // The earlier generation's file under a second name, if it holds the same.  The same inode needs no look.
  Result<bool> share(const BackupFile& known, const fs::path& from, const fs::path& to) const {
    const fs::path earlier = previous_ / known.name;
    std::error_code error;
    if (fs::file_size(from, error) != known.size || fs::file_size(earlier, error) != known.size || error) return false;
    if (!is_same_file(from, earlier)) {
      const auto digest = digest_file(from, options_.cancelled);
      if (!digest) return digest.error();
      if (digest->sha256 != known.sha256) return false;
    }
    return link_file(earlier, to);
  }

  const fs::path& copy_;
  const fs::path folder_;
  const std::map<std::string, std::string> checksums_;
  const BackupOptions& options_;
  BackupReport& report_;
  fs::path previous_;
  std::map<std::string, BackupFile> known_;
};

// What an event refers to was stored before it: after the log's checkpoint there is nothing that it could miss.
Result<CopiedBlobs> back_up_blobs(const BackupOptions& options) {
  BlobStoreOptions unbounded;
  unbounded.max_bytes = std::numeric_limits<uint64_t>::max();
  const auto to = open_blob_folder(options.directory / kBlobFolder, unbounded);
  if (!to) return to.error();
  uint64_t needed = 0;
  const auto seen = options.blobs->each([&](const std::string& name, uint64_t bytes) {
    if (!(*to)->has(name)) needed += bytes;
  });
  if (!seen) return seen.error();
  const auto available = free_bytes(options.directory);
  if (!available) return available.error();
  if (*available < needed + options.reserve_bytes) {
    return no_room(options.directory, *available, needed, options.reserve_bytes);
  }
  return copy_blobs(*options.blobs, **to, options.cancelled);
}

// The new generation stands whatever happens here.
size_t remove_old(const fs::path& directory, size_t keep) {
  const auto generations = generations_in(directory);
  if (!generations) return 0;
  size_t removed = 0;
  for (auto it = generations->begin(); generations->size() - removed > keep; ++it) {
    const fs::path going = directory / (std::string(kRemovingPrefix) + it->second.filename().string());
    auto done = rename_durably(it->second, going);
    if (done) done = remove_tree(going);
    if (!done) {
      log_warn("backup", "an old generation stays: {}", done.error().message());
      return removed;
    }
    ++removed;
  }
  return removed;
}

}  // namespace

uint64_t BackupManifest::bytes() const {
  uint64_t sum = 0;
  for (const BackupFile& file : files) sum += file.size;
  return sum;
}

Result<BackupReport> back_up_log(const EventLog& log, const fs::path& staging, const BackupOptions& options,
                                 const Clock& clock) {
  if (options.keep == 0) return make_error(Errc::kInvalidArgument, "a backup keeps at least 1 generation");
  if (auto made = make_directories(options.directory); !made) return made.error();
  const auto lock = FolderLock::take(options.directory);
  if (!lock) return lock.error();
  if (auto removed = remove_leftovers(options.directory); !removed) return removed.error();
  if (auto removed = remove_tree(staging); !removed) return removed.error();

  const TreeGuard staging_guard(staging);
  if (auto copied = log.checkpoint(staging); !copied) return copied.error();
  BackupReport report;
  auto manifest = describe(staging);
  if (!manifest) return manifest.error();
  report.manifest = std::move(*manifest);

  const auto generations = generations_in(options.directory);
  if (!generations) return generations.error();
  if (options.blobs != nullptr) {
    auto blobs = back_up_blobs(options);
    if (!blobs) return blobs.error();
    report.blobs = *blobs;
  }
  const fs::path making = options.directory / kMakingName;
  const TreeGuard making_guard(making);
  auto checksums = sorted_file_checksums(staging);
  if (!checksums) return checksums.error();
  Generation generation(staging, making, std::move(*checksums), options, report);
  if (!generations->empty()) generation.follow(generations->rbegin()->second);
  if (auto made = generation.make(); !made) return made.error();
  if (auto finished = generation.finish(clock.wall()); !finished) return finished.error();
  report.generation = options.directory / fmt::format("{:06}", next_number(options.directory, *generations));
  if (auto renamed = rename_durably(making, report.generation); !renamed) return renamed.error();
  report.removed = remove_old(options.directory, options.keep);
  return report;
}

fs::path blobs_of_backup(const fs::path& generation) { return generation.parent_path() / kBlobFolder; }

Result<fs::path> find_backup(const fs::path& backup) {
  std::error_code ignored;
  if (fs::exists(backup / kManifestName, ignored)) return backup;
  if (fs::is_directory(backup, ignored)) {
    const auto generations = generations_in(backup);
    if (!generations) return generations.error();
    if (!generations->empty()) return generations->rbegin()->second;
  }
  return make_error(Errc::kNotFound,
                    fmt::format("'{}' holds no backup: expected a folder with {}, or a folder of such folders",
                                backup.string(), kManifestName));
}

Result<BackupManifest> read_backup_manifest(const fs::path& generation) {
  const fs::path path = generation / kManifestName;
  const auto content = read_file(path);
  if (!content) return content.error();
  JsonReader reader(kMaxManifestBytes);
  const auto json = reader.parse(*content);
  if (!json) return make_error(json.error().code, fmt::format("'{}': {}", path.string(), json.error().context));
  const auto format = integer_member(*json, "format");
  if (format && *format > kFormat) {
    return make_error(Errc::kIncompatible,
                      fmt::format("'{}' has format {}, this program knows up to {}", path.string(), *format, kFormat));
  }
  const auto incarnation = text_member(*json, "incarnation");
  const auto position = integer_member(*json, "position");
  const auto chain_root = text_member(*json, "chain_root");
  const auto made_at = parse_rfc3339(text_member(*json, "made_at").value_or(""));
  const auto files = member(*json, "files");
  if (!format || !incarnation || incarnation->size() != 16 || !position || *position < 0 || !chain_root || !made_at ||
      !files || !files->is_array()) {
    return make_error(Errc::kMalformed, fmt::format("'{}' is no manifest of a backup", path.string()));
  }
  BackupManifest manifest;
  manifest.incarnation = *incarnation;
  std::from_chars(incarnation->data(), incarnation->data() + incarnation->size(), manifest.incarnation_number, 16);
  manifest.position = Position{static_cast<uint64_t>(*position)};
  manifest.chain_root = *chain_root;
  manifest.made_at = *made_at;
  for (const Json entry : files->get_array()) {
    auto file = file_from(entry, path);
    if (!file) return file.error();
    manifest.files.push_back(std::move(*file));
  }
  return manifest;
}

std::string to_json(const BackupReport& report) {
  JsonWriter json;
  json.object()
      .field("generation", report.generation.string())
      .field("incarnation", report.manifest.incarnation)
      .field("position", report.manifest.position.value)
      .field("chain_root", report.manifest.chain_root)
      .field("made_at", to_rfc3339(report.manifest.made_at))
      .field("files", static_cast<uint64_t>(report.manifest.files.size()))
      .field("bytes", report.manifest.bytes())
      .field("new_bytes", report.new_bytes)
      .field("shared_bytes", report.shared_bytes)
      .field("new_blobs", report.blobs.count)
      .field("new_blob_bytes", report.blobs.bytes)
      .field("damaged_blobs", report.blobs.damaged)
      .field("removed_generations", static_cast<uint64_t>(report.removed))
      .end();
  return json.take();
}

}  // namespace millrace
