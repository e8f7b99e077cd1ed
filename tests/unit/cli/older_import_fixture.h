// SPDX-License-Identifier: Apache-2.0
// An older database beside a log in memory, and the import from one into the other.
#pragma once

#include <fstream>
#include <iterator>

#include "bus/metrics.h"
#include "bus/sha256.h"
#include "cli/older_import.h"
#include "producers/older/klipperiwc_log.h"
#include "producers/older/print_log.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/older_databases.h"
#include "tests/unit/projections/shop.h"

namespace millrace {

class OlderImportFixture : public ::testing::Test {
 protected:
  OlderImportFixture() { clock.set_wall(from_unix_us(int64_t{1'798'761'600} * kSecond)); }  // 2027-01-01

  void fold() {
    const auto events = shop.events();
    views.fold({events.begin() + static_cast<ptrdiff_t>(folded), events.end()});
    folded = events.size();
  }
  template <class Event>
  void say(Event event, const std::string& machine = "voron-2") {
    shop.say(std::move(event), machine);
    fold();
  }
  HistoryImport::Parts parts() {
    return {*views.store, [this] { return shop.log->last(); },
            [this](std::vector<EventDraft> events) -> Result<Position> { return shop.append(std::move(events))->last; },
            [this](Position) -> Result<void> {
              fold();
              return {};
            },
            clock};
  }
  TakePiece take() {
    return [this](const OlderPiece& piece) -> Result<std::map<int64_t, std::string>> {
      // As it travels to a hub.
      JsonReader reader;
      const std::string text = to_json(piece);
      const auto json = reader.parse(text);
      if (!json) return json.error();
      const auto received = older_piece_in(*json);
      if (!received) return received.error();
      EXPECT_EQ(to_json(*received), text);
      auto taken = import.take(*received);
      if (!taken) return taken.error();
      tally += *taken;
      return taken->machines;
    };
  }
  std::string database_url() const { return "sqlite:" + (folder / "older.db").string(); }
  Result<PrintLogReport> read(PrintLogOptions options = {}) {
    options.now_us = to_unix_us(clock.wall());
    tally = {};
    odd.clear();
    auto database = SqlDatabase::open({.url = parse_database_url(database_url()).value(), .read_only = true});
    if (!database) return database.error();
    return read_print_log(**database, options, odd_rows, take());
  }
  PrintLogReport read_all(const PrintLogOptions& options = {}) {
    const auto report = read(options);
    EXPECT_TRUE(report.has_value()) << report.error().message();
    return report ? *report : PrintLogReport{};
  }
  schema::JobDetailT detail(const std::string& id) { return find_job(*views.store->reader(), id)->detail; }
  bool told_odd(const std::string& what) const {
    return std::any_of(odd.begin(), odd.end(),
                       [&](const std::string& line) { return line.find(what) != std::string::npos; });
  }

  testing::TemporaryDirectory folder;
  Shop shop;
  Views views;
  size_t folded = 0;
  testing::ManualClock clock;
  std::unique_ptr<BlobStore> blobs = open_blob_folder(folder / "blobs").value();
  OlderImport import{parts(), *blobs};
  OlderTally tally;
  std::vector<std::string> odd;
  OddRows odd_rows{[this](const std::string& what) { odd.push_back(what); }};
};

}  // namespace millrace
