// SPDX-License-Identifier: Apache-2.0
#include "cli/command_verify.h"

#include <fmt/format.h>

#include <cstdio>

#include "bus/file_copy.h"
#include "bus/file_io.h"
#include "bus/json_writer.h"
#include "bus/log_repair.h"
#include "bus/log_verifier.h"
#include "cli/hub.h"
#include "cli/opened_log.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kSilent{2};
constexpr std::chrono::seconds kBetween{1};
constexpr size_t kShownOfAnAnchor = 200;

// To stderr, once it takes long enough for someone to wonder.
class ProgressLine {
 public:
  explicit ProgressLine(const Clock& clock) : clock_(clock), begin_(clock.monotonic()), next_(begin_ + kSilent) {}

  void show(const VerifyProgress& progress) {
    const auto now = clock_.monotonic();
    if (now < next_) return;
    next_ = now + kBetween;
    const double seconds = std::chrono::duration<double>(now - begin_).count();
    fmt::print(stderr, "position {} of {}, {:.0f} MB/s\n", progress.position.value, progress.last.value,
               static_cast<double>(progress.bytes) / 1e6 / seconds);
  }

 private:
  const Clock& clock_;
  const MonotonicTime begin_;
  MonotonicTime next_;
};

// An anchor was asked for: an empty one, such as that of a script whose file is gone, is a mistake and no "without".
Result<std::vector<LogAnchor>> anchors_from(const std::optional<std::string>& argument) {
  if (!argument) return std::vector<LogAnchor>();
  std::string text = *argument;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(text, ignored)) {
    auto content = read_file(text);
    if (!content) return content.error();
    text = std::move(*content);
  }
  auto anchors = decode_anchors(text);
  if (!anchors) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("--anchor '{}': {}, nor is there a file of that name with one in it",
                                  argument->substr(0, kShownOfAnAnchor), anchors.error().context));
  }
  return anchors;
}

void write(JsonWriter& json, const ProducerProof& proof) {
  json.object()
      .field("producer", proof.producer)
      .field("complete", proof.complete())
      .field("explained", proof.explained())
      .field("never_numbered", proof.never_numbered);
  json.key("machines").object();
  for (const auto& [machine, events] : proof.machines) json.field(machine, events);
  json.end().key("epochs").array();
  for (const ProducerEpoch& epoch : proof.epochs) {
    json.object()
        .field("epoch", std::to_string(epoch.epoch))
        .field("first", epoch.first)
        .field("last", epoch.last)
        .field("events", epoch.events)
        .field("rejected", epoch.rejected)
        .field("expired", epoch.expired)
        .end();
  }
  json.end().key("holes").array();
  for (const SequenceHole& hole : proof.holes) {
    json.object()
        .field("epoch", std::to_string(hole.epoch))
        .field("from", hole.from)
        .field("to", hole.to > 0 ? std::optional(hole.to) : std::nullopt)
        .field("before_position", hole.before.value)
        .field("told_at", hole.told_at.value)
        .field("reason", hole.reason)
        .end();
  }
  json.end().key("disorder").array();
  for (const auto& disorder : proof.disorder) json.value(disorder);
  json.end().end();
}

struct Outcome {
  const LogVerdict& verdict;
  size_t anchors = 0;  // that were asked about
  double seconds = 0;
};

void print_json(const Outcome& outcome, bool producers) {
  const LogVerdict& verdict = outcome.verdict;
  JsonWriter json;
  json.object()
      .field("whole", verdict.whole())
      .field("incarnation", verdict.incarnation)
      .field("last_position", verdict.last.value)
      .field("commits", verdict.commits)
      .field("facts", verdict.facts)
      .field("telemetry", verdict.telemetry)
      .field("expired", verdict.expired)
      .field("lost", verdict.lost)
      .field("redacted_groups", verdict.redacted)
      .field("files", verdict.files)
      .field("file_bytes", verdict.file_bytes)
      .field("group_bytes", verdict.group_bytes)
      .field("raw_bytes", verdict.raw_bytes)
      .field("anchors_checked", outcome.anchors)
      .field("anchors_held", verdict.anchors_held)
      .field("seconds", outcome.seconds);
  if (verdict.root) json.field("anchor", short_text({verdict.incarnation, *verdict.root, {}}));
  json.field("fault_count", verdict.fault_count).key("faults").array();
  for (const LogFault& fault : verdict.faults) {
    json.object();
    fault.position.value > 0 ? json.field("position", fault.position.value) : json.key("position").null();
    fault.file.empty() ? json.key("file").null() : json.field("file", fault.file);
    json.field("what", fault.what).end();
  }
  json.end().key("notes").array();
  for (const auto& note : verdict.notes) json.value(note);
  json.end();
  if (producers) {
    json.key("producers").array();
    for (const ProducerProof& proof : verdict.producers) write(json, proof);
    json.end();
  }
  std::puts(json.end().text().c_str());
}

