// SPDX-License-Identifier: Apache-2.0
// What IoLoop hides, for the .cc files of this folder alone.  Every socket and timer uses the io_context's own
// executor: the type-erased default costs compile time and an allocation per operation, and one loop never needs it.
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "net/io_loop.h"

namespace millrace {

namespace asio = boost::asio;
using boost::system::error_code;

using LoopExecutor = asio::io_context::executor_type;
using TcpSocket = asio::basic_stream_socket<asio::ip::tcp, LoopExecutor>;
using TcpAcceptor = asio::basic_socket_acceptor<asio::ip::tcp, LoopExecutor>;
using TcpResolver = asio::ip::basic_resolver<asio::ip::tcp, LoopExecutor>;
using SteadyTimer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, LoopExecutor>;

struct IoLoop::Impl {
  asio::io_context context{1};  // 1: one thread runs it; posting stays safe from any
  asio::executor_work_guard<LoopExecutor> work{context.get_executor()};
};

}  // namespace millrace
