// SPDX-License-Identifier: Apache-2.0
// Files by descriptor, with errors as Results.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "bus/result.h"

namespace millrace {

// Owns a descriptor.
class File {
 public:
  File() = default;
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  // `flags` as for open(2); `mode` is that of a file which is created.
  static Result<File> open(const std::filesystem::path& path, int flags, unsigned mode = 0640);

  // All of it or an error; after an error the file may hold a part.
  Result<void> write_all(std::string_view bytes);
  Result<void> write_all_at(uint64_t offset, std::string_view bytes);
  // Up to `size` bytes from `offset`; fewer only at the end of the file.
  Result<std::string> read_at(uint64_t offset, size_t size) const;
  Result<void> truncate(uint64_t size);
  Result<void> sync();  // fdatasync
  bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
  std::string path_;
};

Result<std::string> read_file(const std::filesystem::path& path);
// By a temporary file and a rename, both synced: afterwards the old or the new content is there, whole.
Result<void> write_file_durably(const std::filesystem::path& path, std::string_view content, int mode = 0640);
Result<void> sync_directory(const std::filesystem::path& path);

// The system's words for errno, after what was tried.
Error system_error(std::string_view what, const std::filesystem::path& path);

}  // namespace millrace
