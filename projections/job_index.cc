// SPDX-License-Identifier: Apache-2.0
#include "projections/job_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>

#include "projections/job_history.h"
#include "projections/job_history_keys.h"
#include "projections/job_merge.h"
#include "projections/job_words.h"

namespace millrace {
namespace {

constexpr size_t kMinSlots = 64;
constexpr size_t kMinDead = 4096;      // rows that no job stands in any more, before the others close up
constexpr size_t kFewMatches = 4096;   // are sorted by name rather than found by walking through all names
constexpr size_t kSpareChosen = 1024;  // chosen beyond what is wanted, before the surplus goes
constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();

constexpr std::string_view name_of(JobSort sort) {
  switch (sort) {
    case JobSort::kStartedAt:
      return "started_at";
    case JobSort::kEndedAt:
      return "ended_at";
    case JobSort::kTotalDuration:
      return "total_duration";
    case JobSort::kFilamentUsed:
      return "filament_used";
    case JobSort::kFilename:
      return "filename";
  }
  return "";
}

std::string order_name(const JobListQuery& query) {
  return fmt::format("{} {}", name_of(query.sort), query.ascending ? "asc" : "desc");
}

uint64_t hash_of(std::string_view text) {  // FNV-1a: the same on every computer, and good enough for short ids
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

template <class Number>
bool parse(std::string_view text, Number& number, int base) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return failed == std::errc{} && end == text.data() + text.size();
}

// Of the view's ordered keys the first after those that begin with `prefix`.
template <class Names>
auto end_of_prefix(const Names& names, std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (prefix.empty()) return names.end();
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return names.lower_bound(prefix);
}

template <class Numbers>
uint32_t number_of(Numbers& numbers, const std::string& text) {
  return numbers.try_emplace(text, static_cast<uint32_t>(numbers.size())).first->second;
}

// The texts in the order of their numbers.
template <class Numbers>
std::vector<std::string_view> texts_of(const Numbers& numbers) {
  std::vector<std::string_view> texts(numbers.size());
  for (const auto& [text, number] : numbers) texts[number] = text;
  return texts;
}

std::optional<double> known(double value) { return std::isnan(value) ? std::nullopt : std::optional(value); }

// A word that begins another one asks for nothing of its own.
std::vector<std::string> needed_words(std::string_view text) {
  const std::vector<std::string> words = words_of(text);
  std::vector<std::string> needed;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i + 1 < words.size() && words[i + 1].starts_with(words[i])) continue;
    needed.push_back(words[i]);
  }
  return needed;
}

}  // namespace

// One bit for each row.
class JobIndex::Marks {
 public:
  explicit Marks(size_t rows, bool all = false) : words_((rows + 63) / 64, all ? ~uint64_t{0} : 0) {
    if (all && rows % 64 != 0) words_.back() = (uint64_t{1} << (rows % 64)) - 1;
  }
  void set(Row row) { words_[row / 64] |= uint64_t{1} << (row % 64); }
  bool has(Row row) const { return (words_[row / 64] >> (row % 64) & 1) != 0; }
  void keep(const Marks& other) { keep(other.words_); }
  void keep(const std::vector<uint64_t>& others) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] &= others[i];
  }
  uint64_t count() const {
    uint64_t count = 0;
    for (const uint64_t word : words_) count += static_cast<uint64_t>(std::popcount(word));
    return count;
  }
  // Those for which `wanted` is false lose their mark.
  template <class Wanted>
  void filter(const Wanted& wanted) {
    for (size_t i = 0; i < words_.size(); ++i) {
      for (uint64_t left = words_[i]; left != 0; left &= left - 1) {
        const auto bit = static_cast<Row>(std::countr_zero(left));
        if (!wanted(static_cast<Row>(i * 64) + bit)) words_[i] &= ~(uint64_t{1} << bit);
      }
    }
  }
  template <class Visit>
  void each(const Visit& visit) const {
    for (size_t i = 0; i < words_.size(); ++i) {
      for (uint64_t left = words_[i]; left != 0; left &= left - 1) {
        visit(static_cast<Row>(i * 64) + static_cast<Row>(std::countr_zero(left)));
      }
    }
  }
  template <class Visit>
  void each_backwards(const Visit& visit) const {
    for (size_t i = words_.size(); i-- > 0;) {
      for (uint64_t left = words_[i]; left != 0;) {
        const auto bit = static_cast<Row>(63 - std::countl_zero(left));
        left &= ~(uint64_t{1} << bit);
        visit(static_cast<Row>(i * 64) + bit);
      }
    }
  }

 private:
  std::vector<uint64_t> words_;
};

