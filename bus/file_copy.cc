// SPDX-License-Identifier: Apache-2.0
#include "bus/file_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "bus/file_io.h"
#include "bus/sha256.h"

namespace millrace {
namespace {

constexpr size_t kPiece = 1u << 20;

Error error_of(std::string_view what, const std::filesystem::path& path, const std::error_code& error) {
  const bool full = error == std::errc::no_space_on_device;
  return make_error(full ? Errc::kFull : Errc::kIo, fmt::format("{} '{}': {}", what, path.string(), error.message()));
}

// Reads all of `from`, digesting, and hands on each piece.
Result<FileDigest> digest_pieces(const std::filesystem::path& from, const Cancelled& cancelled,
                                 const std::function<Result<void>(std::string_view)>& take) {
  const auto file = File::open(from, O_RDONLY);
  if (!file) return file.error();
  Sha256Digester digester;
  digester.begin();
  FileDigest digest;
  while (true) {
    if (cancelled && cancelled()) return make_error(Errc::kUnavailable, "the program is ending");
    const auto piece = file->read_at(digest.size, kPiece);
    if (!piece) return piece.error();
    if (piece->empty()) break;
    digester.add(*piece);
    digest.size += piece->size();
    if (auto taken = take(*piece); !taken) return taken.error();
  }
  digest.sha256 = hex_of(digester.end());
  return digest;
}

}  // namespace

Result<FileDigest> digest_file(const std::filesystem::path& path, const Cancelled& cancelled) {
  return digest_pieces(path, cancelled, [](std::string_view) { return Result<void>{}; });
}

Result<FileDigest> copy_file_durably(const std::filesystem::path& from, const std::filesystem::path& to,
                                     const Cancelled& cancelled) {
  auto file = File::open(to, O_WRONLY | O_CREAT | O_EXCL);
  if (!file) return file.error();
  auto digest = digest_pieces(from, cancelled, [&](std::string_view piece) { return file->write_all(piece); });
  if (!digest) return digest;
  if (auto synced = file->sync(); !synced) return synced.error();
  return digest;
}

Result<bool> link_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return true;
  // EMLINK: the file has as many names as it may have.
  if (errno == EXDEV || errno == EPERM || errno == EMLINK || errno == ENOTSUP) return false;
  return system_error("link", to);
}

bool is_same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  struct stat first {};
  struct stat second {};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

Result<void> make_directories(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return error_of("folder", path, error);
  return {};
}

Result<void> remove_tree(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return error_of("remove", path, error);
  return {};
}

Result<std::vector<std::string>> list_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) return error_of("folder", path, error);
  std::sort(names.begin(), names.end());
  return names;
}

Result<uint64_t> free_bytes(const std::filesystem::path& path) {
  struct statvfs disk {};
  if (::statvfs(path.c_str(), &disk) != 0) return system_error("file system of", path);
  return uint64_t{disk.f_bavail} * disk.f_frsize;
}

Result<void> rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST) return make_error(Errc::kConflict, fmt::format("'{}' exists", to.string()));
    // Some file systems cannot promise it in one step.
    if (errno != EINVAL) return system_error("rename to", to);
    if (std::filesystem::exists(to)) return make_error(Errc::kConflict, fmt::format("'{}' exists", to.string()));
    if (::rename(from.c_str(), to.c_str()) != 0) return system_error("rename to", to);
  }
  return sync_directory(to.has_parent_path() ? to.parent_path() : ".");
}

bool lies_within(const std::filesystem::path& path, const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto inner = std::filesystem::weakly_canonical(path, ignored);
  const auto outer = std::filesystem::weakly_canonical(folder, ignored);
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

}  // namespace millrace
