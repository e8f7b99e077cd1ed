// SPDX-License-Identifier: Apache-2.0
#include "bus/file_io.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace millrace {

Error system_error(std::string_view what, const std::filesystem::path& path) {
  const int number = errno;
  const Errc code = number == ENOSPC || number == EDQUOT ? Errc::kFull : number == ENOENT ? Errc::kNotFound : Errc::kIo;
  return make_error(code, fmt::format("{} '{}': {}", what, path.string(), std::strerror(number)));
}

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<File> File::open(const std::filesystem::path& path, int flags, unsigned mode) {
  File file;
  file.path_ = path.string();
  file.descriptor_ = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (file.descriptor_ < 0) return system_error("open", path);
  return file;
}

Result<void> File::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("write", path_);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Result<void> File::write_all_at(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("write", path_);
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return {};
}

Result<std::string> File::read_at(uint64_t offset, size_t size) const {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const ssize_t got = ::pread(descriptor_, bytes.data() + have, size - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("read", path_);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

Result<void> File::truncate(uint64_t size) {
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return system_error("truncate", path_);
  return {};
}

Result<void> File::sync() {
  if (::fdatasync(descriptor_) != 0) return system_error("sync", path_);
  return {};
}

Result<std::string> read_file(const std::filesystem::path& path) {
  auto file = File::open(path, O_RDONLY);
  if (!file) return file.error();
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return system_error("stat", path);
  return file->read_at(0, static_cast<size_t>(status.st_size));
}

Result<void> sync_directory(const std::filesystem::path& path) {
  auto directory = File::open(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return directory.error();
  return directory->sync();
}

Result<void> write_file_durably(const std::filesystem::path& path, std::string_view content, int mode) {
  const std::filesystem::path temporary = path.string() + ".new";
  auto file = File::open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
  if (!file) return file.error();
  if (auto written = file->write_all(content); !written) return written;
  if (auto synced = file->sync(); !synced) return synced;
  if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error("rename", temporary);
  return sync_directory(path.has_parent_path() ? path.parent_path() : ".");
}

}  // namespace millrace
