// SPDX-License-Identifier: Apache-2.0
#include "producers/older/older_print.h"

#include <gtest/gtest.h>

#include <fstream>

#include "bus/clock.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

std::string shown(const std::optional<OlderTime>& time) { return time ? to_rfc3339(from_unix_us(time->us)) : "none"; }

TEST(OlderTime, EveryWayInWhichTheOlderSystemsWriteTimesIsRead) {
  for (const char* text : {"2026-01-05 10:00:00.250000", "2026-01-05T10:00:00.25Z", "2026-01-05T10:00:00.250000+00:00Z",
                           "2026-01-05T12:00:00.25+02:00", " 2026-01-05 10:00:00.25 ", "1767607200.25"}) {
    EXPECT_EQ(shown(read_older_time(text)), "2026-01-05T10:00:00.250000Z") << text;
  }
  EXPECT_EQ(shown(read_older_time("2026-01-05")), "2026-01-05T00:00:00.000000Z");
  EXPECT_EQ(shown(read_older_time("2026-01-05 10:00")), "2026-01-05T10:00:00.000000Z");
}

TEST(OlderTime, WhatIsNoTimeIsNone) {
  for (const char* text : {"", "NaN", "yesterday", "2026-13-05 10:00:00", "2026-01-05 10", "-5", "0", "1e400",
                           "1969-12-31 23:59:59", "2026-01-05 10:00:00 Europe/Berlin"}) {
    EXPECT_EQ(shown(read_older_time(text)), "none") << text;
  }
}

TEST(OlderTime, OnlyAnOffsetOfItsOwnIsAZone) {
  EXPECT_TRUE(read_older_time("2026-01-05T12:00:00+02:00")->has_zone);
  EXPECT_FALSE(read_older_time("2026-01-05T12:00:00+00:00Z")->has_zone);
  EXPECT_TRUE(read_older_time("2026-01-05T12:00:00")->whole_seconds);
  EXPECT_FALSE(read_older_time("2026-01-05T12:00:00.1")->whole_seconds);
}

int64_t us(const char* text) { return read_older_time(text)->us; }

TEST(LocalZone, FollowsSummerTime) {
  const auto berlin = LocalZone::load("Europe/Berlin").value();
  EXPECT_EQ(berlin.to_utc_us(us("2026-01-05 11:00:00")), us("2026-01-05 10:00:00"));
  EXPECT_EQ(berlin.to_utc_us(us("2026-07-05 12:00:00")), us("2026-07-05 10:00:00"));
  EXPECT_EQ(berlin.to_utc_us(us("2026-10-25 02:30:00")), us("2026-10-25 00:30:00")) << "comes twice: the first";
  EXPECT_EQ(LocalZone::load("Asia/Kolkata")->to_utc_us(us("2026-01-05 15:30:00")), us("2026-01-05 10:00:00"));
  EXPECT_EQ(LocalZone::load("UTC")->to_utc_us(us("2026-01-05 15:30:00")), us("2026-01-05 15:30:00"));
}

TEST(LocalZone, ANameThatIsNoneIsRefused) {
  for (const char* name : {"", "Mars/Base", "../../etc/passwd", "/etc/passwd", "Europe", "Berlin;"}) {
    EXPECT_EQ(LocalZone::load(name).error().code, Errc::kInvalidArgument) << name;
  }
  testing::TemporaryDirectory empty;
  EXPECT_NE(LocalZone::load("Europe/Berlin", empty.path()).error().context.find("tzdata"), std::string::npos);
}

TEST(LocalZone, AFileThatIsNoZoneIsRefused) {
  testing::TemporaryDirectory folder;
  for (const std::string& content :
       {std::string("TZif2"), std::string("hello"), std::string(2000, 'T'), std::string()}) {
    std::ofstream(folder / "Broken", std::ios::binary) << content;
    EXPECT_EQ(LocalZone::load("Broken", folder.path()).error().code, Errc::kInvalidArgument);
  }
}

// A row as the reader gives it.
OlderPrint print_of(const std::string& job_id, const std::string& start, const std::string& end,
                    const std::string& status = "completed", const std::string& created = "") {
  OlderPrint print;
  print.printer_id = 1;
  print.job_id = job_id;
  print.row.filename = "cube.gcode";
  print.row.status = status;
  print.start = read_older_time(start);
  if (!end.empty()) print.end = read_older_time(end);
  if (!created.empty()) print.created = read_older_time(created);
  print.row.start_us = print.start->us;
  print.row.end_us = print.end ? print.end->us : 0;
  read_live_id(print);
  return print;
}
std::vector<OlderPrint> numbered(std::vector<OlderPrint> prints) {
  for (size_t i = 0; i < prints.size(); ++i) prints[i].id = static_cast<int64_t>(i) + 1;
  return prints;
}
constexpr const char* kLive = "active-cube.gcode-1";

