// SPDX-License-Identifier: Apache-2.0
#include "cli/opened_log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "cli/hub.h"

namespace millrace {

Result<OpenedLog> OpenedLog::open(const std::filesystem::path& data_dir) {
  const auto directory = log_directory(data_dir);
  if (!std::filesystem::exists(directory)) {
    return make_error(Errc::kNotFound,
                      fmt::format("'{}' holds no log; --data names the data folder of a hub", data_dir.string()));
  }
  OpenedLog opened;
  std::string pattern = (std::filesystem::temp_directory_path() / "millrace-reader-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return make_error(Errc::kIo, "no temporary folder can be made");
  opened.scratch_ = pattern;
  auto log = open_rocksdb_event_log_reader(directory, opened.scratch_);
  if (!log) return log.error();
  opened.log_ = std::move(*log);
  return opened;
}

OpenedLog::OpenedLog(OpenedLog&& other) noexcept : scratch_(std::move(other.scratch_)), log_(std::move(other.log_)) {
  other.scratch_.clear();
}

OpenedLog::~OpenedLog() {
  log_.reset();
  std::error_code ignored;
  if (!scratch_.empty()) std::filesystem::remove_all(scratch_, ignored);
}

int fail(const Error& error) {
  std::fprintf(stderr, "millrace: %s\n", error.context.c_str());
  const bool asked_wrongly =
      error.code == Errc::kInvalidArgument || error.code == Errc::kConflict || error.code == Errc::kIncompatible;
  return asked_wrongly ? 2 : 1;
}

}  // namespace millrace
