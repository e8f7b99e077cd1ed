// SPDX-License-Identifier: Apache-2.0
// All jobs by what lists ask for, in memory: columns of what is filtered and sorted by, and the places of every word.
// It holds nothing of its own: it is a function of the view job_history, made from it at the start and told each
// change. A query looks at every job, a few nanoseconds each, so that no filter, order or place in the list is slower
// than another (docs/decisions/0022).
//
// One thread at a time; JobCatalog shares one.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "bus/result.h"
#include "projections/view_store.h"
#include "schemas/view_generated.h"

namespace millrace {

enum class JobSort : uint8_t { kStartedAt, kEndedAt, kTotalDuration, kFilamentUsed, kFilename };
enum class HiddenJobs : uint8_t { kLeftOut, kOnly, kToo };

// Of each set that is not empty a job needs one; of `text` every word, as the beginning of one of its own.
struct JobFilter {
  std::set<std::string> machines;
  std::set<schema::JobOutcome> outcomes;
  std::set<schema::JobVerdict> verdicts;
  std::set<std::string> tags;
  std::set<std::string> ids;
  std::optional<WallTime> from;  // shown start at or after
  std::optional<WallTime> to;    // shown start before
  std::string text;              // looked for in file name, title, notes, tags, machine and slicer
  std::optional<bool> paused;    // whether it is paused now
  HiddenJobs hidden = HiddenJobs::kLeftOut;
};

struct JobListQuery {
  JobFilter filter;
  JobSort sort = JobSort::kStartedAt;
  bool ascending = false;  // what has no value to sort by comes last either way
  std::string after;       // JobList::next of the page before
  size_t skip = 0;         // so many are left out, of those behind `after`
  size_t limit = 50;
};

struct JobList {
  std::vector<std::string> ids;  // equal values by id
  std::string next;              // empty: there are no more
  uint64_t total = 0;            // of all pages
};

// What sums over jobs are made of.  The texts live as long as the index is not changed.
struct JobFigures {
  std::string_view id;
  std::string_view machine;
  schema::JobOutcome outcome{};
  int64_t started_us = 0;  // as shown; 0: not known
  std::optional<double> print_duration;
  std::optional<double> filament_used;
  std::string_view filament_type;  // of all extruders, each once, separated by ';'
};

struct TagCount {
  std::string tag;
  uint64_t jobs = 0;  // that are not hidden
};

class JobIndex {
 public:
  // Of the view as `reader` has it.  kCorrupt, kIo.
  static Result<JobIndex> read(const ViewReader& reader);

  // The job as its record says now (JobView's bytes, corrections not applied); null: there is none.
  void put(std::string_view id, const std::string* record);

  // kInvalidArgument for an `after` that is no place of a list in that order.
  Result<JobList> list(const JobListQuery& query) const;
  std::vector<TagCount> tags() const;  // by name
  // Every job that is not hidden, in no order.
  void each(const std::function<void(const JobFigures&)>& visit) const;
  uint64_t size() const { return live_; }

 private:
  using Row = uint32_t;
  using Rows = std::vector<Row>;  // ascending
  using Names = std::map<std::string, Rows, std::less<>>;
  using Numbers = std::map<std::string, uint32_t, std::less<>>;  // of texts that many jobs share, counted from 0
  static constexpr Row kNone = std::numeric_limits<Row>::max();

  // What a list filters and sorts by.
  struct Columns {
    int64_t order_us = 0;    // as the view is ordered
    int64_t started_us = 0;  // as shown; 0: not known
    int64_t ended_us = 0;
    double total_duration = 0;  // NaN: not known
    double print_duration = 0;
    double filament_used = 0;
    uint32_t machine = 0;
    uint32_t filament_type = 0;
    schema::JobOutcome outcome{};
    schema::JobVerdict verdict{};
    bool paused = false;
    bool hidden = false;
    bool live = false;
  };
  struct Text {
    std::string name;                // the file name by which it is sorted: folded, then as it is
    std::vector<std::string> words;  // of everything that is searched
    std::vector<std::string> tags;
    uint64_t hash = 0;  // of all these
  };
  // A job's place in a list.  Ties of the key are broken by the start, newest first, and by the id.
  struct Ranked {
    double key = 0;
    int64_t order_us = 0;
    Row row = kNone;
  };
  struct Place {  // from JobList::next
    double key = 0;
    std::string name;
    int64_t order_us = 0;
    std::string id;
  };
  class Marks;
  class Chosen;

  static Text text_of(const schema::JobViewT& job);
  static Result<std::optional<Place>> place_in(const JobListQuery& query);
  Columns columns_of(const schema::JobViewT& job);
  std::string_view id_of(Row row) const;
  Row find(std::string_view id) const;
  void note_slot(Row row);
  void note_columns(Row row);
  void add(std::string_view id, const Columns& columns, const Text& text);
  void compact();

  void mark(Marks& marks, const Rows& rows) const;
  std::optional<Marks> marked_by_text(std::string_view text) const;
  Marks matching(const JobFilter& filter) const;
  double key_of(const Columns& columns, const JobListQuery& query) const;
  bool before(const Ranked& a, const Ranked& b) const;
  bool after(const Ranked& ranked, const Place& place) const;
  std::vector<Ranked> first_by_number(const Marks& marks, const JobListQuery& query,
                                      const std::optional<Place>& place) const;
  std::vector<Ranked> first_by_name(const Marks& marks, const JobListQuery& query,
                                    const std::optional<Place>& place) const;
  std::string place_of(const Ranked& ranked, const JobListQuery& query) const;

  std::vector<Columns> columns_;
  // What nearly every list asks of each row, apart from the columns, so that it need not read all of these.
  std::vector<uint64_t> shown_;    // a bit for each row: a job stands there and is not hidden
  std::vector<int64_t> order_us_;  // Columns::order_us
  std::vector<uint64_t> id_end_;   // of each row's id in ids_
  std::string ids_;
  std::vector<uint64_t> text_hash_;
  std::vector<const Names::value_type*> name_;
  std::vector<Row> slots_;  // by the hash of the id, open addressing; at most half are used
  Numbers machines_;
  Numbers filament_types_;
  Names words_;
  Names tags_;
  Names names_;
  uint64_t live_ = 0;
};

}  // namespace millrace
