// SPDX-License-Identifier: Apache-2.0
// A blocking stream socket on this machine: what the benchmarks' own small clients of other servers speak through.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "bus/result.h"

namespace millrace {

class StreamSocket {
 public:
  static Result<StreamSocket> connect_unix(const std::filesystem::path& path);
  StreamSocket(StreamSocket&& other) noexcept;
  StreamSocket& operator=(StreamSocket&& other) noexcept;
  ~StreamSocket();

  Result<void> write_all(std::string_view bytes);
  // The next `size` bytes; valid until the next read.
  Result<std::string_view> read(size_t size);
  // Up to and without the next "\r\n"; valid until the next read.
  Result<std::string_view> read_line();

 private:
  explicit StreamSocket(int descriptor) : descriptor_(descriptor) {}
  Result<void> fill();
  std::string_view held() const { return std::string_view(buffer_).substr(begin_, end_ - begin_); }

  int descriptor_ = -1;
  std::string buffer_;
  size_t begin_ = 0;  // of what was received and not yet read
  size_t end_ = 0;
};

}  // namespace millrace
