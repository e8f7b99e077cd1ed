// SPDX-License-Identifier: Apache-2.0
// Where views are kept: named ordered maps of bytes.  One thread commits; any number may read.
//
// Not durable by itself: after a loss of power the newest commits may be gone, but never a part of one.  A view then
// goes on from the checkpoint that was committed with it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/result.h"

namespace rocksdb {
class Env;
}

namespace millrace {

// Keys in [from, to), ascending or, with `backwards`, descending.  An empty `to` has no upper bound.
struct KeyRange {
  std::string from;
  std::string to;
  bool backwards = false;

  static KeyRange all() { return {}; }
  // Every key that begins with `prefix`.
  static KeyRange prefix(std::string_view prefix);
};

// The views as they were at one instant.  Thread-safe.
class ViewReader {
 public:
  // False ends the scan.  The bytes are valid only during the call.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;

  virtual ~ViewReader() = default;
  // nullopt when there is no such key.  kNotFound for an unknown view; kIo, kCorrupt; kUnavailable while the store is
  // closed because its disk fails.
  virtual Result<std::optional<std::string>> get(std::string_view view, std::string_view key) const = 0;
  virtual Result<void> scan(std::string_view view, const KeyRange& range, const Visitor& visitor) const = 0;
};

struct ViewWrite {
  std::string view;
  std::string key;
  std::optional<std::string> value;  // nullopt: erased
};

class ViewStore {
 public:
  virtual ~ViewStore() = default;
  // All or nothing.  On kFull, kIo or kUnavailable it may have been done or not: recover() and see.
  virtual Result<void> commit(const std::vector<ViewWrite>& writes) = 0;
  // Erases every key of `view` and commits `writes` with it, all or nothing.
  virtual Result<void> clear(std::string_view view, const std::vector<ViewWrite>& writes) = 0;
  // The committing thread's.  Makes commits possible again after one has failed, where needed by closing the store and
  // opening it again: what it then holds may be older, or nothing.  Succeeds at once when nothing is wrong.
  virtual Result<void> recover() { return {}; }
  // What a reader holds stays as it is; let go of it soon.  The store outlives its readers.
  virtual std::shared_ptr<const ViewReader> reader() const = 0;
};

// `views` are the names that may be used from now on.
std::unique_ptr<ViewStore> make_memory_view_store(std::vector<std::string> views);

struct ViewStoreOptions {
  size_t write_buffer_bytes = 1u << 20;  // per view
  size_t block_cache_bytes = 2u << 20;   // for all views together
  rocksdb::Env* env = nullptr;           // tests put a file system under the store; outlives it
};

// Opens or creates the store in `directory`.  A view that is not named is dropped.  A store whose files do not verify
// is made anew, empty: views can be rebuilt from the log.  kConflict when another process has it open, kFull, kIo.
Result<std::unique_ptr<ViewStore>> open_rocksdb_view_store(const std::filesystem::path& directory,
                                                           const std::vector<std::string>& views,
                                                           const ViewStoreOptions& options = {});

}  // namespace millrace
