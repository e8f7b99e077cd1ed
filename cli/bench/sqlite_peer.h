// SPDX-License-Identifier: Apache-2.0
// SQLite as a peer of `bench telemetry`: the same minutes in a table of its own.  Loaded when it is asked for, so that
// the program does not need it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "bus/result.h"
#include "projections/telemetry_history.h"

namespace millrace {

class SqlitePeer {
 public:
  // A new database.  kUnavailable when SQLite is not installed.
  static Result<std::unique_ptr<SqlitePeer>> open(const std::filesystem::path& file);
  ~SqlitePeer();

  // Rows of one signal from the first minute on, in one transaction.
  Result<void> insert(int signal, int64_t first_minute, const SignalColumns& columns);
  // The same columns back, by the index on signal and minute.
  Result<SignalColumns> select(int signal, int64_t from_minute, int64_t to_minute);

 private:
  struct Library;
  explicit SqlitePeer(std::unique_ptr<Library> library);
  std::unique_ptr<Library> library_;
};

}  // namespace millrace
