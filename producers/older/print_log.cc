// SPDX-License-Identifier: Apache-2.0
#include "producers/older/print_log.h"

#include <algorithm>
#include <array>

#include "bus/sha256.h"

namespace millrace {
namespace {

constexpr std::string_view kPrinters = "printers";
constexpr std::string_view kPrints = "print_jobs";
constexpr std::string_view kDetails = "job_details";
constexpr std::string_view kRecords = "maintenance_records";

constexpr size_t kPage = 200;               // of prints with their details, each of which may hold a picture
constexpr size_t kPieceBytes = 512u << 10;  // before its text is escaped for a hub
constexpr size_t kPieceJobs = 200;
constexpr size_t kPieceRecords = 500;
constexpr size_t kMaxStructure = 16u << 10;  // of a row's JSON, as in Moonraker's history
constexpr size_t kMaxRaw = 12u << 10;        // of one text in the row as it was
constexpr size_t kMaxDetailBytes = 600u << 10;
constexpr size_t kMaxMaterials = 4096;
constexpr int64_t kStillPrintingUs = int64_t{3} * 86'400'000'000;

constexpr std::array<std::string_view, 7> kCategories = {
    "cleaning", "calibration", "parts_replacement", "repair", "inspection", "upgrade", "other"};
// Moonraker's words for the end of a print, and the logger's own two for one that goes on.
constexpr std::array<std::string_view, 9> kStatuses = {"completed",       "cancelled",         "error",
                                                       "klippy_shutdown", "klippy_disconnect", "server_exit",
                                                       "interrupted",     "in_progress",       "printing"};

OlderTableOptions printers_table() {
  return {std::string(kPrinters), "SELECT * FROM printers WHERE id > ? ORDER BY id LIMIT 500", 500};
}
OlderTableOptions prints_table() {
  return {std::string(kPrints), "SELECT * FROM print_jobs WHERE id > ? ORDER BY id LIMIT 200", kPage};
}
OlderTableOptions records_table() {
  return {std::string(kRecords), "SELECT * FROM maintenance_records WHERE id > ? ORDER BY id LIMIT 500", 500};
}

OlderPrinter printer_in(const OlderRow& row) {
  OlderPrinter printer;
  auto& settings = printer.settings;
  printer.id = row.id();
  printer.has_api_key = row.has("moonraker_api_key") && !row.text("moonraker_api_key").empty();
  settings.name = row.text("name", 100);
  settings.kind = "printer";
  settings.moonraker_url = row.text("moonraker_url", 500);
  const std::string technology = row.text("printer_type", 50);
  if (technology == "FDM" || technology == "Resin" || technology == "SLS") {
    settings.technology = technology;
  } else if (!technology.empty()) {
    row.odd("printer_type", "is none of FDM, Resin, SLS");
  }
  settings.make = row.text("make", 100);
  settings.model = row.text("model", 100);
  settings.location = row.text("location", 200);
  settings.description = row.text("description", 500);
  const auto size = [&](std::string_view column, double most, flatbuffers::Optional<double>& into) {
    const auto number = row.number(column);
    if (!number) return;
    if (*number > 0 && *number <= most) {
      into = *number;
    } else {
      row.odd(column, "cannot be true");
    }
  };
  size("nozzle_diameter", 20, settings.nozzle_diameter);
  size("filament_diameter", 20, settings.filament_diameter);
  size("bed_x", 100'000, settings.bed_x);
  size("bed_y", 100'000, settings.bed_y);
  size("bed_z", 100'000, settings.bed_z);
  if (const auto heated = row.flag("has_heated_bed")) settings.heated_bed = *heated;
  if (const auto heated = row.flag("has_heated_chamber")) settings.heated_chamber = *heated;
  settings.loaded_materials_json = row.json("loaded_materials", kMaxMaterials);
  return printer;
}

// What is needed of every row at once, to tell rows of one print apart.
OlderPrint light_print(const OlderRow& row) {
  OlderPrint print;
  print.id = row.id();
  print.printer_id = row.integer("printer_id").value_or(0);
  print.job_id = row.text("job_id", 600);
  print.row.filename = row.text("filename");
  print.row.status = row.text("status", 100);
  if (print.row.status == "printing" || print.row.status == "paused") print.row.status = "in_progress";
  print.start = row.time("start_time");
  print.end = row.time("end_time");
  print.created = row.time("created_at");
  print.row.start_us = print.start ? print.start->us : 0;
  print.row.end_us = print.end ? print.end->us : 0;
  print.row.total_duration = row.amount("total_duration");
  print.row.print_duration = row.amount("print_duration");
  print.row.filament_used = row.amount("filament_used");
  print.title = row.text("title", 500);
  print.link = row.text("url", 1000);
  read_live_id(print);
  if (print.live) return print;
  print.row.moonraker_job_id = print.job_id;
  if (print.end && print.row.end_us < print.row.start_us) {
    row.odd("end_time", "lies before the start");
    print.end.reset();
    print.row.end_us = 0;
  }
  return print;
}

class Reading {
 public:
  Reading(SqlDatabase& database, const PrintLogOptions& options, OddRows& odd, const TakePiece& take)
      : database_(database), options_(options), odd_(odd), take_(take) {}

  Result<PrintLogReport> run() {
    for (const auto step : {&Reading::read_printers, &Reading::read_prints, &Reading::check_machines,
                            &Reading::take_printers, &Reading::take_prints, &Reading::take_records}) {
      if (auto done = (this->*step)(); !done) return done.error();
    }
    return report_;
  }

 private:
  static Error no_log(std::string_view missing) {
    return make_error(Errc::kMalformed,
                      fmt::format("that is no database of 3d-print-logger: it has no table {}", missing));
  }

  Result<void> read_printers() {
    const auto found = read_older_table(database_, printers_table(), odd_, [&](const OlderRow& row) -> Result<void> {
      ++report_.printers;
      OlderPrinter printer = printer_in(row);
      if (printer.settings.name.empty()) {
        row.leave_out("a printer without a name");
        return {};
      }
      if (printer.has_api_key) report_.keys_left.insert(printer.settings.name);
      printers_.push_back(std::move(printer));
      return {};
    });
    if (!found) return found.error();
    return *found ? Result<void>{} : no_log(kPrinters);
  }

  Result<void> read_prints() {
    const auto found = read_older_table(database_, prints_table(), odd_, [&](const OlderRow& row) -> Result<void> {
      ++report_.prints;
      OlderPrint print = light_print(row);
      const std::string& status = print.row.status;
      if (std::find(kStatuses.begin(), kStatuses.end(), status) == kStatuses.end()) {
        row.odd("status", "is not known: taken as a failure");
      }
      const bool usable = print.start && !print.row.filename.empty() && !status.empty() && !print.job_id.empty();
      if (usable) {
        prints_.push_back(std::move(print));
      } else {
        row.leave_out("without a usable start_time, filename, status or job_id");
      }
      return {};
    });
    if (!found) return found.error();
    if (!*found) return no_log(kPrints);
    report_.times = settle_times(prints_, options_.zone);
    report_.doubled = mark_doubles(prints_);
    if (report_.times.unexplained == 0) return {};
    const double hours = static_cast<double>(report_.times.unexplained_shift_s) / 3600;
    return make_error(
        Errc::kInvalidArgument,
        fmt::format("{} rows of print_jobs are shifted by {:+g} h against the true time (first id {}): 3d-print-logger "
                    "stored them in the local time of its computer. Say --zone with that computer's time zone, such as "
                    "Europe/Berlin, or --zone UTC to take all times as they are; nothing was taken",
                    report_.times.unexplained, hours, report_.times.unexplained_row));
  }

  Result<void> check_machines() {
    for (const auto& named : options_.machines) {
      const std::string& name = named.first;
      constexpr size_t kMostDigits = 15;
      const bool by_id = name.starts_with('#') && name.size() <= kMostDigits &&
                         name.find_first_not_of("0123456789", 1) == std::string::npos;
      const bool known = std::any_of(printers_.begin(), printers_.end(),
                                     [&](const OlderPrinter& printer) { return printer.settings.name == name; });
      if (known || (by_id && name.size() > 1)) continue;
      std::vector<std::string> names;
      for (const OlderPrinter& printer : printers_) names.push_back("'" + printer.settings.name + "'");
      return make_error(Errc::kInvalidArgument, fmt::format("--machine '{}={}': there is no such printer; there are {}",
                                                            name, named.second, fmt::join(names, ", ")));
    }
    return {};
  }

  Result<void> take_printers() {
    OlderPiece piece;
    piece.source = kPrintLogger;
    for (OlderPrinter& printer : printers_) {
      const auto named = options_.machines.find(printer.settings.name);
      if (named != options_.machines.end()) printer.machine = named->second;
      piece.printers.push_back(printer);
    }
    for (const auto& [name, machine] : options_.machines) {
      if (!name.starts_with('#')) continue;
      OlderPrinter deleted;
      deleted.id = std::stoll(name.substr(1));
      deleted.machine = machine;
      deleted.settings.name = machine;
      deleted.settings.kind = "printer";
      piece.printers.push_back(std::move(deleted));
    }
    if (piece.printers.empty()) return {};
    auto machines = take_(piece);
    if (!machines) return machines.error();
    machines_ = std::move(*machines);
    return {};
  }

  // --- prints, a machine at a time within each page

  Result<void> take_prints() {
    const auto columns = database_.columns_of(kDetails);
    if (!columns) return columns.error();
    const bool has_details = std::find(columns->begin(), columns->end(), "print_job_id") != columns->end();
    if (!has_details) report_.missing_tables.insert(std::string(kDetails));
    detail_columns_ = *columns;
    std::vector<OlderPrint*> page;
    const auto found = read_older_table(database_, prints_table(), odd_, [&](const OlderRow& row) -> Result<void> {
      OlderPrint* print = find(row.id());
      if (print == nullptr) return {};
      fill(row, *print);
      page.push_back(print);
      if (page.size() < kPage) return {};
      auto taken = take_page(page, has_details);
      page.clear();
      return taken;
    });
    if (!found) return found.error();
    if (auto taken = take_page(page, has_details); !taken) return taken;
    return flush();
  }

  OlderPrint* find(int64_t id) {
    const auto found = std::lower_bound(prints_.begin(), prints_.end(), id,
                                        [](const OlderPrint& print, int64_t wanted) { return print.id < wanted; });
    if (found == prints_.end() || found->id != id || found->doubled) return nullptr;
    if (!machines_.contains(found->printer_id)) {
      orphan(kPrints, id, found->printer_id);
      return nullptr;
    }
    if (found->row.status != "in_progress") return &*found;
    // The newest one of a printer may really be going on.
    if (found->row.start_us + kStillPrintingUs > options_.now_us && !has_later(*found)) {
      ++report_.printing;
      return nullptr;
    }
    found->row.status = "interrupted";
    return &*found;
  }

  // SQLite did not remove the rows of a printer that was deleted.
  void orphan(std::string_view table, int64_t id, int64_t printer) {
    ++report_.orphans;
    report_.orphaned_printers.insert(printer);
    odd_.row(table, id, fmt::format("of printer_id {}, which is not in table printers", printer));
  }

  bool has_later(const OlderPrint& print) const {
    return std::any_of(prints_.begin(), prints_.end(), [&](const OlderPrint& other) {
      return other.printer_id == print.printer_id && !other.doubled && other.row.start_us > print.row.start_us;
    });
  }

  static void fill(const OlderRow& row, OlderPrint& print) {
    print.row.user = row.text("user", 100);
    print.row.metadata_json = row.json("job_metadata", kMaxStructure);
    print.row.auxiliary_json = row.json("auxiliary_data", kMaxStructure);
    std::string raw = row.raw(kMaxRaw);
    if (raw.size() > kMaxStructure) raw = row.raw(256);
    if (raw.size() > kMaxStructure) raw.clear();
    JsonWriter json;
    json.object().field("imported_from", kPrintLogger).key("print_jobs");
    raw.empty() ? json.null() : json.raw(raw);
    if (print.shifted) json.field("shifted", true);
    print.raw_json = json.end().take();
  }

  Result<void> take_page(std::vector<OlderPrint*>& page, bool has_details) {
    if (page.empty()) return {};
    std::map<int64_t, std::string> details;
    if (has_details) {
      const SqlValue bound[] = {page.front()->id, page.back()->id};
      const auto read = database_.query("SELECT * FROM job_details WHERE print_job_id >= ? AND print_job_id <= ?",
                                        bound, [&](const SqlRow& values) -> Result<void> {
                                          const OlderRow row(kDetails, detail_columns_, values, odd_);
                                          const auto job = row.integer("print_job_id");
                                          if (job) details[*job] = detail_of(row);
                                          return {};
                                        });
      if (!read) return make_error(read.error().code, fmt::format("table {}: {}", kDetails, read.error().context));
    }
    for (OlderPrint* print : page) {
      if (auto added = add(*print, std::move(details[print->id])); !added) return added;
    }
    return {};
  }

  static std::string detail_of(const OlderRow& row) {
    for (const std::string_view column : {"filament_used_mm", "filament_used_cm3", "filament_used_g", "filament_cost",
                                          "config_block", "raw_metadata"}) {
      (void)row.json(column, kMaxDetailBytes);  // tells of one that is broken
    }
    std::string detail = row.raw(kMaxDetailBytes);
    if (detail.size() > kMaxDetailBytes) {
      row.odd("thumbnail_base64", "is left out: the row is too large");
      detail = row.raw(kMaxDetailBytes / 8, "thumbnail_base64");
    }
    return detail.size() <= kMaxDetailBytes ? detail : std::string();
  }

  Result<void> add(OlderPrint& print, std::string detail) {
    OlderJob job;
    job.of_row = !print.live;
    job.row = std::move(print.row);
    job.seen_from_us = print.seen_from_us;
    job.seen_to_us = print.seen_to_us;
    job.title = std::move(print.title);
    job.link = std::move(print.link);
    job.detail_json = std::move(detail);
    job.raw_json = std::move(print.raw_json);
    if (job.row.start_us <= 0) {
      odd_.row(kPrints, print.id, "its start is before 1970");
      return {};
    }
    Waiting& waiting = waiting_[machines_.at(print.printer_id)];
    const size_t more = bytes_of(job);
    if (waiting.bytes + more > kPieceBytes || waiting.jobs.size() >= kPieceJobs) {
      if (auto sent = send(machines_.at(print.printer_id), waiting); !sent) return sent;
    }
    waiting.bytes += more;
    waiting.jobs.push_back(std::move(job));
    return {};
  }

  struct Waiting {
    std::vector<OlderJob> jobs;
    size_t bytes = 0;
  };

  Result<void> send(const std::string& machine, Waiting& waiting) {
    OlderPiece piece;
    piece.source = kPrintLogger;
    piece.machine = machine;
    piece.jobs = std::exchange(waiting.jobs, {});
    waiting.bytes = 0;
    if (piece.jobs.empty()) return {};
    if (auto taken = take_(piece); !taken) return taken.error();
    return {};
  }
  Result<void> flush() {
    for (auto& [machine, waiting] : waiting_) {
      if (auto sent = send(machine, waiting); !sent) return sent;
    }
    return {};
  }

  // --- maintenance

  Result<void> take_records() {
    std::map<std::string, OlderPiece> pieces;
    const auto send_piece = [&](OlderPiece& piece) -> Result<void> {
      if (piece.records.empty()) return {};
      if (auto taken = take_(piece); !taken) return taken.error();
      piece.records.clear();
      return {};
    };
    const auto found = read_older_table(database_, records_table(), odd_, [&](const OlderRow& row) -> Result<void> {
      ++report_.records;
      const int64_t printer = row.integer("printer_id").value_or(0);
      const auto machine = machines_.find(printer);
      if (machine == machines_.end()) {
        orphan(kRecords, row.id(), printer);
        return {};
      }
      auto record = record_in(row);
      if (!record) return {};
      OlderPiece& piece = pieces[machine->second];
      piece.source = kPrintLogger;
      piece.machine = machine->second;
      piece.records.push_back(std::move(*record));
      return piece.records.size() < kPieceRecords ? Result<void>{} : send_piece(piece);
    });
    if (!found) return found.error();
    if (!*found) report_.missing_tables.insert(std::string(kRecords));
    for (auto& [machine, piece] : pieces) {
      if (auto sent = send_piece(piece); !sent) return sent;
    }
    return {};
  }

  std::optional<OlderRecord> record_in(const OlderRow& row) {
    OlderRecord record;
    const auto date = row.time("date");
    if (!date) {
      row.leave_out("without a date");
      return std::nullopt;
    }
    record.date_us = date->us;
    record.done = row.flag("done").value_or(false);
    record.category = row.text("category", 100);
    record.description = row.text("description", 500);
    record.notes = row.text("notes", 2000);
    record.cost = row.amount("cost");
    if (std::find(kCategories.begin(), kCategories.end(), record.category) == kCategories.end()) {
      row.odd("category", "is not known: taken as other");
      if (record.description.empty()) record.description = record.category.substr(0, 100);
      record.category = "other";
    }
    // The row's number alone would be another row's in a second database.
    const std::string made = row.text("created_at", 64) + "|" + row.text("printer_id", 64);
    record.id = fmt::format("o{}-{}", row.id(), hex_of(sha_.digest(made)).substr(0, 8));
    return record;
  }

  SqlDatabase& database_;
  const PrintLogOptions& options_;
  OddRows& odd_;
  const TakePiece& take_;
  Sha256Digester sha_;
  PrintLogReport report_;
  std::vector<OlderPrinter> printers_;
  std::vector<OlderPrint> prints_;  // by id
  std::vector<std::string> detail_columns_;
  std::map<int64_t, std::string> machines_;  // by the printer's id
  std::map<std::string, Waiting> waiting_;   // by machine
};

}  // namespace

Result<PrintLogReport> read_print_log(SqlDatabase& database, const PrintLogOptions& options, OddRows& odd,
                                      const TakePiece& take) {
  return Reading(database, options, odd, take).run();
}

}  // namespace millrace
