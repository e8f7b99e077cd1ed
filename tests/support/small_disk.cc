// SPDX-License-Identifier: Apache-2.0
#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace millrace::testing {

SmallDisk::SmallDisk(std::filesystem::path directory, uint64_t mebibytes, uint64_t inodes)
    : directory_(std::move(directory)) {
  std::filesystem::create_directories(directory_);
  const std::string options = "size=" + std::to_string(mebibytes) + "m,nr_inodes=" + std::to_string(inodes);
  mounted_ = ::mount("none", directory_.c_str(), "tmpfs", 0, options.c_str()) == 0;
}

SmallDisk::~SmallDisk() {
  if (mounted_) ::umount2(directory_.c_str(), MNT_DETACH);
}

uint64_t SmallDisk::free_bytes() const {
  struct statvfs disk {};
  return ::statvfs(directory_.c_str(), &disk) == 0 ? uint64_t{disk.f_bavail} * disk.f_frsize : 0;
}

void SmallDisk::fill_up_to(uint64_t free_bytes) {
  make_room();
  const uint64_t free = this->free_bytes();
  if (free <= free_bytes) return;
  const int file = ::open((directory_ / "filler").c_str(), O_WRONLY | O_CREAT, 0600);
  if (file < 0) return;
  (void)!::posix_fallocate(file, 0, static_cast<off_t>(free - free_bytes));
  ::close(file);
}

bool SmallDisk::make_read_only(bool read_only) {
  return ::mount(nullptr, directory_.c_str(), nullptr, MS_REMOUNT | (read_only ? MS_RDONLY : 0), nullptr) == 0;
}

void SmallDisk::make_room() {
  std::error_code ignored;
  std::filesystem::remove(directory_ / "filler", ignored);
}

}  // namespace millrace::testing
