// SPDX-License-Identifier: Apache-2.0
#include "cli/command_import_moonraker.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>

#include "bus/logging.h"
#include "bus/random.h"
#include "cli/control_service.h"
#include "cli/history_import.h"
#include "cli/import_progress.h"
#include "cli/moonraker_history.h"
#include "cli/opened_log.h"
#include "cli/own_shop.h"
#include "cli/signals.h"
#include "net/http_client.h"
#include "net/url.h"
#include "producers/moonraker/read_pause.h"

namespace millrace {
namespace {

constexpr size_t kMaxBodyBytes = 16u << 20;
constexpr size_t kMaxRequestBytes = 512u << 10;  // of rows for a hub, before its answer is waited for
constexpr size_t kMaxKeyBytes = 512;
constexpr std::chrono::milliseconds kAnswerTime{30'000};  // a Moonraker on a slow computer, asked for a large page

// Where rows go: a running hub, or a log that is ours alone.
using Take = std::function<Result<ImportTally>(const ImportedRows&)>;

Result<std::string> api_key_in(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string key;
  if (!in || !std::getline(in, key)) {
    return make_error(Errc::kInvalidArgument, fmt::format("--api-key-file '{}' cannot be read", file.string()));
  }
  while (!key.empty() && (key.back() == '\r' || key.back() == ' ')) key.pop_back();
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("--api-key-file '{}': expected the key on its first line", file.string()));
  }
  return key;
}

// "http://host:7125/" -> "http://host:7125"
Result<std::string> base_of(const std::string& url) {
  const auto parsed = parse_url(url);
  if (!parsed) return parsed.error();
  if (parsed->scheme != "http" && parsed->scheme != "https") {
    return make_error(Errc::kInvalidArgument, fmt::format("'{}': expected http:// or https://", url));
  }
  std::string base = url.substr(0, url.find('?'));
  while (base.ends_with('/')) base.pop_back();
  return base;
}

size_t bytes_of(const HistoryRow& row) {
  return 512 + row.filename.size() + row.user.size() + row.metadata_json.size() + row.auxiliary_json.size();
}

// Calls `take` with pieces that a request has room for.
Result<ImportTally> take_in_pieces(const Take& take, ImportedRows rows) {
  ImportTally tally;
  ImportedRows piece{rows.machine, rows.skew_ms, {}};
  size_t bytes = 0;
  const auto flush = [&]() -> Result<void> {
    if (piece.rows.empty()) return {};
    const auto taken = take(piece);
    if (!taken) return taken.error();
    tally += *taken;
    piece.rows.clear();
    bytes = 0;
    return {};
  };
  for (HistoryRow& row : rows.rows) {
    const size_t more = bytes_of(row);
    if (bytes + more > kMaxRequestBytes) {
      if (auto flushed = flush(); !flushed) return flushed.error();
    }
    bytes += more;
    piece.rows.push_back(std::move(row));
  }
  if (auto flushed = flush(); !flushed) return flushed.error();
  return tally;
}

Result<ImportTally> ask_hub_to_take(const std::filesystem::path& data_dir, const ImportedRows& rows) {
  const auto answer = ask_hub(data_dir, to_json(rows));
  if (!answer) return answer.error();
  JsonReader reader;
  const auto json = reader.parse(*answer);
  if (!json) return json.error();
  return import_tally_in(*json);
}

struct Outcome {
  ImportTally tally;
  uint64_t unusable = 0;
  double seconds = 0;
};

Result<Outcome> import_all(MoonrakerHistory& history, const ImportMoonrakerOptions& options, const Take& take,
                           const Clock& clock, ImportProgress& progress) {
  Outcome outcome;
  for (;;) {
    ImportedRows rows{options.machine, std::nullopt, {}};
    auto next = history.next();
    if (!next) return make_error(next.error().code, fmt::format("{}: {}", options.url, next.error().context));
    if (next->empty()) break;
    rows.rows = std::move(*next);
    if (const auto machine_s = history.machine_unix_s()) {
      rows.skew_ms = to_unix_us(clock.wall()) / 1000 - *machine_s * 1000;
    }
    const auto taken = take_in_pieces(take, std::move(rows));
    if (!taken) return taken.error();
    outcome.tally += *taken;
    progress.show(outcome.tally.rows, outcome.tally.new_jobs);
  }
  outcome.unusable = history.unusable();
  outcome.seconds = progress.seconds();
  return outcome;
}

void print_outcome(const ImportMoonrakerOptions& options, const Outcome& outcome) {
  const ImportTally& tally = outcome.tally;
  if (options.json) {
    JsonWriter json;
    json.object().field("machine", options.machine).field("rows", tally.rows).field("new_jobs", tally.new_jobs);
    json.field("new_ends", tally.new_ends).field("known", tally.known).field("unusable_rows", outcome.unusable);
    json.field("events", tally.events).field("position", tally.position.value).field("seconds", outcome.seconds).end();
    std::puts(json.text().c_str());
    return;
  }
  fmt::print("{}: {} rows read in {:.1f} s: {} new jobs, {} with a better known end, {} known, {} not usable\n",
             options.machine, tally.rows + outcome.unusable, outcome.seconds, tally.new_jobs, tally.new_ends,
             tally.known, outcome.unusable);
}

// Asks the hub that runs on the folder, or opens it.
Result<Take> open_target(const ImportMoonrakerOptions& options, const Clock& clock, std::unique_ptr<OwnShop>& shop,
                         std::unique_ptr<HistoryImport>& import) {
  const auto hub = ask_hub(options.data_dir, R"({"command":"ping"})");
  if (hub) return Take([data = options.data_dir](const ImportedRows& rows) { return ask_hub_to_take(data, rows); });
  if (hub.error().code != Errc::kUnavailable) return hub.error();
  auto opened = OwnShop::open(options.data_dir, clock);
  if (!opened) return opened.error();
  shop = std::move(*opened);
  import = std::make_unique<HistoryImport>(
      HistoryImport::Parts{shop->views(), [raw = shop.get()] { return raw->log().last();
}
, [raw = shop.get()](auto events) { return raw->append(std::move(events)); },
    [raw = shop.get()](Position position) { return raw->wait_for_views(position); }, clock
}  // namespace
);
return Take([raw = import.get()](const ImportedRows& rows) { return raw->take(rows); });
}  // namespace millrace

Result<Outcome> import_moonraker(const ImportMoonrakerOptions& options) {
  const auto base = base_of(options.url);
  if (!base) return base.error();
  if (!is_valid_machine_id(options.machine) || is_reserved_name(options.machine)) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("--machine '{}': expected 1 to 64 of a-z, 0-9 and '-'", options.machine));
  }
  HttpClientRequest request{.timeout = kAnswerTime, .max_body_bytes = kMaxBodyBytes};
  if (!options.api_key_file.empty()) {
    auto key = api_key_in(options.api_key_file);
    if (!key) return key.error();
    request.headers.emplace_back("X-Api-Key", std::move(*key));
  }
  const SystemClock clock;
  ImportProgress progress(clock);
  const auto metrics = make_metrics();
  ProtocolErrors errors(options.machine, clock, metrics->counter("millrace_import_protocol_errors_total", ""));
  SeededRandom random(random_seed());
  MoonrakerHistory history({[&](const std::string& target) {
                              request.url = *base + target;
                              return http_request(request);
                            },
                            [&](std::chrono::milliseconds time, int retry, const std::string& why) {
                              progress.show_pause(time, retry, kMaxReadRetries, why);
                              return wait_for_stop(time) == 0;
                            },
                            [&](const std::string& warning) {
                              progress.clear();
                              log_warn("import", "{}", warning);
                            }},
                           errors, random);
  std::unique_ptr<OwnShop> shop;
  std::unique_ptr<HistoryImport> import;
  const auto take = open_target(options, clock, shop, import);
  if (!take) return take.error();
  return import_all(history, options, *take, clock, progress);
}

}  // namespace

int run_import_moonraker(const ImportMoonrakerOptions& options) {
  LoggingOptions logging;
  logging.level = LogLevel::kWarn;
  (void)start_logging(logging);
  const auto outcome = import_moonraker(options);
  if (!outcome) return fail(outcome.error());
  if (outcome->tally.new_machine) {
    fmt::print(stderr, "Nothing was known of a machine '{}' before: put it into the configuration to watch it.\n",
               options.machine);
  }
  print_outcome(options, *outcome);
  return 0;
}

}  // namespace millrace
