// SPDX-License-Identifier: Apache-2.0
// A file system of a few MiB that really gets full.  Only root may mount one.
#pragma once

#include <filesystem>

namespace millrace::testing {

class SmallDisk {
 public:
  // Mounts `mebibytes` of memory at `directory`, which is made; with room for `inodes` files, 0: as many as one likes.
  SmallDisk(std::filesystem::path directory, uint64_t mebibytes, uint64_t inodes = 0);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::filesystem::path& path() const { return directory_; }
  uint64_t free_bytes() const;
  void fill_up_to(uint64_t free_bytes);  // with a file of its own, so that so much is left
  void make_room();                      // removes that file
  bool make_read_only(bool read_only);   // false while a file is open for writing

 private:
  const std::filesystem::path directory_;
  bool mounted_ = false;
};

}  // namespace millrace::testing

// Says loudly what was not tested.
#define MILLRACE_NEEDS_MOUNTED(disk)                                                   \
  if (!(disk).mounted())                                                               \
  GTEST_SKIP() << "SKIPPED: mounting a small file system is not permitted here, so a " \
                  "disk that is really full was NOT tested (run as root)"
