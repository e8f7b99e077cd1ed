// SPDX-License-Identifier: Apache-2.0
// Whole files: their hash, copies that are checked on the way, and folders.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bus/result.h"

namespace millrace {

// Asked for each piece of a long file; true ends the work with kUnavailable.
using Cancelled = std::function<bool()>;

struct FileDigest {
  uint64_t size = 0;
  std::string sha256;
};

Result<FileDigest> digest_file(const std::filesystem::path& path, const Cancelled& cancelled = {});

// Copies and digests in one pass; `to` must not exist and is on the disk when this returns.  After an error a part of
// it may be there.
Result<FileDigest> copy_file_durably(const std::filesystem::path& from, const std::filesystem::path& to,
                                     const Cancelled& cancelled = {});

// A second name for the same file.  False where the two folders cannot share files.
Result<bool> link_file(const std::filesystem::path& from, const std::filesystem::path& to);

bool is_same_file(const std::filesystem::path& a, const std::filesystem::path& b);

Result<void> make_directories(const std::filesystem::path& path);
Result<void> remove_tree(const std::filesystem::path& path);  // no error where there is none
// Names of the entries, sorted.
Result<std::vector<std::string>> list_directory(const std::filesystem::path& path);
// Free for this process, in bytes.
Result<uint64_t> free_bytes(const std::filesystem::path& path);

// Renames and syncs the folder above.  kConflict when `to` exists.
Result<void> rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

// Whether `path` is `folder` or something in it, links followed as far as the names exist.
bool lies_within(const std::filesystem::path& path, const std::filesystem::path& folder);

}  // namespace millrace
