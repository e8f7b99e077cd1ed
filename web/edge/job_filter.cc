// SPDX-License-Identifier: Apache-2.0
#include "web/edge/job_filter.h"

#include <fmt/format.h>

#include <array>

namespace millrace {
namespace {

constexpr std::string_view kText = R"({"type":"string"})";
constexpr std::string_view kTime = R"({"type":"string","format":"date-time"})";
constexpr size_t kMaxSearched = 200;  // bytes of q

template <class Value>
struct Word {
  std::string_view word;
  Value value;
};

constexpr std::array kSorts{
    Word<JobSort>{"started_at", JobSort::kStartedAt}, Word<JobSort>{"ended_at", JobSort::kEndedAt},
    Word<JobSort>{"total_duration", JobSort::kTotalDuration}, Word<JobSort>{"filament_used", JobSort::kFilamentUsed},
    Word<JobSort>{"filename", JobSort::kFilename}};
constexpr std::array kOrders{Word<bool>{"asc", true}, Word<bool>{"desc", false}};
constexpr std::array kHidden{Word<HiddenJobs>{"false", HiddenJobs::kLeftOut},
                             Word<HiddenJobs>{"true", HiddenJobs::kOnly}, Word<HiddenJobs>{"any", HiddenJobs::kToo}};

Error invalid(std::string_view name, std::string_view value, std::string_view expected) {
  return make_error(Errc::kInvalidArgument, fmt::format("{}='{}': expected {}", name, value.substr(0, 100), expected));
}

// Leaves `value` as it is when the parameter is absent.
template <class Value, size_t n>
Result<void> read_word(const HttpRequest& request, std::string_view name, const std::array<Word<Value>, n>& words,
                       Value& value) {
  const auto text = request.query_value(name);
  if (!text) return {};
  std::string expected;
  for (const auto& each : words) {
    if (each.word == *text) {
      value = each.value;
      return {};
    }
    expected += fmt::format("{}{}", expected.empty() ? "" : ", ", each.word);
  }
  return invalid(name, *text, expected);
}

template <class Value, class Parse>
Result<void> read_set(const HttpRequest& request, std::string_view name, std::string_view expected, const Parse& parse,
                      std::set<Value>& values) {
  for (const std::string& text : texts_in(request, name)) {
    const auto value = parse(text);
    if (!value) return invalid(name, text, expected);
    values.insert(*value);
  }
  return {};
}

}  // namespace

std::optional<schema::JobVerdict> verdict_named(std::string_view name) {
  for (const auto verdict : schema::EnumValuesJobVerdict()) {
    if (name == schema::EnumNameJobVerdict(verdict)) return verdict;
  }
  return std::nullopt;
}

std::optional<schema::JobOutcome> outcome_named(std::string_view name) {
  for (const auto outcome : schema::EnumValuesJobOutcome()) {
    if (outcome != schema::JobOutcome::unknown && name == schema::EnumNameJobOutcome(outcome)) return outcome;
  }
  return std::nullopt;
}

const std::vector<Parameter>& job_filter_parameters() {
  static const std::vector<Parameter> parameters = {
      {"machine", kText, "Only of these machines, comma-separated"},
      {"outcome", kText, "One or more, comma-separated: running, completed, cancelled, failed, interrupted"},
      {"verdict", kText, "One or more, comma-separated: unknown, good, rework, scrap"},
      {"tag", kText, "One or more, comma-separated: a job needs one of them"},
      {"from", kTime, "Started at or after"},
      {"to", kTime, "Started before"},
      {"q", kText,
       "Words that must all begin a word of the file name, title, notes, tags, machine or slicer, whatever their case "
       "and accents"},
      {"hidden", R"({"enum":["false","true","any"],"default":"false"})", "true: hidden jobs only; any: those too"},
      {"sort", R"({"enum":["started_at","ended_at","total_duration","filament_used","filename"]})",
       "What the list is sorted by; jobs without that value come last"},
      {"order", R"({"enum":["asc","desc"],"default":"desc"})", "Smallest or largest first"}};
  return parameters;
}

Result<JobListQuery> job_query_in(const HttpRequest& request) {
  JobListQuery query;
  JobFilter& filter = query.filter;
  const auto same = [](const std::string& text) { return std::optional(text); };
  const auto machine = [](const std::string& text) {
    return is_valid_machine_id(text) ? std::optional(text) : std::nullopt;
  };
  const auto from = time_in(request, "from");
  const auto to = time_in(request, "to");
  if (!from) return from.error();
  if (!to) return to.error();
  filter.from = *from;
  filter.to = *to;
  filter.text = text_in(request, "q");
  if (filter.text.size() > kMaxSearched) {
    return invalid("q", filter.text, fmt::format("at most {} bytes, not {}", kMaxSearched, filter.text.size()));
  }
  for (const auto& read :
       {read_set(request, "machine", "machine ids: 1 to 64 of a-z, 0-9 and '-'", machine, filter.machines),
        read_set(request, "outcome", "running, completed, cancelled, failed or interrupted", outcome_named,
                 filter.outcomes),
        read_set(request, "verdict", "unknown, good, rework or scrap", verdict_named, filter.verdicts),
        read_set(request, "tag", "tags", same, filter.tags), read_set(request, "ids", "ids of jobs", same, filter.ids),
        read_word(request, "hidden", kHidden, filter.hidden), read_word(request, "sort", kSorts, query.sort),
        read_word(request, "order", kOrders, query.ascending)}) {
    if (!read) return read.error();
  }
  return query;
}

}  // namespace millrace