// The first of many by their rank, in a time that does not depend on the order in which they come.
class JobIndex::Chosen {
 public:
  Chosen(const JobIndex& index, size_t wanted) : index_(index), wanted_(wanted) {}
  void offer(const Ranked& candidate) {
    if (full_ && !index_.before(candidate, last_)) return;
    held_.push_back(candidate);
    if (held_.size() < 4 * wanted_ + kSpareChosen) return;
    const auto last = held_.begin() + static_cast<ptrdiff_t>(wanted_) - 1;
    std::nth_element(held_.begin(), last, held_.end(), Order{index_});
    last_ = *last;
    full_ = true;
    held_.resize(wanted_);
  }
  // Without the first `skip`, which are not put in order.
  std::vector<Ranked> take(size_t skip = 0) {
    const auto first = held_.begin() + static_cast<ptrdiff_t>(std::min(skip, held_.size()));
    if (skip > 0 && first != held_.end()) std::nth_element(held_.begin(), first, held_.end(), Order{index_});
    held_.erase(held_.begin(), first);
    const size_t wanted = wanted_ - std::min(skip, wanted_);
    const auto last = held_.begin() + static_cast<ptrdiff_t>(std::min(wanted, held_.size()));
    std::partial_sort(held_.begin(), last, held_.end(), Order{index_});
    held_.erase(last, held_.end());
    return std::move(held_);
  }

 private:
  struct Order {
    const JobIndex& index;
    bool operator()(const Ranked& a, const Ranked& b) const { return index.before(a, b); }
  };

  const JobIndex& index_;
  const size_t wanted_;
  std::vector<Ranked> held_;
  Ranked last_;
  bool full_ = false;
};

// --- what the view says

Result<JobIndex> JobIndex::read(const ViewReader& reader) {
  JobIndex index;
  const std::string_view prefix = job_keys::kJobPrefix;
  const auto scanned =
      reader.scan(kJobHistoryView, KeyRange::prefix(prefix), [&](std::string_view key, std::string_view value) {
        const std::string record(value);
        index.put(job_id_of_key(key), &record);
        return true;
      });
  if (!scanned) return scanned.error();
  return index;
}

JobIndex::Text JobIndex::text_of(const schema::JobViewT& job) {
  Text text;
  text.name = folded(job.filename) + '\0' + job.filename;
  std::string searched =
      fmt::format("{} {} {} {} {}", job.filename, job.title, job.notes, job.machine, job.slicer_name);
  for (const std::string& tag : job.tags) searched += " " + tag;
  text.words = words_of(searched);
  text.tags = job.tags;
  std::string all = text.name;
  for (const std::string& word : text.words) all += '\1' + word;
  for (const std::string& tag : text.tags) all += '\2' + tag;
  text.hash = hash_of(all);
  return text;
}

JobIndex::Columns JobIndex::columns_of(const schema::JobViewT& job) {
  Columns columns;
  columns.order_us = job.order_us;
  columns.started_us = started_at(job).us;
  columns.ended_us = ended_at(job).us;
  columns.total_duration = job.total_duration.value_or(kNotKnown);
  columns.print_duration = job.print_duration.value_or(kNotKnown);
  columns.filament_used = job.filament_used.value_or(kNotKnown);
  columns.machine = number_of(machines_, job.machine);
  columns.filament_type = number_of(filament_types_, job.filament_type);
  columns.outcome = job.outcome;
  columns.verdict = job.verdict;
  columns.paused = job.outcome == schema::JobOutcome::running && job.paused_since_us != 0;
  columns.hidden = job.hidden;
  columns.live = true;
  return columns;
}

void JobIndex::put(std::string_view id, const std::string* record) {
  const Row held = find(id);
  const bool was_live = held != kNone && columns_[held].live;
  const auto job = record == nullptr ? std::nullopt : decode_job(*record);
  if (was_live) {
    columns_[held].live = false;
    note_columns(held);
    --live_;
  }
  if (!job) return;
  ++live_;
  const Columns columns = columns_of(*job);
  const Text text = text_of(*job);
  if (held != kNone && text_hash_[held] == text.hash) {
    columns_[held] = columns;
    note_columns(held);
  } else {
    add(id, columns, text);
  }
  if (columns_.size() - live_ > std::max<size_t>(kMinDead, live_ / 4)) compact();
}