void print_text(const ProducerProof& proof) {
  std::string machines;
  for (const auto& [machine, events] : proof.machines) {
    machines += fmt::format("{}{} {}", machines.empty() ? "" : ", ", machine.empty() ? "no machine" : machine, events);
  }
  const std::string state = proof.complete() ? "complete"
                            : proof.explained()
                                ? fmt::format("{} hole{}, told", proof.holes.size(), proof.holes.size() == 1 ? "" : "s")
                                : "NOT COMPLETE";
  fmt::print("producer        {:<24} {}  ({})\n", proof.producer, state, machines);
  for (const ProducerEpoch& epoch : proof.epochs) {
    fmt::print("  epoch {}  {} to {}: {} events", epoch.epoch, epoch.first, epoch.last, epoch.events);
    if (epoch.rejected > 0) fmt::print(", {} rejected", epoch.rejected);
    if (epoch.expired > 0) fmt::print(", {} expired", epoch.expired);
    fmt::print("\n");
  }
  if (proof.never_numbered > 0)
    fmt::print("  {} events dropped before they had a number, as told\n", proof.never_numbered);
  for (const SequenceHole& hole : proof.holes) {
    const std::string end = hole.to > 0 ? fmt::format("{}/{}", hole.epoch, hole.to) : "the end of its epoch";
    fmt::print("  hole {}/{} to {}: {}\n", hole.epoch, hole.from, end,
               hole.told_at.value > 0 ? fmt::format("{}, told at position {}", hole.reason, hole.told_at.value)
                                      : std::string("no event says why"));
  }
}

// The first ones, and every damaged file.
void print_faults(const LogVerdict& verdict) {
  constexpr size_t kShown = 20;
  uint64_t shown = 0;
  for (size_t i = 0; i < verdict.faults.size(); ++i) {
    const LogFault& fault = verdict.faults[i];
    if (i >= kShown && fault.file.empty()) continue;
    fmt::print("{}{}{}\n", fault.position.value > 0 ? fmt::format("position {}: ", fault.position.value) : "",
               fault.file.empty() ? "" : fmt::format("'{}': ", fault.file), fault.what);
    ++shown;
  }
  if (verdict.fault_count > shown) fmt::print("and {} more\n", verdict.fault_count - shown);
  const bool mendable = verdict.fault_count > verdict.anchor_faults;
  fmt::print("NOT WHOLE: {} found. {}\n", verdict.fault_count,
             mendable
                 ? "`millrace log repair --to NEWDIR` saves what verifies"
                 : "This is not the log, or not all of it, that the anchor was taken from: compare it with a backup");
}

void print_text(const Outcome& outcome, bool producers) {
  const LogVerdict& verdict = outcome.verdict;
  fmt::print("incarnation     {}\nlast position   {}\n", verdict.incarnation, verdict.last.value);
  fmt::print("checked         {} commits, {} facts, {} samples in {} files, {} bytes, {:.1f} s, {:.0f} MB/s\n",
             verdict.commits, verdict.facts, verdict.telemetry, verdict.files, verdict.file_bytes, outcome.seconds,
             static_cast<double>(verdict.file_bytes) / 1e6 / std::max(outcome.seconds, 1e-3));
  if (verdict.expired > 0) fmt::print("expired         {} samples\n", verdict.expired);
  if (verdict.lost > 0) fmt::print("declared lost   {} positions\n", verdict.lost);
  if (verdict.redacted > 0) fmt::print("redacted        {} groups\n", verdict.redacted);
  if (verdict.root) fmt::print("anchor          {}\n", short_text({verdict.incarnation, *verdict.root, {}}));
  if (outcome.anchors > 0) {
    fmt::print("anchors         {} given, {} hold\n", outcome.anchors, verdict.anchors_held);
  }
  if (producers) {
    for (const ProducerProof& proof : verdict.producers) print_text(proof);
  }
  for (const auto& note : verdict.notes) fmt::print("note            {}\n", note);
  verdict.whole() ? fmt::print("whole\n") : print_faults(verdict);
}

