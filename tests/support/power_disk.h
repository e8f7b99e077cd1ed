// SPDX-License-Identifier: Apache-2.0
// An ext4 in a file, whose power can be cut: the kernel forgets what no fsync had written, and replays the journal when
// the disk comes back.  Needs root, loop devices and mkfs.ext4.
#pragma once

#include <filesystem>

namespace millrace::testing {

class PowerDisk {
 public:
  // Mounts a disk of `mebibytes` at `directory`, both of which are made.  Only this thread, what it starts from now on
  // and their children see it: a mount that somebody else holds would keep the disk from coming back.
  PowerDisk(std::filesystem::path directory, uint64_t mebibytes);
  ~PowerDisk();
  PowerDisk(const PowerDisk&) = delete;
  PowerDisk& operator=(const PowerDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::filesystem::path& path() const { return directory_; }
  bool cut();        // from now on every call fails and nothing more is written
  bool come_back();  // after cut(), when nobody has a file of it open any more

 private:
  bool mount();

  const std::filesystem::path directory_;
  const std::filesystem::path image_;
  bool mounted_ = false;
};

}  // namespace millrace::testing

// Says loudly what was not tested.
#define MILLRACE_NEEDS_POWER_DISK(disk)                                                \
  if (!(disk).mounted())                                                               \
  GTEST_SKIP() << "SKIPPED: an ext4 in a file cannot be mounted here, so a real file " \
                  "system that loses power was NOT tested (run as root)"
