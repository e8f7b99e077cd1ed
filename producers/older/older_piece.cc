// SPDX-License-Identifier: Apache-2.0
#include "producers/older/older_piece.h"

#include <fmt/format.h>

#include <cmath>

#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr int64_t kMaxUs = 253'402'300'799'000'000;  // the end of the year 9999
constexpr int64_t kMaxHour = kMaxUs / 3'600'000'000;
constexpr double kMostValue = 1e15;

std::string text_of(const Json& json, std::string_view name) {
  return std::string(text_member(json, name).value_or(""));
}

template <class Item, class Write>
void write_list(JsonWriter& json, std::string_view name, const std::vector<Item>& items, const Write& write) {
  if (items.empty()) return;
  json.key(name).array();
  for (const Item& item : items) {
    json.object();
    write(json, item);
    json.end();
  }
  json.end();
}

template <class Item, class Read>
Result<std::vector<Item>> read_list(const Json& json, std::string_view name, const Read& read) {
  std::vector<Item> items;
  const auto list = member(json, name);
  simdjson::dom::array entries;
  if (!list) return items;
  if (list->get_array().get(entries) != simdjson::SUCCESS) {
    return make_error(Errc::kInvalidArgument, fmt::format("import of an older system: '{}' is no list", name));
  }
  for (const Json entry : entries) {
    Item item;
    if (!read(entry, item)) {
      return make_error(Errc::kInvalidArgument, fmt::format("import of an older system: {} {} of '{}' is not usable",
                                                            to_text(entry).substr(0, 200), items.size() + 1, name));
    }
    items.push_back(std::move(item));
  }
  return items;
}

void write_printer(JsonWriter& json, const OlderPrinter& printer) {
  const auto& settings = printer.settings;
  json.field("id", printer.id).field("machine", printer.machine).field("has_api_key", printer.has_api_key);
  json.field("name", settings.name).field("kind", settings.kind).field("moonraker_url", settings.moonraker_url);
  json.field("technology", settings.technology).field("make", settings.make).field("model", settings.model);
  json.field("location", settings.location).field("description", settings.description);
  const auto number = [&](std::string_view name, const flatbuffers::Optional<double>& value) {
    json.key(name);
    value ? json.value(*value) : json.null();
  };
  number("nozzle_diameter", settings.nozzle_diameter);
  number("filament_diameter", settings.filament_diameter);
  number("bed_x", settings.bed_x);
  number("bed_y", settings.bed_y);
  number("bed_z", settings.bed_z);
  const auto flag = [&](std::string_view name, const flatbuffers::Optional<bool>& value) {
    json.key(name);
    value ? json.value(*value) : json.null();
  };
  flag("heated_bed", settings.heated_bed);
  flag("heated_chamber", settings.heated_chamber);
  json.field("loaded_materials", settings.loaded_materials_json);
}

bool read_printer(const Json& json, OlderPrinter& printer) {
  auto& settings = printer.settings;
  printer.id = integer_member(json, "id").value_or(0);
  printer.machine = text_of(json, "machine");
  printer.has_api_key = flag_member(json, "has_api_key").value_or(false);
  settings.name = text_of(json, "name");
  settings.kind = text_of(json, "kind");
  settings.moonraker_url = text_of(json, "moonraker_url");
  settings.technology = text_of(json, "technology");
  settings.make = text_of(json, "make");
  settings.model = text_of(json, "model");
  settings.location = text_of(json, "location");
  settings.description = text_of(json, "description");
  const auto number = [&](std::string_view name, flatbuffers::Optional<double>& into) {
    if (const auto found = number_member(json, name)) into = *found;
  };
  number("nozzle_diameter", settings.nozzle_diameter);
  number("filament_diameter", settings.filament_diameter);
  number("bed_x", settings.bed_x);
  number("bed_y", settings.bed_y);
  number("bed_z", settings.bed_z);
  if (const auto found = flag_member(json, "heated_bed")) settings.heated_bed = *found;
  if (const auto found = flag_member(json, "heated_chamber")) settings.heated_chamber = *found;
  settings.loaded_materials_json = text_of(json, "loaded_materials");
  return !settings.name.empty() && !settings.kind.empty();
}

void write_job(JsonWriter& json, const OlderJob& job) {
  json.field("of_row", job.of_row).field("seen_from_us", job.seen_from_us).field("seen_to_us", job.seen_to_us);
  json.key("row").object();
  write_history_row(json, job.row);
  json.end().field("title", job.title).field("link", job.link);
  json.field("detail_json", job.detail_json).field("raw_json", job.raw_json);
}

bool read_job(const Json& json, OlderJob& job) {
  const auto row = member(json, "row");
  if (!row) return false;
  job.of_row = flag_member(json, "of_row").value_or(true);
  job.seen_from_us = integer_member(json, "seen_from_us").value_or(0);
  job.seen_to_us = integer_member(json, "seen_to_us").value_or(0);
  job.row = history_row_in(*row);
  job.title = text_of(json, "title");
  job.link = text_of(json, "link");
  job.detail_json = text_of(json, "detail_json");
  job.raw_json = text_of(json, "raw_json");
  return is_usable(job.row) && job.row.start_us <= kMaxUs && (job.of_row || job.seen_from_us <= job.seen_to_us);
}

