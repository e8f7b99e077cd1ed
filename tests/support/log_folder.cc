// SPDX-License-Identifier: Apache-2.0
#include "tests/support/log_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>

#include "bus/file_io.h"

namespace millrace::testing {
namespace {

// Three producers with their epochs; what they say has texts that do not compress to nothing.
class Speakers {
 public:
  explicit Speakers(uint64_t epoch) : epoch_(epoch) {}

  Envelope next(uint64_t n) {
    const std::string producer = "m" + std::to_string(n % 3 + 1);
    uint64_t& sequence = sequences_[producer];
    ++sequence;
    if (sequence == 1) return epoch_opened(producer, epoch_, previous_[producer]);
    if (n % 4 == 0) return fact_with_noise(producer, sequence);
    return telemetry(producer, epoch_, sequence);
  }

  void restart() {
    for (const auto& [producer, sequence] : sequences_) previous_[producer] = {epoch_, sequence};
    sequences_.clear();
    ++epoch_;
  }

  std::vector<ProducerMark> marks() const {
    std::vector<ProducerMark> marks;
    for (const auto& [producer, sequence] : sequences_) marks.push_back({producer, {epoch_, sequence}});
    return marks;
  }

 private:
  Envelope fact_with_noise(const std::string& producer, uint64_t sequence) {
    schema::MachineStateChangedT payload;
    for (int i = 0; i < 400; ++i) payload.text += static_cast<char>('!' + random_() % 90);
    return event({producer, epoch_, sequence}, draft_of(std::move(payload), producer, noon()));
  }

  uint64_t epoch_;
  std::map<std::string, uint64_t> sequences_;
  std::map<std::string, EventOrder> previous_;
  std::mt19937_64 random_{7};
};

}  // namespace

void write_log(const std::filesystem::path& directory, const LogFolderOptions& options) {
  ManualClock clock;
  Speakers speakers(1);
  uint64_t n = 0;
  uint64_t commit = 0;
  for (int session = 0; session < options.sessions; ++session) {
    LogStoreOptions store;
    store.write_buffer_bytes = options.write_buffer_bytes;
    const auto log = open_rocksdb_event_log(directory, clock, store).value();
    if (session > 0) speakers.restart();
    for (const uint64_t end = options.commits * (session + 1) / options.sessions; commit < end; ++commit) {
      std::vector<Envelope> events;
      for (uint64_t i = 0; i < 1 + commit * 7 % 40; ++i) events.push_back(speakers.next(n++));
      const auto marks = speakers.marks();
      log->append({events, marks, noon(static_cast<int64_t>(commit) * 1'000'000)}).value();
    }
  }
}

Result<std::vector<std::string>> events_of(const EventLog& log) {
  std::vector<std::string> found(log.last().value);
  for (Position after; after < log.last();) {
    const auto read = log.read(after, {.events = 4096}, {});
    if (!read) return read.error();
    for (const RecordedEvent& event : read->events) found[event.position.value - 1] = event.envelope.bytes();
    after = read->through;
  }
  return found;
}

std::string damage(const std::filesystem::path& file, Damage kind, uint64_t seed) {
  std::mt19937_64 random(seed);
  const uint64_t size = std::filesystem::file_size(file);
  const std::string name = file.filename().string();
  if (kind == Damage::kRemove || size == 0) {
    std::filesystem::remove(file);
    return name + " removed";
  }
  const uint64_t at = random() % size;
  if (kind == Damage::kTruncate) {
    std::filesystem::resize_file(file, at);
    return fmt::format("{} of {} bytes cut at {}", name, size, at);
  }
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(at));
  const auto bit = static_cast<char>(1 << random() % 8);
  const auto byte = static_cast<char>(stream.get() ^ bit);
  stream.seekp(static_cast<std::streamoff>(at));
  stream.put(byte);
  return fmt::format("{} of {} bytes: bit {:#x} of byte {}", name, size, static_cast<unsigned char>(bit), at);
}

std::vector<std::filesystem::path> files_of(const std::filesystem::path& directory, const std::string& part) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(part) || name.ends_with(part)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace millrace::testing