TEST(LiveRows, TheIdOfAReprintTellsWhenItBegan) {
  EXPECT_FALSE(print_of("00000A", "2026-01-05 10:00:00", "").live);
  EXPECT_EQ(print_of(kLive, "2026-01-05 10:00:00", "").began_us, 0);
  EXPECT_TRUE(print_of(kLive, "2026-01-05 10:00:00", "").live);
  EXPECT_EQ(print_of("active-cube.gcode-1-1767607200", "2026-01-05 10:00:00", "").began_us, us("2026-01-05 10:00:00"));
  EXPECT_EQ(print_of("active-x-1767607200-1", "2026-01-05 10:00:00", "").began_us, 0) << "a file's name, printer 1";
}

TEST(LiveRows, TheSecondRowOfALivePrintIsDoubled) {
  auto prints = numbered({print_of("00000A", "2026-01-05 10:00:00", "2026-01-05 11:00:00"),
                          print_of(kLive, "2026-01-05 11:00:00.5", "2026-01-05 11:00:00.5")});
  prints[1].title = "Würfel";
  settle_times(prints, nullptr);
  EXPECT_EQ(mark_doubles(prints), 1u);
  EXPECT_FALSE(prints[0].doubled);
  EXPECT_TRUE(prints[1].doubled);
  EXPECT_EQ(prints[0].title, "Würfel") << "what was said of the second row is said of the print";
}

TEST(LiveRows, AReprintLeavesTwoAndTheEarlierPrintNone) {
  auto prints =
      numbered({print_of("000001", "2026-01-05 08:00:00", "2026-01-05 09:00:00"),
                print_of(kLive, "2026-01-05 11:00:00", "2026-01-05 11:00:00"),
                print_of("000002", "2026-01-05 10:00:00", "2026-01-05 11:00:00"),
                print_of("active-cube.gcode-1-1767607200", "2026-01-05 10:00:00", "2026-01-05 11:00:00", "cancelled")});
  settle_times(prints, nullptr);
  EXPECT_EQ(mark_doubles(prints), 2u);
  EXPECT_FALSE(prints[0].doubled || prints[2].doubled);
}

TEST(LiveRows, APauseMovesTheStartIntoThePrint) {
  auto prints = numbered({print_of("000001", "2026-01-05 10:00:00", "2026-01-05 14:00:00", "cancelled"),
                          print_of(kLive, "2026-01-05 12:00:00", "2026-01-05 14:00:00", "cancelled")});
  settle_times(prints, nullptr);
  EXPECT_EQ(mark_doubles(prints), 1u);
}

TEST(LiveRows, OneWithoutAnotherIsAPrintOfItsOwn) {
  auto prints = numbered({print_of("000001", "2026-01-05 10:00:00", "2026-01-05 11:00:00"),
                          print_of(kLive, "2026-01-07 11:00:00", "2026-01-07 11:00:00")});
  prints[1].row.print_duration = 1800;
  settle_times(prints, nullptr);
  EXPECT_EQ(mark_doubles(prints), 0u);
  EXPECT_EQ(prints[1].row.start_us, us("2026-01-07 10:30:00")) << "its end had taken the place of its start";
  EXPECT_EQ(prints[1].row.end_us, us("2026-01-07 11:00:00"));
}

TEST(LiveRows, TwoOfOnePrintWithoutAnotherAreOne) {
  auto prints =
      numbered({print_of(kLive, "2026-01-05 11:00:00", "2026-01-05 11:00:00"),
                print_of("active-cube.gcode-1-1767607200", "2026-01-05 10:00:00", "2026-01-05 11:00:00", "cancelled")});
  prints[0].row.print_duration = 3590;
  settle_times(prints, nullptr);
  EXPECT_EQ(mark_doubles(prints), 1u);
  EXPECT_EQ(prints[0].row.start_us, us("2026-01-05 10:00:00"));
  EXPECT_TRUE(prints[1].doubled);
}

TEST(LiveRows, AnotherFileOrPrinterIsAnotherPrint) {
  auto prints = numbered({print_of("00000A", "2026-01-05 10:00:00", "2026-01-05 11:00:00"),
                          print_of(kLive, "2026-01-05 11:00:00", "2026-01-05 11:00:00"),
                          print_of(kLive, "2026-01-05 11:00:00", "2026-01-05 11:00:00")});
  prints[1].row.filename = "other.gcode";
  prints[2].printer_id = 2;
  settle_times(prints, nullptr);
  EXPECT_EQ(mark_doubles(prints), 0u);
}

// In Berlin's winter 11:00 is 10:00 UTC.
class ShiftedRows : public ::testing::Test {
 protected:
  const LocalZone berlin = LocalZone::load("Europe/Berlin").value();
};

