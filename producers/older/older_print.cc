// SPDX-License-Identifier: Apache-2.0
#include "producers/older/older_print.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <map>

namespace millrace {
namespace {

constexpr std::string_view kLivePrefix = "active-";
constexpr std::string_view kCache = ".cache/";
constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kHourUs = 3600 * kSecondUs;
// Between what a printer's clock and that of the logger's computer say about one moment, with the time that a row took.
constexpr int64_t kMarginUs = 60 * kSecondUs;
// The same where the offset itself is unknown: smaller, since many offsets are tried.
constexpr int64_t kTightMarginUs = 5 * kSecondUs;
constexpr int64_t kOneMomentUs = 2 * kSecondUs;
constexpr int64_t kLongestUs = 14 * 24 * kHourUs;  // of a print, where one that goes on is looked for
constexpr int64_t kQuarterUs = 900 * kSecondUs;    // every zone's offset is a multiple of it
constexpr int64_t kMaxOffsetUs = 14 * kHourUs;     // Kiritimati; the other way it is 12

// Rows of one printer and file.
using Key = std::pair<int64_t, std::string>;
using Groups = std::map<Key, std::vector<OlderPrint*>>;

std::string_view without_cache(std::string_view file) {
  if (file.starts_with(kCache)) file.remove_prefix(kCache.size());
  return file;
}

Groups grouped(std::vector<OlderPrint>& prints) {
  Groups groups;
  for (OlderPrint& print : prints) {
    groups[{print.printer_id, std::string(without_cache(print.row.filename))}].push_back(&print);
  }
  return groups;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// How far `at` lies from the print's start or end, whichever is nearer; nullopt: neither within the margin of one of
// them, nor between them.
std::optional<int64_t> distance(const OlderPrint& print, int64_t at) {
  const int64_t start = print.row.start_us;
  const int64_t end = std::max(start, print.row.end_us);
  const int64_t nearest = std::min(std::abs(at - start), std::abs(at - end));
  if (nearest <= kMarginUs || (at > start && at < end)) return nearest;
  return std::nullopt;
}

// The moments that a live row knows in true UTC: when a reprint began, and when it was written last.
std::array<int64_t, 3> moments_of(const OlderPrint& live) {
  return {live.began_us, live.start ? live.start->us : 0, live.end ? live.end->us : 0};
}

bool is_row(const OlderPrint& print) { return !print.live && print.start; }

// One row's way from what is stored to UTC.
class Settling {
 public:
  Settling(std::vector<OlderPrint>& prints, const LocalZone* zone) : prints_(prints), zone_(zone) {}

  SettledTimes run() {
    by_evidence();
    tell_unexplained();
    by_neighbours();
    for (OlderPrint& print : prints_) apply(print);
    return settled_;
  }

 private:
  // How much later than UTC the zone's clocks were; 0 without a zone.
  int64_t offset_at(int64_t stored_us) const { return zone_ == nullptr ? 0 : stored_us - zone_->to_utc_us(stored_us); }

  void by_evidence() {
    for (auto& [key, group] : grouped(prints_)) {
      std::multimap<int64_t, const OlderPrint*> lives;
      for (const OlderPrint* print : group) {
        if (!print->live) continue;
        for (const int64_t at : moments_of(*print)) {
          if (at != 0) lives.emplace(at, print);
        }
      }
      for (OlderPrint* print : group) {
        if (is_row(*print)) decide(*print, near(lives, print->row));
      }
    }
  }

  // Those that may be of the print, whatever the zone.
  static std::vector<const OlderPrint*> near(const std::multimap<int64_t, const OlderPrint*>& lives,
                                             const HistoryRow& row) {
    std::vector<const OlderPrint*> found;
    const auto end = lives.upper_bound(std::max(row.start_us, row.end_us) + kMaxOffsetUs + kMarginUs);
    for (auto live = lives.lower_bound(row.start_us - kMaxOffsetUs - kMarginUs); live != end; ++live) {
      found.push_back(live->second);
    }
    return found;
  }

  void decide(OlderPrint& print, const std::vector<const OlderPrint*>& lives) {
    if (print.start->has_zone) return mark(print, false, ShiftReason::kOwnZone);
    ++rows_;
    const int64_t offset = offset_at(print.row.start_us);
    if (print.created) {
      const int64_t after = print.created->us - print.row.start_us;
      if (std::abs(after) <= kMarginUs) return mark(print, false, ShiftReason::kCreated);
      if (offset != 0 && std::abs(after + offset) <= kMarginUs) return mark(print, true, ShiftReason::kCreated);
    }
    std::optional<int64_t> as_stored, as_local;
    for (const OlderPrint* live : lives) {
      nearer(as_stored, evidence(print, *live, 0, kMarginUs));
      if (offset != 0) nearer(as_local, evidence(print, *live, offset, kMarginUs));
    }
    if (as_stored || as_local) {
      return mark(print, as_local && (!as_stored || *as_local < *as_stored), ShiftReason::kLiveRow);
    }
    if (zone_ == nullptr) note_unexplained(print, lives);
  }

  // How well the live row's own times fit the print's when these are moved by `offset`.  When Moonraker's history ended
  // a live row, that took over the print's end as it is stored: it says nothing about the zone.
  static std::optional<int64_t> evidence(const OlderPrint& print, const OlderPrint& live, int64_t offset,
                                         int64_t margin) {
    const auto offer = [&](int64_t at, int64_t of_print, std::optional<int64_t>& best) {
      if (at == 0 || of_print == 0) return;
      const int64_t apart = std::abs(at - (of_print - offset));
      if (apart <= margin) nearer(best, apart);
    };
    const int64_t start = live.start ? live.start->us : 0;
    const int64_t end = live.end ? live.end->us : 0;
    const bool is_end = end != 0 && std::abs(end - start) <= kOneMomentUs;  // its end took the place of its start
    const bool of_history = live.end && print.end && live.end->us == print.end->us;
    std::optional<int64_t> best;
    offer(live.began_us, print.row.start_us, best);
    if (!is_end) offer(start, print.row.start_us, best);
    if (!of_history) offer(end, print.row.end_us, best);
    return best;
  }

  static void nearer(std::optional<int64_t>& best, const std::optional<int64_t>& found) {
    if (found && (!best || *found < *best)) best = found;
  }

  static void mark(OlderPrint& print, bool shifted, ShiftReason reason) {
    print.shifted = shifted;
    print.shift_reason = reason;
  }

  // A zone that nobody named shows in times that lie a zone's offset away from those of the print.
  void note_unexplained(const OlderPrint& print, const std::vector<const OlderPrint*>& lives) {
    for (int64_t offset = -kMaxOffsetUs; offset <= kMaxOffsetUs; offset += kQuarterUs) {
      if (offset == 0) continue;
      const bool by_created =
          print.created && std::abs(print.created->us - (print.row.start_us - offset)) <= kTightMarginUs;
      const bool by_live = std::any_of(lives.begin(), lives.end(), [&](const OlderPrint* live) {
        return evidence(print, *live, offset, kTightMarginUs).has_value();
      });
      if (!by_created && !by_live) continue;
      Unexplained& seen = unexplained_[offset];
      if (seen.rows++ == 0) seen.first = print.id;
      return;
    }
  }

  // One row alone may be a coincidence, where there are many.
  void tell_unexplained() {
    constexpr uint64_t kFewRows = 3;
    for (const auto& [offset, seen] : unexplained_) {
      if (seen.rows <= settled_.unexplained || (seen.rows < 2 && rows_ > kFewRows)) continue;
      settled_.unexplained = seen.rows;
      settled_.unexplained_shift_s = offset / kSecondUs;
      settled_.unexplained_row = seen.first;
    }
  }

  // Rows were written in the order of their ids: those of an import together, those told live as they came.
  void by_neighbours() {
    std::map<int64_t, std::vector<OlderPrint*>> printers;
    for (OlderPrint& print : prints_) {
      if (is_row(print)) printers[print.printer_id].push_back(&print);
    }
    for (auto& [printer, rows] : printers) {
      const OlderPrint* before = nullptr;
      for (size_t i = 0; i < rows.size(); ++i) {
        if (decided(*rows[i])) {
          before = rows[i];
          continue;
        }
        const auto after = std::find_if(rows.begin() + static_cast<ptrdiff_t>(i), rows.end(),
                                        [](const OlderPrint* row) { return decided(*row); });
        const bool alike = before != nullptr && (after == rows.end() || (*after)->shifted == before->shifted);
        if (alike && offset_at(rows[i]->row.start_us) != 0) {
          rows[i]->shifted = before->shifted;
          rows[i]->shift_reason = ShiftReason::kNeighbours;
        }
      }
    }
  }
  static bool decided(const OlderPrint& print) {
    return print.shift_reason == ShiftReason::kLiveRow || print.shift_reason == ShiftReason::kCreated;
  }

  void apply(OlderPrint& print) {
    if (!is_row(print)) return;
    if (!print.shifted) {
      const bool open = print.shift_reason == ShiftReason::kNone && offset_at(print.row.start_us) != 0;
      settled_.undecided += open ? 1 : 0;
      return;
    }
    ++settled_.shifted;
    settled_.by_live_row += print.shift_reason == ShiftReason::kLiveRow ? 1 : 0;
    settled_.by_created += print.shift_reason == ShiftReason::kCreated ? 1 : 0;
    settled_.by_neighbours += print.shift_reason == ShiftReason::kNeighbours ? 1 : 0;
    print.row.start_us = zone_->to_utc_us(print.row.start_us);
    if (print.row.end_us != 0) print.row.end_us = zone_->to_utc_us(print.row.end_us);
  }

  struct Unexplained {
    uint64_t rows = 0;
    int64_t first = 0;
  };

  std::vector<OlderPrint>& prints_;
  const LocalZone* zone_;
  SettledTimes settled_;
  uint64_t rows_ = 0;
  std::map<int64_t, Unexplained> unexplained_;  // by offset
};

// The length that a live row says, in microseconds; 0: it says none.
int64_t length_of(const OlderPrint& live) {
  const auto& seconds = live.row.total_duration ? live.row.total_duration : live.row.print_duration;
  return seconds ? static_cast<int64_t>(*seconds * 1e6) : 0;
}

// What a live row without another knows of its print.  Its end took the place of its start, if it has one.
void set_times(OlderPrint& live) {
  int64_t from = 0;
  int64_t to = 0;
  for (const int64_t at : moments_of(live)) {
    if (at == 0) continue;
    from = from == 0 ? at : std::min(from, at);
    to = std::max(to, at);
  }
  const bool ended = live.end && live.row.status != "in_progress";
  if (live.began_us == 0 && from == to && ended && length_of(live) > 0)
    from = std::max<int64_t>(to - length_of(live), 1);
  live.seen_from_us = live.row.start_us = from;
  live.seen_to_us = std::max(from, to);
  live.row.end_us = ended ? live.end->us : 0;
}

// The print of Moonraker's history that the live row tells of; nullptr: there is none.
OlderPrint* nearest_row(const std::multimap<int64_t, OlderPrint*>& rows, const std::map<int64_t, OlderPrint*>& ends,
                        const OlderPrint& live) {
  OlderPrint* nearest = nullptr;
  int64_t best = 0;
  // Moonraker's history had ended the live row too, with the very same time.
  if (const auto same = live.end ? ends.find(live.end->us) : ends.end(); same != ends.end()) return same->second;
  for (const int64_t at : moments_of(live)) {
    if (at == 0) continue;
    const auto end = rows.upper_bound(at + kMarginUs);
    for (auto row = rows.lower_bound(at - kLongestUs); row != end; ++row) {
      const auto found = distance(*row->second, at);
      if (!found || (nearest != nullptr && *found >= best)) continue;
      nearest = row->second;
      best = *found;
    }
  }
  return nearest;
}

void give_texts(OlderPrint& from, OlderPrint& to) {
  if (to.title.empty()) to.title = from.title;
  if (to.link.empty()) to.link = from.link;
}

// A reprint leaves two live rows: one that was written when it began and then given up, and the first print's, which
// its end was written into.
bool is_beginning_of(const OlderPrint& given_up, const OlderPrint& whole) {
  return given_up.began_us != 0 && whole.began_us == 0 && given_up.row.status == "cancelled" &&
         std::abs(whole.seen_from_us - given_up.began_us) <= kMarginUs;
}

}  // namespace

void read_live_id(OlderPrint& print) {
  std::string_view id = print.job_id;
  if (!id.starts_with(kLivePrefix)) return;
  print.live = true;
  // "...-<printer>-<unix>": a Unix time has nine digits or more, which no printer's number has.
  const size_t last = id.rfind('-');
  const std::string_view number = id.substr(last + 1);
  const std::string printer = "-" + std::to_string(print.printer_id);
  constexpr size_t kUnixDigits = 9;
  if (!is_number(number) || number.size() < kUnixDigits || number.size() > kUnixDigits + 2) return;
  if (!id.substr(0, last).ends_with(printer)) return;
  int64_t seconds = 0;
  std::from_chars(number.data(), number.data() + number.size(), seconds);
  print.began_us = seconds * kSecondUs;
}

bool is_same_file(std::string_view a, std::string_view b) { return without_cache(a) == without_cache(b); }

SettledTimes settle_times(std::vector<OlderPrint>& prints, const LocalZone* zone) {
  return Settling(prints, zone).run();
}

uint64_t mark_doubles(std::vector<OlderPrint>& prints) {
  uint64_t doubled = 0;
  for (auto& [key, group] : grouped(prints)) {
    std::multimap<int64_t, OlderPrint*> rows;  // by their start
    std::map<int64_t, OlderPrint*> ends;       // by their end as it is stored
    for (OlderPrint* print : group) {
      if (!is_row(*print)) continue;
      rows.emplace(print->row.start_us, print);
      if (print->end) ends.emplace(print->end->us, print);
    }
    std::vector<OlderPrint*> alone;
    for (OlderPrint* live : group) {
      if (!live->live) continue;
      OlderPrint* nearest = nearest_row(rows, ends, *live);
      if (nearest == nullptr) {
        set_times(*live);
        alone.push_back(live);
        continue;
      }
      live->doubled = true;
      give_texts(*live, *nearest);
    }
    for (OlderPrint* given_up : alone) {
      const auto whole = std::find_if(alone.begin(), alone.end(), [&](const OlderPrint* other) {
        return !other->doubled && is_beginning_of(*given_up, *other);
      });
      if (whole == alone.end()) continue;
      given_up->doubled = true;
      give_texts(*given_up, **whole);
      (*whole)->row.start_us = (*whole)->seen_from_us = given_up->began_us;
    }
  }
  for (const OlderPrint& print : prints) doubled += print.doubled ? 1 : 0;
  return doubled;
}

}  // namespace millrace
