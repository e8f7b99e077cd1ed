// SPDX-License-Identifier: Apache-2.0
#include "cli/command_import_older.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "bus/logging.h"
#include "cli/config.h"
#include "cli/control_service.h"
#include "cli/hub.h"
#include "cli/import_progress.h"
#include "cli/older_import.h"
#include "cli/opened_log.h"
#include "cli/own_shop.h"
#include "producers/older/klipperiwc_log.h"
#include "producers/older/print_log.h"

namespace millrace {
namespace {

constexpr std::string_view kPasswordVariable = "MILLRACE_DATABASE_PASSWORD";

using Take = std::function<Result<OlderTally>(const OlderPiece&)>;

// Where pieces go: a running hub, or a log that is ours alone.
struct Target {
  std::unique_ptr<OwnShop> shop;
  std::unique_ptr<BlobStore> blobs;
  std::unique_ptr<OlderImport> import;
  Take take;
};

Result<OlderTally> ask_hub_to_take(const std::filesystem::path& data_dir, const OlderPiece& piece) {
  const auto answer = ask_hub(data_dir, to_json(piece));
  if (!answer) return answer.error();
  JsonReader reader;
  const auto json = reader.parse(*answer);
  if (!json) return json.error();
  return older_tally_in(*json);
}

Result<Target> open_target(const std::filesystem::path& data_dir, const Clock& clock) {
  Target target;
  const auto hub = ask_hub(data_dir, R"({"command":"ping"})");
  if (hub) {
    target.take = [data_dir](const OlderPiece& piece) { return ask_hub_to_take(data_dir, piece); };
    return target;
  }
  if (hub.error().code != Errc::kUnavailable) return hub.error();
  auto shop = OwnShop::open(data_dir, clock);
  if (!shop) return shop.error();
  auto blobs = open_blob_folder(blobs_directory(data_dir));
  if (!blobs) return blobs.error();
  target.shop = std::move(*shop);
  target.blobs = std::move(*blobs);
  target.import = std::make_unique<OlderImport>(
      HistoryImport::Parts{target.shop->views(), [raw = target.shop.get()] { return raw->log().last(); },
                           [raw = target.shop.get()](auto events) { return raw->append(std::move(events)); },
                           [raw = target.shop.get()](Position position) { return raw->wait_for_views(position); },
                           clock},
      *target.blobs);
  target.take = [raw = target.import.get()](const OlderPiece& piece) { return raw->take(piece); };
  return target;
}

Result<std::unique_ptr<SqlDatabase>> open_database(const ImportOlderOptions& options) {
  DatabaseOptions database;
  const auto url = parse_database_url(options.database);
  if (!url) return url.error();
  database.url = *url;
  const bool fits =
      url->dialect == SqlDialect::kSqlite || (url->dialect == SqlDialect::kMysql && options.source == kPrintLogger);
  if (!fits) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("--database '{}': {} keeps its data in SQLite{}", url->text(), options.source,
                                  options.source == kPrintLogger ? " or MySQL" : ""));
  }
  if (!options.password_file.empty()) {
    auto password = read_database_password(options.password_file);
    if (!password) return make_error(Errc::kInvalidArgument, "--password-file: " + password.error().context);
    database.password = std::move(*password);
  } else if (const auto environment = system_environment(); environment.contains(std::string(kPasswordVariable))) {
    database.password = environment.at(std::string(kPasswordVariable));
  }
  database.read_only = true;
  return SqlDatabase::open(std::move(database));
}

Result<std::map<std::string, std::string>> machines_in(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> machines;
  for (const std::string& text : texts) {
    const size_t equals = text.rfind('=');
    const std::string id = equals == std::string::npos ? "" : text.substr(equals + 1);
    if (equals == 0 || !is_valid_machine_id(id) || is_reserved_name(id)) {
      return make_error(Errc::kInvalidArgument,
                        fmt::format("--machine '{}': expected OLDNAME=machine-id, the id of a-z, 0-9 and '-'", text));
    }
    if (!machines.emplace(text.substr(0, equals), id).second) {
      return make_error(Errc::kInvalidArgument, fmt::format("--machine '{}': that printer is named twice", text));
    }
  }
  return machines;
}

std::string joined(const std::set<std::string>& texts) { return fmt::format("{}", fmt::join(texts, ", ")); }

