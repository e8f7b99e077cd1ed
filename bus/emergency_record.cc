// SPDX-License-Identifier: Apache-2.0
#include "bus/emergency_record.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "bus/file_io.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr size_t kMaxLine = 64u << 10;
constexpr size_t kMaxDepth = 4;
constexpr off_t kReservedBytes = 256 << 10;
constexpr int kOwnerOnly = 0600;

// Held while the file is looked at or changed.  The lock is a file of its own, because the other one may be replaced.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& file)
      : descriptor_(::open((file.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kOwnerOnly)) {
    if (descriptor_ >= 0) ::flock(descriptor_, LOCK_EX);
  }
  ~FileLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_;  // without one, as on a disk that takes no new file, the record counts more than the lock
};

std::string cut(std::string_view text) {
  size_t end = std::min(text.size(), kMaxEmergencyText);
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end));
}

std::optional<int64_t> micros_in(const Json& json, std::string_view name) {
  const auto value = integer_member(json, name);
  return value && *value >= 0 ? value : std::nullopt;
}

struct Line {
  std::string_view text;
  std::optional<EmergencyRecord> record;
};

std::vector<Line> lines_of(std::string_view content) {
  std::vector<Line> lines;
  while (!content.empty()) {
    const size_t end = std::min(content.find('\n'), content.size());
    const std::string_view text = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    if (text.empty()) continue;
    auto record = decode_emergency_record(text);
    lines.push_back({text, record ? std::optional(std::move(*record)) : std::nullopt});
  }
  return lines;
}

// Blocks behind the end of the file; those that cannot be had are done without.
void reserve_behind(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, kOwnerOnly);
  if (descriptor < 0) return;
  (void)!::fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, kReservedBytes);
  ::close(descriptor);
}

bool is_there(const std::filesystem::path& file) {
  std::error_code error;
  return std::filesystem::exists(file, error);
}

}  // namespace

std::string make_emergency_id(Random& random) { return fmt::format("{:016x}{:016x}", random.next(), random.next()); }

std::string encode(const EmergencyRecord& record) {
  JsonWriter json;
  json.object().field("machine", record.machine).field("command_id", record.command_id);
  json.field("client", record.client).field("address", record.address).field("key_id", record.key_id);
  json.field("actor", record.actor).field("reason", cut(record.reason)).field("confirmed", record.confirmed);
  json.field("text", cut(record.text)).field("sent_after_us", record.sent_after_us);
  json.field("answered_after_us", record.answered_after_us).field("asked_at", to_rfc3339(record.asked_at)).end();
  return json.take();
}

Result<EmergencyRecord> decode_emergency_record(std::string_view line) {
  JsonReader reader(kMaxLine, kMaxDepth);
  const auto json = reader.parse(line);
  if (!json) return json.error();
  const auto text_of = [&](std::string_view name) { return std::string(text_member(*json, name).value_or("")); };
  EmergencyRecord record;
  record.machine = text_of("machine");
  record.command_id = text_of("command_id");
  const auto asked_at = parse_rfc3339(text_of("asked_at"));
  if (!is_valid_machine_id(record.machine) || record.command_id.empty() || !asked_at) {
    return make_error(Errc::kMalformed, "record of an emergency stop: expected machine, command_id and asked_at");
  }
  record.asked_at = *asked_at;
  record.client = text_of("client");
  record.address = text_of("address");
  record.key_id = text_of("key_id");
  record.actor = text_of("actor");
  record.reason = cut(text_of("reason"));
  record.confirmed = flag_member(*json, "confirmed").value_or(false);
  record.text = cut(text_of("text"));
  record.sent_after_us = micros_in(*json, "sent_after_us");
  record.answered_after_us = micros_in(*json, "answered_after_us");
  return record;
}

EventDraft draft_of(const EmergencyRecord& record) {
  schema::EmergencyStoppedT stopped;
  stopped.command_id = record.command_id;
  stopped.client = record.client;
  stopped.address = record.address;
  stopped.key_id = record.key_id;
  stopped.confirmed = record.confirmed;
  stopped.text = cut(record.text);
  if (record.sent_after_us) stopped.sent_after_us = *record.sent_after_us;
  if (record.answered_after_us) stopped.answered_after_us = *record.answered_after_us;
  stopped.reason = cut(record.reason);
  EventDraft draft = draft_of(std::move(stopped), record.machine, record.asked_at);
  draft.actor = record.actor;
  draft.correlation = record.command_id;
  return draft;
}

void EmergencyFile::reserve() const { reserve_behind(file_); }

Result<void> EmergencyFile::append(const EmergencyRecord& record) const {
  const FileLock lock(file_);
  auto file = File::open(file_, O_RDWR | O_CREAT | O_APPEND, kOwnerOnly);
  if (!file) return file.error();
  // Whatever was cut off before this line is a line of its own.
  if (auto written = file->write_all("\n" + encode(record) + "\n"); !written) return written;
  return file->sync();
}

Result<EmergencyFile::Content> EmergencyFile::read() const {
  if (!is_there(file_)) return Content{};
  const FileLock lock(file_);
  const auto content = read_file(file_);
  if (!content) return content.error();
  Content found;
  for (Line& line : lines_of(*content)) {
    if (line.record) {
      found.records.push_back(std::move(*line.record));
    } else {
      ++found.unreadable;
    }
  }
  return found;
}

Result<void> EmergencyFile::remove(const std::set<std::string>& command_ids) const {
  if (!is_there(file_)) return {};
  const FileLock lock(file_);
  const auto content = read_file(file_);
  if (!content) return content.error();
  std::string rest;
  for (const Line& line : lines_of(*content)) {
    if (line.record && !command_ids.contains(line.record->command_id)) rest += std::string(line.text) + "\n";
  }
  if (!rest.empty()) return write_file_durably(file_, rest, kOwnerOnly);
  auto file = File::open(file_, O_WRONLY, kOwnerOnly);
  if (!file) return file.error();
  if (auto cut = file->truncate(0); !cut) return cut;
  if (auto synced = file->sync(); !synced) return synced;
  reserve_behind(file_);
  return {};
}

std::filesystem::path emergency_file(const std::filesystem::path& data_dir) {
  return data_dir / "emergency_stops.jsonl";
}

}  // namespace millrace
