// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's protocol 3.0 (PostgreSQL 15 documentation, chapter 55) and Redis' RESP2 (redis.io, "Redis serialization
// protocol specification"), as much of them as COPY, XADD and XRANGE need.
#include "cli/bench/peer_servers.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <thread>

#include "cli/bench/harness.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kStartTimeout{20};
constexpr uint64_t kRowsPerTransaction = 1024;
constexpr uint64_t kPipeline = 1024;
constexpr uint64_t kPage = 1000;
constexpr const char* kPostgresPrograms = "/usr/lib/postgresql/15/bin";
constexpr const char* kRedisProgram = "/usr/bin/redis-server";
constexpr const char* kPostgresUser = "postgres";

// PostgreSQL refuses to run as root.
std::vector<std::string> as_postgres(std::vector<std::string> command) {
  if (::geteuid() != 0) return command;
  const std::string user = kPostgresUser;
  command.insert(command.begin(), {"setpriv", "--reuid=" + user, "--regid=" + user, "--clear-groups"});
  return command;
}

Result<void> give_to_postgres(const std::filesystem::path& directory) {
  if (::geteuid() != 0) return {};
  const passwd* user = ::getpwnam(kPostgresUser);
  if (user == nullptr || ::chown(directory.c_str(), user->pw_uid, user->pw_gid) != 0) {
    return make_error(Errc::kUnavailable, fmt::format("'{}' cannot be given to the user postgres", directory.string()));
  }
  std::error_code error;
  std::filesystem::permissions(directory.parent_path(), std::filesystem::perms::others_exec,
                               std::filesystem::perm_options::add, error);
  return error ? Result<void>{make_error(Errc::kIo, error.message())} : Result<void>{};
}

template <class T>
void put_big_endian(std::string& out, T number) {
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8) {
    out += static_cast<char>(static_cast<uint64_t>(number) >> shift);
  }
}

// One session.
class PostgresConnection {
 public:
  static Result<PostgresConnection> open(const std::filesystem::path& socket) {
    auto stream = StreamSocket::connect_unix(socket);
    if (!stream) return stream.error();
    PostgresConnection connection(std::move(*stream));
    std::string hello;
    put_big_endian(hello, uint32_t{3u << 16});
    constexpr char kParameters[] = "user\0postgres\0database\0postgres\0";  // and the literal's own end
    hello.append(kParameters, sizeof kParameters);
    std::string message;
    put_big_endian(message, static_cast<uint32_t>(hello.size() + 4));
    if (auto sent = connection.stream_.write_all(message + hello); !sent) return sent.error();
    if (auto ready = connection.wait_for('Z'); !ready) return ready.error();
    return connection;
  }

  Result<void> query(std::string_view sql) {
    if (auto sent = send('Q', std::string(sql) + '\0'); !sent) return sent;
    return wait_for('Z');
  }

  // One transaction.
  Result<void> copy(uint64_t first, uint64_t rows, std::string_view payload) {
    if (auto sent = send('Q', std::string("COPY events FROM STDIN (FORMAT binary)") + '\0'); !sent) return sent;
    if (auto begun = wait_for('G'); !begun) return begun;
    data_.assign("PGCOPY\n\377\r\n\0", 11);
    put_big_endian(data_, uint64_t{0});  // flags, and no extension
    for (uint64_t row = first; row < first + rows; ++row) {
      put_big_endian(data_, uint16_t{2});
      put_big_endian(data_, uint32_t{8});
      put_big_endian(data_, row);
      put_big_endian(data_, static_cast<uint32_t>(payload.size()));
      data_ += payload;
    }
    put_big_endian(data_, uint16_t{0xFFFF});
    if (auto sent = send('d', data_); !sent) return sent;
    if (auto sent = send('c', ""); !sent) return sent;
    return wait_for('Z');
  }

 private:
  explicit PostgresConnection(StreamSocket stream) : stream_(std::move(stream)) {}

  Result<void> send(char type, std::string_view body) {
    std::string head(1, type);
    put_big_endian(head, static_cast<uint32_t>(body.size() + 4));
    if (auto sent = stream_.write_all(head); !sent) return sent;
    return stream_.write_all(body);
  }

  // Reads until a message of this type.  An error of the server is one here; the session is of no use behind it.
  Result<void> wait_for(char wanted) {
    for (;;) {
      const auto head = stream_.read(5);
      if (!head) return head.error();
      const char type = head->front();
      uint32_t length = 0;
      for (const char byte : head->substr(1)) length = length << 8 | static_cast<uint8_t>(byte);
      const auto body = stream_.read(length - 4);
      if (!body) return body.error();
      if (type == 'E') return make_error(Errc::kUnavailable, fmt::format("PostgreSQL: {}", readable(*body)));
      if (type == wanted) return {};
    }
  }

