// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/stream_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace millrace {
namespace {

constexpr size_t kRead = 256u << 10;

Error socket_error(std::string_view what) {
  return make_error(Errc::kIo, fmt::format("{}: {}", what, std::strerror(errno)));
}

}  // namespace

StreamSocket::StreamSocket(StreamSocket&& other) noexcept { *this = std::move(other); }

StreamSocket& StreamSocket::operator=(StreamSocket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(buffer_, other.buffer_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
  return *this;
}

StreamSocket::~StreamSocket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<StreamSocket> StreamSocket::connect_unix(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = path.string();
  if (name.size() >= sizeof address.sun_path) {
    return make_error(Errc::kInvalidArgument, fmt::format("'{}' is too long for a socket", name));
  }
  std::memcpy(address.sun_path, name.data(), name.size());
  StreamSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.descriptor_ < 0) return socket_error("socket");
  if (::connect(socket.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return socket_error(fmt::format("connect to '{}'", name));
  }
  return socket;
}

Result<void> StreamSocket::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return socket_error("send");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return {};
}

Result<void> StreamSocket::fill() {
  if (begin_ > 0 && begin_ == end_) begin_ = end_ = 0;
  if (buffer_.size() - end_ < kRead) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (buffer_.size() - end_ < kRead) buffer_.resize(end_ + 2 * kRead);
  }
  for (;;) {
    const ssize_t got = ::recv(descriptor_, buffer_.data() + end_, buffer_.size() - end_, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return socket_error("receive");
    if (got == 0) return make_error(Errc::kUnavailable, "the server closed the connection");
    end_ += static_cast<size_t>(got);
    return {};
  }
}

Result<std::string_view> StreamSocket::read(size_t size) {
  while (end_ - begin_ < size) {
    if (auto filled = fill(); !filled) return filled.error();
  }
  const auto bytes = held().substr(0, size);
  begin_ += size;
  return bytes;
}

Result<std::string_view> StreamSocket::read_line() {
  for (;;) {
    const auto end = held().find("\r\n");
    if (end != std::string_view::npos) {
      const auto line = held().substr(0, end);
      begin_ += end + 2;
      return line;
    }
    if (auto filled = fill(); !filled) return filled.error();
  }
}

}  // namespace millrace