void print_json(const LogRepairReport& report, const std::filesystem::path& to) {
  JsonWriter json;
  json.object()
      .field("to", to.string())
      .field("previous_incarnation", report.previous_incarnation)
      .field("incarnation", report.incarnation)
      .field("saved_through", report.saved_through.value)
      .field("last_position", report.last.value)
      .field("facts", report.facts)
      .field("telemetry", report.telemetry)
      .field("expired", report.expired)
      .field("lost_positions", report.lost_positions())
      .field("chain_kept", report.chain_kept)
      .key("lost")
      .array();
  for (const LostPositions& range : report.lost) {
    json.object().field("from", range.from).field("through", range.through).end();
  }
  json.end().key("numbers").array();
  for (const auto& [producer, hole] : report.numbers) {
    json.object()
        .field("producer", producer)
        .field("epoch", std::to_string(hole.epoch))
        .field("from", hole.from)
        .field("to", hole.to)
        .end();
  }
  json.end().key("marks").array();
  for (const ProducerMark& mark : report.marks) {
    json.object()
        .field("producer", mark.producer)
        .field("epoch", std::to_string(mark.order.epoch))
        .field("sequence", mark.order.sequence)
        .end();
  }
  json.end().key("damage").array();
  for (const auto& line : report.damage) json.value(line);
  std::puts(json.end().end().text().c_str());
}

void print_text(const LogRepairReport& report, const std::filesystem::path& to) {
  for (const auto& line : report.damage) fmt::print("damaged         {}\n", line);
  fmt::print("saved           {} facts and {} samples up to position {}\n", report.facts, report.telemetry,
             report.saved_through.value);
  if (report.expired > 0) fmt::print("expired before  {} samples\n", report.expired);
  fmt::print("lost            {} positions\n", report.lost_positions());
  for (const LostPositions& range : report.lost) fmt::print("  positions {} to {}\n", range.from, range.through);
  for (const auto& [producer, hole] : report.numbers) {
    fmt::print("  '{}' {}/{} to {}/{}\n", producer, hole.epoch, hole.from, hole.epoch, hole.to);
  }
  for (const ProducerMark& mark : report.marks) {
    fmt::print("'{}' sends again what it has beyond {}/{}\n", mark.producer, mark.order.epoch, mark.order.sequence);
  }
  fmt::print("chain           {}\n", report.chain_kept ? "kept: anchors of the old log hold in the new one"
                                                       : "begun anew behind the first commit that is lost whole");
  fmt::print("new log         {} in '{}', last position {}\n", report.incarnation, to.string(), report.last.value);
}

}  // namespace

int run_log_verify(const VerifyCommandOptions& options) {
  const SystemClock clock;
  const auto anchors = anchors_from(options.anchor);
  if (!anchors) return fail(anchors.error());
  ProgressLine progress(clock);
  VerifyOptions wanted;
  wanted.anchors = *anchors;
  wanted.on_progress = [&progress](const VerifyProgress& at) { progress.show(at); };
  const auto begin = clock.monotonic();
  const auto verdict = verify_rocksdb_log(log_directory(options.data_dir), wanted);
  if (!verdict) return fail(verdict.error());
  const double seconds = std::chrono::duration<double>(clock.monotonic() - begin).count();
  const Outcome outcome{*verdict, anchors->size(), seconds};
  options.json ? print_json(outcome, options.producers) : print_text(outcome, options.producers);
  return verdict->whole() ? 0 : 1;
}

int run_log_anchor(const VerifyCommandOptions& options) {
  const SystemClock clock;
  const auto log = OpenedLog::open(options.data_dir);
  if (!log) return fail(log.error());
  const auto info = (*log)->info();
  if (!info) return fail(info.error());
  const auto anchor = anchor_of(*info, clock.wall());
  if (!anchor) return fail(make_error(Errc::kNotFound, "the log is empty: there is nothing to anchor"));
  if (options.json) {
    std::puts(encode(*anchor).c_str());
  } else {
    fmt::print("{}  {}\n", short_text(*anchor), to_rfc3339(anchor->at));
  }
  return 0;
}

int run_log_repair(const VerifyCommandOptions& options) {
  const SystemClock clock;
  const auto from = log_directory(options.data_dir);
  if (!std::filesystem::exists(from)) {
    return fail(make_error(Errc::kNotFound, fmt::format("'{}' holds no log", options.data_dir.string())));
  }
  if (lies_within(options.to, from)) {
    return fail(make_error(Errc::kInvalidArgument,
                           fmt::format("--to '{}' lies in the folder of the damaged log: expected a new data folder "
                                       "elsewhere",
                                       options.to.string())));
  }
  const auto report = repair_rocksdb_log(from, log_directory(options.to), clock);
  if (!report) return fail(report.error());
  options.json ? print_json(*report, options.to) : print_text(*report, options.to);
  return 0;
}

}  // namespace millrace