void write_record(JsonWriter& json, const OlderRecord& record) {
  json.field("id", record.id).field("date_us", record.date_us).field("done", record.done);
  json.field("category", record.category).field("description", record.description).field("notes", record.notes);
  json.field("cost", record.cost);
}

bool read_record(const Json& json, OlderRecord& record) {
  record.id = text_of(json, "id");
  record.date_us = integer_member(json, "date_us").value_or(0);
  record.done = flag_member(json, "done").value_or(false);
  record.category = text_of(json, "category");
  record.description = text_of(json, "description");
  record.notes = text_of(json, "notes");
  record.cost = number_member(json, "cost");
  return !record.id.empty() && record.date_us > 0 && record.date_us <= kMaxUs && !record.category.empty();
}

void write_minutes(JsonWriter& json, const OlderMinutes& hour) {
  json.field("object", hour.object).field("field", hour.field).field("hour", hour.hour);
  json.key("minutes").array();
  for (const OlderMinutes::Minute& minute : hour.minutes) {
    json.array().value(static_cast<int64_t>(minute.minute)).value(minute.minimum).value(minute.mean);
    json.value(minute.maximum).value(minute.last).value(minute.seconds);
    json.value(static_cast<int64_t>(minute.count)).end();
  }
  json.end();
}

bool read_minute(const Json& json, OlderMinutes::Minute& minute) {
  simdjson::dom::array entries;
  if (json.get_array().get(entries) != simdjson::SUCCESS) return false;
  std::vector<double> numbers;
  for (const Json entry : entries) {
    const auto number = as_number(entry);
    if (!number || !(std::fabs(*number) <= kMostValue)) return false;
    numbers.push_back(*number);
  }
  if (numbers.size() != 7 || numbers[0] < 0 || numbers[0] > 59 || numbers[6] < 1 || numbers[6] > 1e9) return false;
  minute = {static_cast<uint16_t>(numbers[0]), numbers[1], numbers[2], numbers[3], numbers[4], numbers[5],
            static_cast<uint32_t>(numbers[6])};
  return minute.seconds >= 0 && minute.seconds <= 60 && minute.minimum <= minute.maximum;
}

bool read_minutes(const Json& json, OlderMinutes& hour) {
  hour.object = text_of(json, "object");
  hour.field = text_of(json, "field");
  hour.hour = integer_member(json, "hour").value_or(0);
  const auto minutes = member(json, "minutes");
  simdjson::dom::array entries;
  if (!minutes || minutes->get_array().get(entries) != simdjson::SUCCESS) return false;
  for (const Json entry : entries) {
    OlderMinutes::Minute minute;
    if (!read_minute(entry, minute)) return false;
    if (!hour.minutes.empty() && hour.minutes.back().minute >= minute.minute) return false;
    hour.minutes.push_back(minute);
  }
  return !hour.object.empty() && !hour.field.empty() && hour.hour > 0 && hour.hour <= kMaxHour;
}

}  // namespace

std::string_view whole_letters(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

size_t bytes_of(const OlderJob& job) {
  return 768 + job.row.filename.size() + job.row.user.size() + job.row.metadata_json.size() +
         job.row.auxiliary_json.size() + job.detail_json.size() + job.raw_json.size() + job.title.size() +
         job.link.size();
}

std::string to_json(const OlderPiece& piece) {
  JsonWriter json;
  json.object().field("command", "import_older").field("source", piece.source).field("machine", piece.machine);
  write_list(json, "printers", piece.printers, write_printer);
  write_list(json, "jobs", piece.jobs, write_job);
  write_list(json, "records", piece.records, write_record);
  write_list(json, "minutes", piece.minutes, write_minutes);
  return json.end().take();
}

Result<OlderPiece> older_piece_in(const Json& json) {
  OlderPiece piece;
  piece.source = text_of(json, "source");
  piece.machine = text_of(json, "machine");
  if (piece.source != kPrintLogger && piece.source != kKlipperIwc) {
    return make_error(Errc::kInvalidArgument, fmt::format("import from '{}': expected {} or {}",
                                                          piece.source.substr(0, 100), kPrintLogger, kKlipperIwc));
  }
  auto printers = read_list<OlderPrinter>(json, "printers", read_printer);
  if (!printers) return printers.error();
  auto jobs = read_list<OlderJob>(json, "jobs", read_job);
  if (!jobs) return jobs.error();
  auto records = read_list<OlderRecord>(json, "records", read_record);
  if (!records) return records.error();
  auto minutes = read_list<OlderMinutes>(json, "minutes", read_minutes);
  if (!minutes) return minutes.error();
  piece.printers = std::move(*printers);
  piece.jobs = std::move(*jobs);
  piece.records = std::move(*records);
  piece.minutes = std::move(*minutes);
  return piece;
}

}  // namespace millrace
