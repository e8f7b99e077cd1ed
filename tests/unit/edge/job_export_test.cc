// SPDX-License-Identifier: Apache-2.0
#include "web/edge/job_export.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

schema::JobViewT a_job() {
  schema::JobViewT job;
  job.id = "voron-2.1795209786041954";
  job.machine = "voron-2";
  job.start_us = 1'795'209'786'041'954;
  job.end_us = job.start_us + 72'000'000;
  job.filename = "a,b.gcode";
  job.outcome = schema::JobOutcome::completed;
  job.verdict = schema::JobVerdict::good;
  job.total_duration = 71.99;
  job.tags = {"order 7", "red"};
  return job;
}

std::string line_of(const schema::JobViewT& job, ExportStyle style) {
  std::string line;
  JobLines(style).append(line, job);
  return line;
}

TEST(JobExport, AllColumnsAsText) {
  ExportStyle style{.columns = export_columns()};
  EXPECT_EQ(export_head(style),
            "id,machine,filename,title,started_at,ended_at,outcome,cause,text,verdict,reason,tags,notes,link,"
            "total_duration,print_duration,estimated_time,filament_used,filament_type,slicer,pause_count,photo_count,"
            "user,seen,evidence,hidden\r\n");
  EXPECT_EQ(line_of(a_job(), style),
            "voron-2.1795209786041954,voron-2,\"a,b.gcode\",,2026-11-20T21:23:06.041954Z,2026-11-20T21:24:18.041954Z,"
            "completed,,,good,,\"order 7, red\",,,71.99,,,,,,0,0,,live,none,false\r\n");
}

TEST(JobExport, ADecimalCommaIsQuotedWhereItSeparates) {
  EXPECT_EQ(line_of(a_job(), {.decimal = ',', .columns = {"total_duration", "machine"}}), "\"71,99\",voron-2\r\n");
  EXPECT_EQ(line_of(a_job(), {.separator = ';', .decimal = ',', .columns = {"total_duration", "filename"}}),
            "71,99;a,b.gcode\r\n");
}

TEST(JobExport, NoTextIsTakenForAFormula) {
  auto job = a_job();
  for (const auto& [text, cell] : std::map<std::string, std::string>{{"=A1", "'=A1"},
                                                                     {"+1", "'+1"},
                                                                     {"-1", "'-1"},
                                                                     {"@x", "'@x"},
                                                                     {"\tx", "'\tx"},
                                                                     {"\n=1", "\"'\n=1\""},
                                                                     {"\uFF1D1+1", "'\uFF1D1+1"},
                                                                     {"\uFF201", "'\uFF201"},
                                                                     {"a=1", "a=1"},
                                                                     {"=\"x\"", "\"'=\"\"x\"\"\""},
                                                                     {"two\nlines", "\"two\nlines\""},
                                                                     {" x ", "\" x \""}}) {
    job.notes = text;
    EXPECT_EQ(line_of(job, {.columns = {"notes"}}), cell + "\r\n");
  }
}

TEST(JobExport, LinesOfJsonKeepTheirTypes) {
  ExportStyle style{.format = ExportFormat::kJsonLines,
                    .columns = {"filename", "total_duration", "tags", "title", "hidden"}};
  EXPECT_EQ(export_head(style), "");
  EXPECT_EQ(line_of(a_job(), style),
            "{\"filename\":\"a,b.gcode\",\"total_duration\":71.99,\"tags\":[\"order 7\",\"red\"],\"title\":null,"
            "\"hidden\":false}\n");
}

}  // namespace
}  // namespace millrace