struct Outcome {
  OlderTally tally;
  std::optional<PrintLogReport> print_log;
  std::optional<KlipperIwcReport> klipperiwc;
  std::string zone;
  uint64_t odd_rows = 0;
  uint64_t odd_values = 0;
  double seconds = 0;

  uint64_t rows() const {
    return print_log ? print_log->prints : klipperiwc->sights + klipperiwc->temperatures + klipperiwc->statuses;
  }
};

void print_json(const ImportOlderOptions& options, const Outcome& outcome) {
  const OlderTally& tally = outcome.tally;
  JsonWriter json;
  json.object().field("source", options.source).field("rows", outcome.rows()).field("new_jobs", tally.jobs.new_jobs);
  json.field("new_ends", tally.jobs.new_ends).field("known", tally.jobs.known);
  json.field("unusable_rows", outcome.odd_rows).field("odd_values", outcome.odd_values);
  json.field("joined", tally.joined).field("details", tally.details).field("pictures_lost", tally.pictures_lost);
  json.field("texts", tally.texts).field("new_records", tally.new_records).field("known_records", tally.known_records);
  json.field("new_minutes", tally.new_minutes).field("known_minutes", tally.known_minutes);
  json.field("new_machines", tally.new_machines).key("machines").array();
  for (const auto& [printer, machine] : tally.machines) {
    json.object().field("printer", printer).field("machine", machine).end();
  }
  json.end();
  if (const auto& report = outcome.print_log) {
    json.field("doubled_rows", report->doubled).field("orphaned_rows", report->orphans);
    json.field("still_printing", report->printing).key("shifted").object();
    json.field("zone", outcome.zone).field("rows", report->times.shifted);
    json.field("by_created_at", report->times.by_created).field("by_live_row", report->times.by_live_row);
    json.field("by_neighbours", report->times.by_neighbours).field("by_log", tally.shifted_by_log);
    json.field("undecided", report->times.undecided).end();
  } else {
    json.field("temperatures", outcome.klipperiwc->temperatures).field("statuses", outcome.klipperiwc->statuses);
    json.field("queued", outcome.klipperiwc->queued).field("still_printing", outcome.klipperiwc->printing);
    json.field("made_up_statuses", outcome.klipperiwc->samples);
  }
  json.field("events", tally.jobs.events).field("position", tally.jobs.position.value);
  json.field("seconds", outcome.seconds).end();
  std::puts(json.text().c_str());
}

void print_print_log(const Outcome& outcome) {
  const OlderTally& tally = outcome.tally;
  const PrintLogReport& report = *outcome.print_log;
  fmt::print(
      "{}: {} rows read in {:.1f} s: {} new jobs, {} with a better known end, {} known, {} doubled live rows, "
      "{} not usable\n",
      kPrintLogger, report.prints, outcome.seconds, tally.jobs.new_jobs, tally.jobs.new_ends, tally.jobs.known,
      report.doubled, outcome.odd_rows);
  fmt::print(
      "told: {} machines, slicer metadata of {} jobs, titles or links of {}, {} maintenance records ({} known)\n",
      tally.new_machines, tally.details, tally.texts, tally.new_records, tally.known_records);
  const SettledTimes& times = report.times;
  if (!outcome.zone.empty() && outcome.zone != "UTC") {
    fmt::print(
        "times: {} rows shifted by {}: {} by created_at, {} by their live rows, {} by the rows around them; {} "
        "could be either and are taken as UTC\n",
        times.shifted, outcome.zone, times.by_created, times.by_live_row, times.by_neighbours, times.undecided);
  }
  if (tally.shifted_by_log > 0) {
    fmt::print("times: {} rows lie a zone's offset away from prints that the log knows by number and file\n",
               tally.shifted_by_log);
  }
  if (tally.joined > 0) fmt::print("joined: {} prints that stood twice in the history\n", tally.joined);
  if (report.printing > 0) {
    fmt::print("left out: {} prints that are still going on; run the import again when they are over\n",
               report.printing);
  }
  if (report.orphans > 0) {
    fmt::print("left out: {} rows of printers that were deleted, ids {}; --machine '#ID=machine-id' takes them\n",
               report.orphans, fmt::join(report.orphaned_printers, ", "));
  }
  if (!report.keys_left.empty()) {
    fmt::print("not taken over: the API keys for Moonraker of {}; give them to the machines here\n",
               joined(report.keys_left));
  }
}