void JobIndex::add(std::string_view id, const Columns& columns, const Text& text) {
  const auto row = static_cast<Row>(columns_.size());
  columns_.push_back(columns);
  note_columns(row);
  ids_ += id;
  id_end_.push_back(ids_.size());
  text_hash_.push_back(text.hash);
  const auto name = names_.try_emplace(text.name).first;
  name->second.push_back(row);
  name_.push_back(&*name);
  for (const std::string& word : text.words) words_[word].push_back(row);
  for (const std::string& tag : text.tags) {
    Rows& rows = tags_[tag];
    if (rows.empty() || rows.back() != row) rows.push_back(row);
  }
  note_slot(row);
}

std::string_view JobIndex::id_of(Row row) const {
  const uint64_t begin = row == 0 ? 0 : id_end_[row - 1];
  return std::string_view(ids_).substr(begin, id_end_[row] - begin);
}

JobIndex::Row JobIndex::find(std::string_view id) const {
  if (slots_.empty()) return kNone;
  const size_t mask = slots_.size() - 1;
  for (size_t slot = hash_of(id) & mask;; slot = (slot + 1) & mask) {
    if (slots_[slot] == kNone || id_of(slots_[slot]) == id) return slots_[slot];
  }
}

// The newest row of an id is the one that is found.
void JobIndex::note_slot(Row row) {
  if (2 * columns_.size() > slots_.size()) {
    slots_.assign(std::max(kMinSlots, std::bit_ceil(4 * columns_.size())), kNone);
    for (Row each = 0; each < row; ++each) note_slot(each);
  }
  const std::string_view id = id_of(row);
  const size_t mask = slots_.size() - 1;
  size_t slot = hash_of(id) & mask;
  while (slots_[slot] != kNone && id_of(slots_[slot]) != id) slot = (slot + 1) & mask;
  slots_[slot] = row;
}

void JobIndex::note_columns(Row row) {
  shown_.resize((columns_.size() + 63) / 64);
  order_us_.resize(columns_.size());
  const Columns& job = columns_[row];
  const uint64_t bit = uint64_t{1} << (row % 64);
  job.live && !job.hidden ? shown_[row / 64] |= bit : shown_[row / 64] &= ~bit;
  order_us_[row] = job.order_us;
}

// Closes up the rows in which no job stands any more.
void JobIndex::compact() {
  JobIndex other;
  std::vector<Row> moved(columns_.size(), kNone);
  for (Row row = 0; row < columns_.size(); ++row) {
    if (!columns_[row].live) continue;
    moved[row] = static_cast<Row>(other.columns_.size());
    other.columns_.push_back(columns_[row]);
    other.ids_ += id_of(row);
    other.id_end_.push_back(other.ids_.size());
    other.text_hash_.push_back(text_hash_[row]);
    other.name_.push_back(name_[row]);
  }
  const auto move = [&](Names& names) {
    for (auto entry = names.begin(); entry != names.end();) {
      Rows& rows = entry->second;
      size_t kept = 0;
      for (const Row row : rows) {
        if (moved[row] != kNone) rows[kept++] = moved[row];
      }
      rows.resize(kept);
      entry = kept == 0 ? names.erase(entry) : std::next(entry);
    }
  };
  move(words_);
  move(tags_);
  move(names_);
  columns_ = std::move(other.columns_);
  shown_.clear();
  order_us_.clear();
  for (Row row = 0; row < columns_.size(); ++row) note_columns(row);
  ids_ = std::move(other.ids_);
  id_end_ = std::move(other.id_end_);
  text_hash_ = std::move(other.text_hash_);
  name_ = std::move(other.name_);
  slots_.clear();
  if (!columns_.empty()) note_slot(static_cast<Row>(columns_.size() - 1));
}

// --- what lists ask

void JobIndex::mark(Marks& marks, const Rows& rows) const {
  for (const Row row : rows) marks.set(row);
}

std::optional<JobIndex::Marks> JobIndex::marked_by_text(std::string_view text) const {
  std::optional<Marks> all;
  for (const std::string& word : needed_words(text)) {
    Marks of_word(columns_.size());
    const auto end = end_of_prefix(words_, word);
    for (auto entry = words_.lower_bound(word); entry != end; ++entry) mark(of_word, entry->second);
    all ? all->keep(of_word) : static_cast<void>(all.emplace(std::move(of_word)));
  }
  return all;
}

