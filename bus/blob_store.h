// SPDX-License-Identifier: Apache-2.0
// Bytes that are too large for an event, such as photos and thumbnails: each under the SHA-256 of itself, by which
// events refer to it.  What is stored never changes, so a copy of the folder is a backup of it, and a file tells by
// itself whether it is whole.  Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "bus/result.h"

namespace millrace {

struct BlobStoreOptions {
  uint64_t max_blob_bytes = 10u << 20;
  uint64_t max_bytes = uint64_t{4} << 30;  // of all blobs together
};

class BlobStore {
 public:
  virtual ~BlobStore() = default;
  // Stores `bytes` durably; storing what is there again does nothing.  kInvalidArgument for a name that is no SHA-256
  // (64 digits, lower case), kMalformed when it is not that of `bytes`, kTooLarge, kFull (the options' bound or the
  // disk), kIo.
  virtual Result<void> put(std::string_view sha256, std::string_view bytes) = 0;
  // kNotFound; kCorrupt when the file is not what was stored; kInvalidArgument, kIo.
  virtual Result<std::string> get(std::string_view sha256) const = 0;
  virtual bool has(std::string_view sha256) const = 0;
  // Only for a store from which blobs move on to another one: what events refer to is never removed.  Nothing happens
  // when it is not there.  kInvalidArgument, kIo.
  virtual Result<void> remove(std::string_view sha256) = 0;
  // Each blob's name and size, by name; for backup and verification.
  virtual Result<void> each(const std::function<void(const std::string& sha256, uint64_t bytes)>& visit) const = 0;
  virtual uint64_t total_bytes() const = 0;
};

// A folder of its own, made where it is missing: "<first two digits>/<sha256>", readable by this user alone.  What a
// crash left half written is removed.  kIo.
Result<std::unique_ptr<BlobStore>> open_blob_folder(const std::filesystem::path& folder, BlobStoreOptions options = {});

struct CopiedBlobs {
  uint64_t count = 0;
  uint64_t bytes = 0;
  uint64_t damaged = 0;  // not what was stored: left out, and logged
};

// Stores in `to` what it does not have of `from`.  `cancelled` is asked before each one.  kUnavailable when it was,
// else what `to` says.
Result<CopiedBlobs> copy_blobs(const BlobStore& from, BlobStore& to, const std::function<bool()>& cancelled = {});

// The name under which `bytes` are stored: their SHA-256, 64 digits, lower case.
std::string blob_name(std::string_view bytes);

// 64 digits, lower case.
bool is_sha256(std::string_view text);

}  // namespace millrace