void print_klipperiwc(const ImportOlderOptions& options, const Outcome& outcome) {
  const OlderTally& tally = outcome.tally;
  const KlipperIwcReport& report = *outcome.klipperiwc;
  fmt::print("{}: {} rows read in {:.1f} s: {} new jobs, {} known, {} not usable\n", options.machine, outcome.rows(),
             outcome.seconds, tally.jobs.new_jobs, tally.jobs.known, outcome.odd_rows);
  fmt::print("told: {} machines, {} minutes of signals ({} known) out of {} temperatures and {} statuses\n",
             tally.new_machines, tally.new_minutes, tally.known_minutes, report.temperatures, report.statuses);
  if (report.printing > 0) {
    fmt::print("left out: {} prints that are still going on; run the import again when they are over\n",
               report.printing);
  }
  if (report.samples > 0) {
    fmt::print(
        "{} of {} statuses are what KlipperIWC makes up while no printer is connected to it, and no "
        "measurement\n",
        report.samples, report.statuses);
  }
}

void print_outcome(const ImportOlderOptions& options, const Outcome& outcome) {
  if (options.json) return print_json(options, outcome);
  outcome.print_log ? print_print_log(outcome) : print_klipperiwc(options, outcome);
  const auto& missing = outcome.print_log ? outcome.print_log->missing_tables : outcome.klipperiwc->missing_tables;
  if (!missing.empty()) fmt::print("not there, as in an older version: {}\n", joined(missing));
  if (outcome.tally.pictures_lost > 0) {
    fmt::print("not kept: pictures or settings of {} jobs, see their warnings\n", outcome.tally.pictures_lost);
  }
  if (outcome.tally.new_machines > 0) {
    fmt::print(stderr, "New machines are disabled: enable those that Millrace is to watch.\n");
  }
}

Result<Outcome> import_older(const ImportOlderOptions& options) {
  const bool is_print_log = options.source == kPrintLogger;
  const auto machines = machines_in(options.machines);
  if (!machines) return machines.error();
  if (!is_print_log && (!is_valid_machine_id(options.machine) || is_reserved_name(options.machine))) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("--machine '{}': expected 1 to 64 of a-z, 0-9 and '-'", options.machine));
  }
  std::optional<LocalZone> zone;
  if (!options.zone.empty()) {
    auto loaded = LocalZone::load(options.zone);
    if (!loaded) return make_error(loaded.error().code, "--zone: " + loaded.error().context);
    zone = std::move(*loaded);
  }
  auto database = open_database(options);
  if (!database) return database.error();
  const SystemClock clock;
  auto target = open_target(options.data_dir, clock);
  if (!target) return target.error();
  Outcome outcome;
  outcome.zone = options.zone;
  ImportProgress progress(clock);
  OddRows odd([&](const std::string& what) {
    progress.clear();
    fmt::print(stderr, "{}\n", what);
  });
  const TakePiece take = [&](const OlderPiece& piece) -> Result<std::map<int64_t, std::string>> {
    auto tally = target->take(piece);
    if (!tally) return tally.error();
    outcome.tally += *tally;
    progress.show(outcome.tally.jobs.rows + outcome.tally.new_minutes + outcome.tally.known_minutes,
                  outcome.tally.jobs.new_jobs + outcome.tally.new_minutes);
    return tally->machines;
  };
  if (is_print_log) {
    auto report = read_print_log(**database, {*machines, zone ? &*zone : nullptr, to_unix_us(clock.wall())}, odd, take);
    if (!report) return report.error();
    outcome.print_log = std::move(*report);
  } else {
    auto report = read_klipperiwc_log(**database, {options.machine, to_unix_us(clock.wall())}, odd, take);
    if (!report) return report.error();
    outcome.klipperiwc = std::move(*report);
  }
  outcome.odd_rows = odd.rows() - (outcome.print_log ? outcome.print_log->orphans : 0);
  outcome.odd_values = odd.values();
  outcome.seconds = progress.seconds();
  return outcome;
}

}  // namespace

int run_import_older(const ImportOlderOptions& options) {
  LoggingOptions logging;
  logging.level = LogLevel::kError;  // odd rows are told in their own words
  (void)start_logging(logging);
  const auto outcome = import_older(options);
  if (!outcome) return fail(outcome.error());
  print_outcome(options, *outcome);
  return 0;
}

}  // namespace millrace