  static std::string readable(std::string_view text) {
    std::string out(text);
    for (char& byte : out) byte = byte == '\0' ? ' ' : byte;
    return out;
  }

  StreamSocket stream_;
  std::string data_;
};

// Runs `work(i, its share)` on that many threads; the first error of any.
Result<double> rate_of_threads(uint64_t events, uint64_t threads, const Clock& clock,
                               const std::function<Result<void>(uint64_t index, uint64_t share)>& work) {
  const uint64_t share = events / threads;
  std::vector<Result<void>> outcomes(threads);
  const double seconds = seconds_of(clock, [&] {
    std::vector<std::thread> running;
    for (uint64_t i = 0; i < threads; ++i) running.emplace_back([&, i] { outcomes[i] = work(i, share); });
    for (auto& thread : running) thread.join();
  });
  for (const auto& outcome : outcomes) {
    if (!outcome) return outcome.error();
  }
  return static_cast<double>(share * threads) / seconds;
}

void put_bulk(std::string& out, std::string_view text) {
  fmt::format_to(std::back_inserter(out), "${}\r\n", text.size());
  out += text;
  out += "\r\n";
}

void put_command(std::string& out, std::initializer_list<std::string_view> words) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
  for (const auto word : words) put_bulk(out, word);
}

// Reads the head of a reply, such as "$15" or "*2": its kind and number.
Result<int64_t> read_head(StreamSocket& stream, char kind) {
  const auto line = stream.read_line();
  if (!line) return line.error();
  int64_t number = 0;
  if (line->empty() || line->front() != kind ||
      std::from_chars(line->data() + 1, line->data() + line->size(), number).ec != std::errc{}) {
    return make_error(Errc::kUnavailable, fmt::format("Redis: '{}' where '{}' was expected", *line, kind));
  }
  return number;
}

// A bulk string; valid until the next read.
Result<std::string_view> read_bulk(StreamSocket& stream) {
  const auto size = read_head(stream, '$');
  if (!size) return size.error();
  const auto bytes = stream.read(static_cast<size_t>(*size) + 2);
  if (!bytes) return bytes.error();
  return bytes->substr(0, static_cast<size_t>(*size));
}

Result<void> add_entries(StreamSocket& stream, uint64_t first, uint64_t count,
                         const std::function<std::string_view(uint64_t)>& payload_of) {
  std::string commands;
  for (uint64_t done = 0; done < count;) {
    const uint64_t batch = std::min(kPipeline, count - done);
    commands.clear();
    for (uint64_t i = 0; i < batch; ++i) {
      put_command(commands, {"XADD", "events", "*", "e", payload_of(first + done + i)});
    }
    if (auto sent = stream.write_all(commands); !sent) return sent;
    for (uint64_t i = 0; i < batch; ++i) {
      if (const auto id = read_bulk(stream); !id) return id.error();
    }
    done += batch;
  }
  return {};
}

}  // namespace

Result<PostgresPeer> PostgresPeer::start(const std::filesystem::path& directory, const Clock& clock) {
  const std::filesystem::path programs = kPostgresPrograms;
  if (!std::filesystem::exists(programs / "postgres")) {
    return make_error(Errc::kNotFound, "PostgreSQL is not installed (apt-get install postgresql-15)");
  }
  if (auto given = give_to_postgres(directory); !given) return given.error();
  const auto data = directory / "data";
  const auto output = directory.parent_path() / "postgres.log";
  auto made = ChildProcess::start(as_postgres({(programs / "initdb").string(), "--pgdata", data.string(), "--auth",
                                               "trust", "--username", kPostgresUser, "--no-sync"}),
                                  output);
  if (!made) return made.error();
  if (made->wait() != 0) return make_error(Errc::kUnavailable, fmt::format("initdb failed, see {}", output.string()));
  auto server = ChildProcess::start(as_postgres({(programs / "postgres").string(), "-D", data.string(), "-k",
                                                 directory.string(), "-c", "listen_addresses="}),
                                    output);
  if (!server) return server.error();
  PostgresPeer peer(std::move(*server));
  peer.socket_ = directory / ".s.PGSQL.5432";
  if (!wait_until(clock, kStartTimeout, [&] { return PostgresConnection::open(peer.socket_).has_value(); })) {
    return make_error(Errc::kTimeout, fmt::format("PostgreSQL does not start, see {}", output.string()));
  }
  return peer;
}

