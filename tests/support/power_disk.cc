// SPDX-License-Identifier: Apache-2.0
#include "tests/support/power_disk.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "bus/child_process.h"

namespace millrace::testing {
namespace {

// Linux fs/ext4/ext4.h: EXT4_IOC_SHUTDOWN is _IOR('X', 125, __u32), EXT4_GOING_FLAGS_NOLOGFLUSH is 2.
constexpr unsigned long kShutdown = _IOR('X', 125, uint32_t);
constexpr uint32_t kWithoutFlush = 2;

bool succeeds(const std::vector<std::string>& command) {
  auto child = ChildProcess::start(command, "/dev/null");
  return child && child->wait() == 0;
}

}  // namespace

PowerDisk::PowerDisk(std::filesystem::path directory, uint64_t mebibytes)
    : directory_(std::move(directory)), image_(directory_.string() + ".image") {
  std::filesystem::create_directories(directory_);
  const int file = ::open(image_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  const bool sized = ::ftruncate(file, static_cast<off_t>(mebibytes << 20)) == 0;
  ::close(file);
  mounted_ = sized && ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
             succeeds({"mkfs.ext4", "-q", "-F", image_.string()}) && mount();
}

PowerDisk::~PowerDisk() {
  if (mounted_) ::umount2(directory_.c_str(), MNT_DETACH);
}

bool PowerDisk::mount() { return succeeds({"mount", "-o", "loop", image_.string(), directory_.string()}); }

bool PowerDisk::cut() {
  const int root = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return false;
  uint32_t flags = kWithoutFlush;
  const bool done = ::ioctl(root, kShutdown, &flags) == 0;
  ::close(root);
  return done;
}

bool PowerDisk::come_back() {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries && ::umount2(directory_.c_str(), 0) != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  mounted_ = mount();
  return mounted_;
}

}  // namespace millrace::testing