JobIndex::Marks JobIndex::matching(const JobFilter& filter) const {
  std::optional<Marks> by_text = marked_by_text(filter.text);
  Marks marks = by_text ? std::move(*by_text) : Marks(columns_.size(), true);
  if (!filter.ids.empty()) {
    Marks named(columns_.size());
    for (const std::string& id : filter.ids) {
      if (const Row row = find(id); row != kNone) named.set(row);
    }
    marks.keep(named);
  }
  if (!filter.tags.empty()) {
    Marks tagged(columns_.size());
    for (const std::string& tag : filter.tags) {
      if (const auto rows = tags_.find(tag); rows != tags_.end()) mark(tagged, rows->second);
    }
    marks.keep(tagged);
  }
  std::vector<bool> machines(machines_.size(), filter.machines.empty());
  for (const std::string& machine : filter.machines) {
    if (const auto found = machines_.find(machine); found != machines_.end()) machines[found->second] = true;
  }
  const int64_t from = filter.from ? to_unix_us(*filter.from) : std::numeric_limits<int64_t>::min();
  const int64_t to = filter.to ? to_unix_us(*filter.to) : std::numeric_limits<int64_t>::max();
  std::array<bool, 256> outcomes{};
  std::array<bool, 256> verdicts{};
  for (size_t i = 0; i < outcomes.size(); ++i) {
    outcomes[i] = filter.outcomes.empty() || filter.outcomes.contains(static_cast<schema::JobOutcome>(i));
    verdicts[i] = filter.verdicts.empty() || filter.verdicts.contains(static_cast<schema::JobVerdict>(i));
  }
  const bool with_hidden = filter.hidden != HiddenJobs::kLeftOut;
  const bool with_others = filter.hidden != HiddenJobs::kOnly;
  const bool any = filter.machines.empty() && filter.outcomes.empty() && filter.verdicts.empty() && !filter.from &&
                   !filter.to && !filter.paused;
  if (!with_hidden) marks.keep(shown_);
  if (!with_hidden && any) return marks;
  marks.filter([&](Row row) {
    const Columns& job = columns_[row];
    if (!job.live || !(job.hidden ? with_hidden : with_others)) return false;
    if (any) return true;
    return machines[job.machine] && outcomes[static_cast<size_t>(job.outcome)] &&
           verdicts[static_cast<size_t>(job.verdict)] && job.started_us >= from && job.started_us < to &&
           job.paused == filter.paused.value_or(job.paused);
  });
  return marks;
}

// Smaller comes first, whatever the direction.
double JobIndex::key_of(const Columns& columns, const JobListQuery& query) const {
  double value = kNotKnown;
  if (query.sort == JobSort::kStartedAt) value = static_cast<double>(columns.order_us);
  if (query.sort == JobSort::kEndedAt && columns.ended_us != 0) value = static_cast<double>(columns.ended_us);
  if (query.sort == JobSort::kTotalDuration) value = columns.total_duration;
  if (query.sort == JobSort::kFilamentUsed) value = columns.filament_used;
  if (std::isnan(value)) return std::numeric_limits<double>::infinity();
  return query.ascending ? value : -value;
}

bool JobIndex::before(const Ranked& a, const Ranked& b) const {
  if (a.key != b.key) return a.key < b.key;
  if (a.order_us != b.order_us) return a.order_us > b.order_us;
  return id_of(a.row) < id_of(b.row);
}

bool JobIndex::after(const Ranked& ranked, const Place& place) const {
  if (ranked.key != place.key) return ranked.key > place.key;
  if (ranked.order_us != place.order_us) return ranked.order_us < place.order_us;
  return id_of(ranked.row) > place.id;
}

std::vector<JobIndex::Ranked> JobIndex::first_by_number(const Marks& marks, const JobListQuery& query,
                                                        const std::optional<Place>& place) const {
  Chosen chosen(*this, query.skip + query.limit + 1);
  const auto offer = [&](Row row) {
    const Ranked ranked{key_of(columns_[row], query), columns_[row].order_us, row};
    if (!place || after(ranked, *place)) chosen.offer(ranked);
  };
  // The usual order needs no look at the values of the others.
  const auto offer_newest = [&](Row row) {
    const int64_t order_us = order_us_[row];
    const Ranked ranked{-static_cast<double>(order_us), order_us, row};
    if (!place || after(ranked, *place)) chosen.offer(ranked);
  };
  if (query.sort == JobSort::kStartedAt && !query.ascending) {
    marks.each_backwards(offer_newest);
  } else {
    query.ascending ? marks.each(offer) : marks.each_backwards(offer);
  }
  return chosen.take(query.skip);
}

