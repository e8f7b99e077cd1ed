// SPDX-License-Identifier: Apache-2.0
#include "cli/command_mirror.h"

#include <fmt/format.h>

#include <cstdio>

#include "bus/blob_store.h"
#include "bus/json_reader.h"
#include "bus/logging.h"
#include "cli/control_service.h"
#include "cli/hub.h"
#include "cli/opened_log.h"
#include "cli/own_shop.h"
#include "cli/signals.h"

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kLook{500};  // at the tables while a hub fills them
// A hub looks again after at most a minute while its database was away.
constexpr std::chrono::seconds kTakenWithin{90};
constexpr std::chrono::seconds kProgress{5};
constexpr const char* kInterrupted = "interrupted; the hub fills the rest when it runs";

Result<std::unique_ptr<SqlDatabase>> open_database(const MirrorOptions& options) {
  DatabaseOptions database;
  database.url = options.url;
  database.password = options.password;
  database.timeout = options.timeout;
  return SqlDatabase::open(std::move(database));
}

void say_done(Position position, std::optional<size_t> rows, double seconds) {
  if (rows) {
    fmt::print("filled up to position {}: {} rows in {:.1f} s, {:.0f} rows/s\n", position.value, *rows, seconds,
               static_cast<double>(*rows) / std::max(seconds, 1e-3));
  } else {
    fmt::print("filled up to position {} by the hub in {:.1f} s\n", position.value, seconds);
  }
}

double seconds_since(MonotonicTime begin, const Clock& clock) {
  return std::chrono::duration<double>(clock.monotonic() - begin).count();
}

// The hub drops and fills; this only watches.
Result<void> watch_the_hub(const MirrorOptions& options, Position end, const Clock& clock) {
  const MonotonicTime begin = clock.monotonic();
  MonotonicTime told = begin;
  for (;;) {
    auto database = open_database(options);
    if (!database) return database.error();
    const auto state = read_mirror_state(**database);
    if (!state) return state.error();
    const bool taken = *state && !(*state)->rebuild;
    if (taken && (*state)->position >= end) {
      say_done((*state)->position, std::nullopt, seconds_since(begin, clock));
      return {};
    }
    if (!taken && clock.monotonic() - begin > kTakenWithin) {
      return make_error(Errc::kTimeout, fmt::format("the hub that runs did not begin within {} s: has it the same "
                                                    "[mirror] url, and what does its log say?",
                                                    kTakenWithin.count()));
    }
    if (taken && clock.monotonic() - told > kProgress) {
      told = clock.monotonic();
      fmt::print(stderr, "position {} of {}\n", (*state)->position.value, end.value);
    }
    if (wait_for_stop(kLook) != 0) return make_error(Errc::kUnavailable, kInterrupted);
  }
}

Result<void> fill_here(const Config& config, MirrorOptions options, const Clock& clock) {
  const auto shop = OwnShop::open(config.data_dir, clock);
  if (!shop) return shop.error();
  const auto blobs = open_blob_folder(blobs_directory(config.data_dir));
  if (!blobs) return blobs.error();
  const auto metrics = make_metrics();
  const auto wait_for_views = [&shop](Position position) { return (*shop)->wait_for_views(position).has_value(); };
  Mirror mirror(std::move(options), {(*shop)->log(), (*shop)->views(), blobs->get(), wait_for_views, clock, *metrics});
  const MonotonicTime begin = clock.monotonic();
  MonotonicTime told = begin;
  size_t rows = 0;
  for (;;) {
    const auto pass = mirror.run_once();
    if (!pass) return pass.error();
    rows += pass->rows;
    if (pass->at_end) {
      say_done(pass->position, rows, seconds_since(begin, clock));
      return {};
    }
    if (clock.monotonic() - told > kProgress) {
      told = clock.monotonic();
      fmt::print(stderr, "position {} of {}\n", pass->position.value, (*shop)->log().last().value);
    }
    if (wait_for_stop(std::chrono::milliseconds(0)) != 0) return make_error(Errc::kUnavailable, kInterrupted);
  }
}

Result<void> rebuild(const Config& config) {
  auto options = mirror_options(config);
  if (!options) return options.error();
  const SystemClock clock;
  const auto hub = ask_hub(config.data_dir, R"({"command":"ping"})");
  if (!hub && hub.error().code != Errc::kUnavailable) return hub.error();
  if (!hub && !std::filesystem::exists(log_directory(config.data_dir))) {
    return make_error(Errc::kNotFound, fmt::format("'{}' holds no log", config.data_dir.string()));
  }
  {
    auto database = open_database(*options);
    if (!database) return database.error();
    // Where there are no tables yet, they are made and filled all the same.
    const auto asked = request_mirror_rebuild(**database);
    if (!asked && asked.error().code != Errc::kNotFound) return asked;
  }
  if (!hub) return fill_here(config, std::move(*options), clock);
  JsonReader reader;
  const auto json = reader.parse(*hub);
  const auto end = json ? integer_member(*json, "position") : std::nullopt;
  if (!end) return make_error(Errc::kIo, "the hub's answer cannot be read");
  return watch_the_hub(*options, Position{static_cast<uint64_t>(*end)}, clock);
}

}  // namespace

Result<MirrorOptions> mirror_options(const Config& config) {
  MirrorOptions options;
  if (config.mirror_url.empty()) {
    return make_error(Errc::kInvalidArgument, fmt::format("{}: mirror.url is not set", config.source));
  }
  auto url = parse_database_url(config.mirror_url);
  if (!url) return url.error();
  options.url = std::move(*url);
  options.password = config.mirror_password;
  if (!config.mirror_password_file.empty()) {
    auto password = read_database_password(config.mirror_password_file);
    if (!password) {
      return make_error(Errc::kInvalidArgument,
                        fmt::format("{}: mirror.password_file: {}", config.source, password.error().context));
    }
    options.password = std::move(*password);
  }
  options.interval = std::chrono::seconds(config.mirror_interval_seconds);
  return options;
}

int run_mirror_rebuild(const Config& config) {
  block_stop_signals();
  LoggingOptions logging;
  logging.level = LogLevel::kWarn;
  if (auto started = start_logging(logging); !started) return fail(started.error());
  const auto done = rebuild(config);
  return done ? 0 : fail(done.error());
}

}  // namespace millrace
