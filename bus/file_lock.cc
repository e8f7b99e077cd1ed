// SPDX-License-Identifier: Apache-2.0
#include "bus/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace millrace {
namespace {

constexpr int kOwnerOnly = 0600;

}  // namespace

FileLock::FileLock(const std::filesystem::path& file)
    : descriptor_(::open((file.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kOwnerOnly)) {
  if (descriptor_ >= 0) ::flock(descriptor_, LOCK_EX);
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace millrace