TEST_F(ShiftedRows, ARowThatWasCreatedWhenItsPrintBeganTellsItsShift) {
  auto prints =
      numbered({print_of("1", "2026-01-05 11:00:00", "2026-01-05 12:00:00", "completed", "2026-01-05 10:00:00"),
                print_of("2", "2026-01-06 11:00:00", "2026-01-06 12:00:00", "completed", "2026-01-06 11:00:00")});
  const auto settled = settle_times(prints, &berlin);
  EXPECT_EQ(settled.shifted, 1u);
  EXPECT_EQ(settled.by_created, 1u);
  EXPECT_EQ(prints[0].row.start_us, us("2026-01-05 10:00:00"));
  EXPECT_EQ(prints[0].row.end_us, us("2026-01-05 11:00:00"));
  EXPECT_EQ(prints[1].row.start_us, us("2026-01-06 11:00:00"));
}

TEST_F(ShiftedRows, ALiveRowTellsTheShiftOfTheOther) {
  auto prints = numbered({print_of("00000A", "2026-01-05 11:00:00", "2026-01-05 12:00:00"),
                          print_of(kLive, "2026-01-05 11:00:01", "2026-01-05 11:00:01")});
  EXPECT_EQ(settle_times(prints, &berlin).by_live_row, 1u);
  EXPECT_EQ(prints[0].row.end_us, us("2026-01-05 11:00:00"));
  EXPECT_EQ(mark_doubles(prints), 1u);
}

TEST_F(ShiftedRows, AnEndThatTheHistoryWroteIntoBothRowsSaysNothingOfTheZone) {
  auto prints = numbered({print_of("00000A", "2026-01-05 11:00:00", "2026-01-05 11:30:00", "cancelled"),
                          print_of(kLive, "2026-01-05 10:00:00", "2026-01-05 11:30:00", "cancelled")});
  EXPECT_EQ(settle_times(prints, &berlin).by_live_row, 1u);
  EXPECT_EQ(prints[0].row.start_us, us("2026-01-05 10:00:00"));
  EXPECT_EQ(mark_doubles(prints), 1u);
}

TEST_F(ShiftedRows, RowsBetweenDecidedOnesAreLikeThem) {
  auto prints =
      numbered({print_of("1", "2026-01-01 11:00:00", "2026-01-01 12:00:00"),
                print_of("2", "2026-01-05 11:00:00", "2026-01-05 12:00:00", "completed", "2026-01-05 10:00:00"),
                print_of("3", "2026-01-06 11:00:00", "2026-01-06 12:00:00"),
                print_of("4", "2026-01-07 11:00:00", "2026-01-07 12:00:00", "completed", "2026-01-07 10:00:00")});
  const auto settled = settle_times(prints, &berlin);
  EXPECT_EQ(settled.by_neighbours, 1u);
  EXPECT_EQ(settled.undecided, 1u) << "the first one, as of an import before";
  EXPECT_EQ(prints[0].row.start_us, us("2026-01-01 11:00:00"));
  EXPECT_EQ(prints[2].row.start_us, us("2026-01-06 10:00:00"));
}

TEST_F(ShiftedRows, ATimeWithAZoneOfItsOwnIsNotJudged) {
  auto prints = numbered({print_of("1", "2026-01-05T12:00:00+02:00", "", "completed", "2026-01-05 09:00:00")});
  EXPECT_EQ(settle_times(prints, &berlin).shifted, 0u);
  EXPECT_EQ(prints[0].row.start_us, us("2026-01-05 10:00:00"));
}

TEST_F(ShiftedRows, WithoutAZoneTheShiftIsNoticed) {
  auto prints =
      numbered({print_of("1", "2026-07-05 12:00:00", "2026-07-05 13:00:00", "completed", "2026-07-05 10:00:00"),
                print_of("2", "2026-07-06 12:00:00", "2026-07-06 13:00:00", "completed", "2026-07-06 10:00:01")});
  const auto settled = settle_times(prints, nullptr);
  EXPECT_EQ(settled.unexplained, 2u);
  EXPECT_EQ(settled.unexplained_shift_s, 7200);
  EXPECT_EQ(settled.unexplained_row, 1);
  const auto utc = LocalZone::load("UTC").value();
  EXPECT_EQ(settle_times(prints, &utc).unexplained, 0u) << "said to be UTC";
}

TEST_F(ShiftedRows, OneCoincidenceAmongManyIsNoShift) {
  std::vector<OlderPrint> prints;
  for (int day = 1; day < 10; ++day) {
    const std::string date = "2026-02-0" + std::to_string(day);
    prints.push_back(print_of(std::to_string(day), date + " 12:00:00", date + " 13:00:00", "completed",
                              day == 5 ? date + " 14:00:02" : "2026-03-01 04:05:06"));
  }
  prints = numbered(std::move(prints));
  EXPECT_EQ(settle_times(prints, nullptr).unexplained, 0u);
}

}  // namespace
}  // namespace millrace