std::vector<JobIndex::Ranked> JobIndex::first_by_name(const Marks& marks, const JobListQuery& query,
                                                      const std::optional<Place>& place) const {
  const size_t wanted = query.skip + query.limit + 1;
  std::vector<Ranked> found;
  const auto behind_skipped = [&] {
    found.erase(found.begin(), found.begin() + static_cast<ptrdiff_t>(std::min(query.skip, found.size())));
    return std::move(found);
  };
  // The jobs of one name.
  const auto visit = [&](std::string_view name, const Rows& rows) {
    Chosen chosen(*this, wanted - found.size());
    const bool same = place && place->name == name;
    for (const Row row : rows) {
      if (!marks.has(row)) continue;
      const Ranked ranked{0, columns_[row].order_us, row};
      if (!same || after(ranked, *place)) chosen.offer(ranked);
    }
    for (const Ranked& ranked : chosen.take()) found.push_back(ranked);
    return found.size() < wanted;
  };
  const auto walk = [&](const auto& names) {
    if (query.ascending) {
      for (auto at = place ? names.lower_bound(place->name) : names.begin(); at != names.end(); ++at) {
        if (!visit(at->first, at->second)) return;
      }
    } else {
      for (auto at = place ? names.upper_bound(place->name) : names.end(); at != names.begin();) {
        if (--at; !visit(at->first, at->second)) return;
      }
    }
  };
  if (marks.count() > kFewMatches) {
    walk(names_);
    return behind_skipped();
  }
  std::map<std::string_view, Rows, std::less<>> few;
  marks.each([&](Row row) { few[name_[row]->first].push_back(row); });
  walk(few);
  return behind_skipped();
}

// "<order>\n<start in hexadecimal>\n<key>\n<id>", where the key is the bits of a number or a name.
std::string JobIndex::place_of(const Ranked& ranked, const JobListQuery& query) const {
  const std::string key = query.sort == JobSort::kFilename ? name_[ranked.row]->first
                                                           : fmt::format("{:x}", std::bit_cast<uint64_t>(ranked.key));
  return fmt::format("{}\n{:x}\n{}\n{}", order_name(query), static_cast<uint64_t>(ranked.order_us), key,
                     id_of(ranked.row));
}

Result<std::optional<JobIndex::Place>> JobIndex::place_in(const JobListQuery& query) {
  if (query.after.empty()) return std::optional<Place>{};
  const auto wrong = make_error(Errc::kInvalidArgument,
                                fmt::format("the place to go on from is not one of a list by {}", order_name(query)));
  std::string_view rest = query.after;
  const std::string order = order_name(query) + "\n";
  if (!rest.starts_with(order)) return wrong;
  rest.remove_prefix(order.size());
  const size_t first = rest.find('\n');
  const size_t last = rest.rfind('\n');
  if (first == std::string_view::npos || last == first) return wrong;
  Place place;
  uint64_t order_us = 0;
  if (!parse(rest.substr(0, first), order_us, 16)) return wrong;
  place.order_us = static_cast<int64_t>(order_us);
  const std::string_view key = rest.substr(first + 1, last - first - 1);
  place.id = rest.substr(last + 1);
  if (query.sort == JobSort::kFilename) {
    place.name = key;
    return std::optional(std::move(place));
  }
  uint64_t bits = 0;
  if (!parse(key, bits, 16)) return wrong;
  place.key = std::bit_cast<double>(bits);
  return std::optional(std::move(place));
}

Result<JobList> JobIndex::list(const JobListQuery& query) const {
  const auto place = place_in(query);
  if (!place) return place.error();
  const Marks marks = matching(query.filter);
  const auto first =
      query.sort == JobSort::kFilename ? first_by_name(marks, query, *place) : first_by_number(marks, query, *place);
  JobList page;
  page.total = marks.count();
  for (size_t i = 0; i < std::min(first.size(), query.limit); ++i) page.ids.emplace_back(id_of(first[i].row));
  if (first.size() > query.limit && query.limit > 0) page.next = place_of(first[query.limit - 1], query);
  return page;
}

void JobIndex::each(const std::function<void(const JobFigures&)>& visit) const {
  const auto machines = texts_of(machines_);
  const auto filament_types = texts_of(filament_types_);
  for (Row row = 0; row < columns_.size(); ++row) {
    const Columns& job = columns_[row];
    if (!job.live || job.hidden) continue;
    visit({id_of(row), machines[job.machine], job.outcome, job.started_us, known(job.print_duration),
           known(job.filament_used), filament_types[job.filament_type]});
  }
}

std::vector<TagCount> JobIndex::tags() const {
  std::vector<TagCount> counts;
  for (const auto& [tag, rows] : tags_) {
    const auto shown =
        std::count_if(rows.begin(), rows.end(), [&](Row row) { return columns_[row].live && !columns_[row].hidden; });
    if (shown > 0) counts.push_back({tag, static_cast<uint64_t>(shown)});
  }
  return counts;
}

}  // namespace millrace
