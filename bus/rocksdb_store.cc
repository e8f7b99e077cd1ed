// SPDX-License-Identifier: Apache-2.0
#include "bus/rocksdb_store.h"

#include <fmt/format.h>

#include <array>
#include <cstdarg>
#include <cstdio>

#include "bus/logging.h"
#include "bus/utf8.h"

namespace millrace {
namespace {

class ForwardingLogger final : public rocksdb::Logger {
 public:
  explicit ForwardingLogger(std::string component)
      : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), component_(std::move(component)) {}

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override { write(LogLevel::kDebug, format, arguments); }
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < GetInfoLogLevel()) return;
    write(level >= rocksdb::InfoLogLevel::ERROR_LEVEL ? LogLevel::kError : LogLevel::kWarn, format, arguments);
  }

 private:
  void write(LogLevel level, const char* format, va_list arguments) {
    if (!log_enabled(level)) return;
    std::array<char, 1024> line{};
    const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
    if (length <= 0) return;
    // A checkpoint switches deletions off twice and warns of itself.
    const bool harmless = std::string_view(line.data()).find("File Deletions") != std::string_view::npos;
    if (!harmless) log_line(level, component_, readable_text(line.data()));  // it quotes damaged bytes
  }

  std::string component_;
};

}  // namespace

std::shared_ptr<rocksdb::Logger> make_rocksdb_logger(std::string component) {
  return std::make_shared<ForwardingLogger>(std::move(component));
}

Error error_from(const rocksdb::Status& status, std::string_view what) {
  std::string message = fmt::format("{}: {}", what, status.ToString());
  // Where a sorted file is missing, RocksDB looks for its old name too and speaks of that one.
  if (const auto at = message.find(".ldb"); at != std::string::npos) message.replace(at, 4, ".sst");
  if (status.IsCorruption()) return make_error(Errc::kCorrupt, message);
  if (status.IsNoSpace()) return make_error(Errc::kFull, message);
  if (status.IsNotFound()) return make_error(Errc::kNotFound, message);
  const std::string text = status.ToString();
  if (status.IsIOError() &&
      (text.find("While lock file") != std::string::npos || text.find("lock hold by") != std::string::npos)) {
    return make_error(Errc::kConflict, fmt::format("{}: another process has it open, such as a hub that runs", what));
  }
  return make_error(Errc::kIo, message);
}

std::string big_endian(uint64_t number) {
  std::string key(8, '\0');
  for (size_t i = 0; i < 8; ++i) key[i] = static_cast<char>(number >> (56 - 8 * i));
  return key;
}

uint64_t from_big_endian(std::string_view key) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number = number << 8 | static_cast<unsigned char>(key[i]);
  return number;
}

}  // namespace millrace
