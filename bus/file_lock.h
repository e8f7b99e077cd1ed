// SPDX-License-Identifier: Apache-2.0
// Held while a file is read, changed and replaced, by one process and thread at a time.  The lock is a file of its own
// beside it, because a replaced file is another one.
#pragma once

#include <filesystem>

namespace millrace {

class FileLock {
 public:
  // Waits for whoever has it.
  explicit FileLock(const std::filesystem::path& file);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  bool held() const { return descriptor_ >= 0; }  // false: the lock cannot be made, errno says why

 private:
  int descriptor_;
};

}  // namespace millrace