Result<void> PostgresPeer::begin_round() {
  auto connection = PostgresConnection::open(socket_);
  if (!connection) return connection.error();
  if (auto dropped = connection->query("DROP TABLE IF EXISTS events"); !dropped) return dropped;
  // Without any index, which is the most that it can do.
  return connection->query("CREATE TABLE events (sequence bigint, envelope bytea)");
}

Result<double> PostgresPeer::copy_rate(uint64_t events, uint64_t connections, std::string_view payload,
                                       const Clock& clock) {
  std::vector<PostgresConnection> open;
  for (uint64_t i = 0; i < connections; ++i) {
    auto connection = PostgresConnection::open(socket_);
    if (!connection) return connection.error();
    open.push_back(std::move(*connection));
  }
  return rate_of_threads(events, connections, clock, [&](uint64_t index, uint64_t share) -> Result<void> {
    for (uint64_t row = 0; row < share; row += kRowsPerTransaction) {
      const uint64_t rows = std::min(kRowsPerTransaction, share - row);
      if (auto copied = open[index].copy(index * share + row, rows, payload); !copied) return copied;
    }
    return {};
  });
}

Result<RedisPeer> RedisPeer::start(const std::filesystem::path& directory, const Clock& clock) {
  if (!std::filesystem::exists(kRedisProgram)) {
    return make_error(Errc::kNotFound, "Redis is not installed (apt-get install redis-server)");
  }
  const auto socket = directory / "redis.sock";
  auto server = ChildProcess::start(
      {kRedisProgram, "--port", "0", "--unixsocket", socket.string(), "--dir", directory.string(), "--appendonly",
       "yes", "--appendfsync", "always", "--save", "", "--auto-aof-rewrite-percentage", "0"},
      directory / "redis.log");
  if (!server) return server.error();
  RedisPeer peer(std::move(*server));
  peer.socket_ = socket;
  if (!wait_until(clock, kStartTimeout, [&] { return StreamSocket::connect_unix(socket).has_value(); })) {
    return make_error(Errc::kTimeout, fmt::format("Redis does not start, see {}", directory.string()));
  }
  return peer;
}

Result<void> RedisPeer::begin_round() {
  auto stream = StreamSocket::connect_unix(socket_);
  if (!stream) return stream.error();
  std::string command;
  put_command(command, {"DEL", "events"});
  if (auto sent = stream->write_all(command); !sent) return sent;
  const auto answer = read_head(*stream, ':');
  return answer ? Result<void>{} : Result<void>{answer.error()};
}

Result<double> RedisPeer::add_rate(uint64_t events, uint64_t connections,
                                   const std::function<std::string_view(uint64_t)>& payload_of, const Clock& clock) {
  std::vector<StreamSocket> open;
  for (uint64_t i = 0; i < connections; ++i) {
    auto stream = StreamSocket::connect_unix(socket_);
    if (!stream) return stream.error();
    open.push_back(std::move(*stream));
  }
  return rate_of_threads(events, connections, clock, [&](uint64_t index, uint64_t share) {
    return add_entries(open[index], index * share, share, payload_of);
  });
}

Result<double> RedisPeer::range_rate(const Clock& clock) {
  auto stream = StreamSocket::connect_unix(socket_);
  if (!stream) return stream.error();
  uint64_t entries = 0;
  const auto read_page = [&](std::string& from) -> Result<int64_t> {
    std::string command;
    put_command(command, {"XRANGE", "events", from, "+", "COUNT", std::to_string(kPage)});
    if (auto sent = stream->write_all(command); !sent) return sent.error();
    const auto count = read_head(*stream, '*');
    if (!count) return count.error();
    for (int64_t i = 0; i < *count; ++i) {
      if (const auto pair = read_head(*stream, '*'); !pair) return pair.error();
      const auto id = read_bulk(*stream);
      if (!id) return id.error();
      if (i + 1 == *count) from = "(" + std::string(*id);
      if (const auto fields = read_head(*stream, '*'); !fields) return fields.error();
      for (int field = 0; field < 2; ++field) {
        if (const auto text = read_bulk(*stream); !text) return text.error();
      }
      entries += 1;
    }
    return *count;
  };
  Result<int64_t> page = 1;
  std::string from = "-";
  const double seconds = seconds_of(clock, [&] {
    while (page && *page > 0) page = read_page(from);
  });
  if (!page) return page.error();
  return static_cast<double>(entries) / seconds;
}

}  // namespace millrace
