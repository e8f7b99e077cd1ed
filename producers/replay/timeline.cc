// SPDX-License-Identifier: Apache-2.0
#include "producers/replay/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "bus/json_writer.h"
#include "producers/replay/slices.h"

namespace millrace {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr size_t kMaxPending = 4096;

// Read-only methods whose answer to other parameters is better than none.
constexpr std::string_view kAnyParams[] = {
    "server.info",        "server.config",      "server.temperature_store", "server.gcode_store",
    "server.files.list",  "server.files.roots", "server.job_queue.status",  "machine.system_info",
    "machine.proc_stats", "printer.info",       "printer.objects.list"};

std::string_view slice_of(std::string_view object, std::string_view name) {
  for (const JsonSlice& slice : object_slices(object)) {
    if (slice.key == name) return slice.value;
  }
  return {};
}

std::string_view method_of_klippy(std::string_view method) {
  if (method == "notify_klippy_ready") return "ready";
  if (method == "notify_klippy_shutdown") return "shutdown";
  if (method == "notify_klippy_disconnected") return "disconnected";
  return {};
}

double last_until(const std::vector<double>& times, double t) {
  const auto after = std::upper_bound(times.begin(), times.end(), t);
  return after == times.begin() ? -kNever : *std::prev(after);
}

double first_after(const std::vector<double>& times, double t) {
  const auto after = std::upper_bound(times.begin(), times.end(), t);
  return after == times.end() ? kNever : *after;
}

}  // namespace

ReplayTimeline::ReplayTimeline(const Recording& recording) : wall_(recording.wall), end_(recording.end) {
  size_t last_connected = 0;
  std::optional<double> first_frame;
  for (size_t i = 0; i < recording.frames.size(); ++i) {
    if (recording.frames[i].kind == RecordedFrame::Kind::kConnected) last_connected = i;
  }
  for (size_t i = 0; i < recording.frames.size(); ++i) {
    const RecordedFrame& frame = recording.frames[i];
    switch (frame.kind) {
      case RecordedFrame::Kind::kSent:
        take_sent(frame);
        break;
      case RecordedFrame::Kind::kReceived:
        if (!first_frame) first_frame = frame.t;
        take_received(frame);
        break;
      case RecordedFrame::Kind::kConnected:
        pending_.clear();
        changes_.push_back(frame.t);
        subscriptions_lost_.push_back(frame.t);
        steps_.push_back({frame.t, ReplayStep::Kind::kConnected, "", "", "", 0});
        break;
      case RecordedFrame::Kind::kClosed:
        if (i < last_connected) steps_.push_back({frame.t, ReplayStep::Kind::kClosed, frame.text, "", "", frame.code});
        break;
      case RecordedFrame::Kind::kConnectFailed:
        break;
    }
  }
  if (!has_subscription_) begin_ = first_frame.value_or(0);
  std::erase_if(steps_, [&](const ReplayStep& step) { return step.t <= begin_; });
}

void ReplayTimeline::take_sent(const RecordedFrame& frame) {
  const auto root = reader_.parse(frame.text);
  if (!root) return;
  if (!root->is_array()) return take_request(*root);
  for (const Json request : simdjson::dom::array(*root)) take_request(request);
}

void ReplayTimeline::take_request(const Json& request) {
  const auto id = member(request, "id");
  const auto method = text_member(request, "method");
  if (!id || !method || pending_.size() >= kMaxPending) return;
  const auto params = member(request, "params");
  pending_[to_text(*id)] = {std::string(*method), params ? canonical_json(*params) : "{}"};
}

void ReplayTimeline::take_received(const RecordedFrame& frame) {
  const auto root = reader_.parse(frame.text);
  if (!root) return;
  if (root->is_array()) {
    const auto texts = array_slices(frame.text);
    size_t i = 0;
    for (const Json answer : simdjson::dom::array(*root)) {
      if (i < texts.size()) take_answer(frame.t, answer, texts[i++]);
    }
  } else if (const auto method = text_member(*root, "method")) {
    take_notification(frame.t, std::string(*method), frame);
  } else {
    take_answer(frame.t, *root, frame.text);
  }
}

void ReplayTimeline::take_answer(double t, const Json& answer, std::string_view text) {
  const auto id = member(answer, "id");
  const auto asked = id ? pending_.find(to_text(*id)) : pending_.end();
  if (asked == pending_.end()) return;
  const Pending request = asked->second;
  pending_.erase(asked);
  const std::string_view result = slice_of(text, "result");
  if (const auto error = member(answer, "error"); error && result.empty()) {
    const auto code = static_cast<int>(std::clamp<int64_t>(integer_member(*error, "code").value_or(500), -99'999, 999));
    std::string message(text_member(*error, "message").value_or(""));
    if (code == 503 && request.method.starts_with("printer.")) note_klippy(t, "disconnected");
    answers_[request.method].push_back({t, request.params, MoonrakerError{code, std::move(message)}});
    return;
  }
  if (request.method == "printer.objects.subscribe") {
    if (!has_subscription_) begin_ = t;
    has_subscription_ = true;
    take_status(t, true, slice_of(result, "status"), slice_of(result, "eventtime"));
  }
  const auto parsed = member(answer, "result");
  if (request.method == "server.info" && parsed) {
    note_klippy(t, text_member(*parsed, "klippy_state").value_or(""));
  } else if (request.method == "printer.info" && parsed) {
    note_klippy(t, text_member(*parsed, "state").value_or(""));
  }
  if (request.method.starts_with("server.history.")) take_history_answer(t, request.method, result);
  answers_[request.method].push_back({t, request.params, std::string(result)});
}

void ReplayTimeline::take_notification(double t, std::string_view method, const RecordedFrame& frame) {
  const auto params = array_slices(slice_of(frame.text, "params"));
  ReplayStep step{t, ReplayStep::Kind::kNotification, frame.text, "", "", 0};
  if (method == "notify_status_update") {
    if (params.empty()) return;
    step.kind = ReplayStep::Kind::kStatus;
    step.objects = params[0];
    step.eventtime = params.size() > 1 ? params[1] : "";
    take_status(t, false, step.objects, step.eventtime);
  } else if (method == "notify_history_changed" && !params.empty()) {
    take_row(t, false, slice_of(params[0], "job"));
  } else if (method == "notify_job_queue_changed" && !params.empty()) {
    take_queue(t, slice_of(params[0], "updated_queue"), slice_of(params[0], "queue_state"));
  } else if (const auto state = method_of_klippy(method); !state.empty()) {
    note_klippy(t, state);
    changes_.push_back(t);
    if (state != "shutdown") subscriptions_lost_.push_back(t);
    if (state == "disconnected") step.kind = ReplayStep::Kind::kKlippyDisconnected;
  }
  steps_.push_back(std::move(step));
}

void ReplayTimeline::take_status(double t, bool is_snapshot, std::string_view objects, std::string_view eventtime) {
  const std::string_view state = slice_of(slice_of(objects, "webhooks"), "state");
  if (state.size() > 2) note_klippy(t, state.substr(1, state.size() - 2));
  folds_.push_back({t, is_snapshot, std::string(objects), std::string(eventtime)});
}

void ReplayTimeline::take_history_answer(double t, std::string_view method, std::string_view result) {
  if (method == "server.history.list") {
    for (const std::string_view row : array_slices(slice_of(result, "jobs"))) take_row(t, true, row);
  } else if (method == "server.history.get_job") {
    take_row(t, true, slice_of(result, "job"));
  }
}

void ReplayTimeline::take_row(double t, bool from_list, std::string_view text) {
  JsonReader reader;
  const auto parsed = reader.parse(text);
  if (!parsed) return;
  const auto number = parse_moonraker_job_id(text_member(*parsed, "job_id").value_or(""));
  const auto start = number_member(*parsed, "start_time");
  if (!number || !start) return;
  ShownHistoryRow row;
  row.number = *number;
  row.start_time = *start;
  row.end_time = number_member(*parsed, "end_time");
  row.print_duration = number_member(*parsed, "print_duration").value_or(0);
  row.total_duration = number_member(*parsed, "total_duration").value_or(0);
  row.filament_used = number_member(*parsed, "filament_used").value_or(0);
  const std::string status(text_member(*parsed, "status").value_or(""));
  row.ended = status != "in_progress";
  row.json = text;
  rows_.push_back({t, from_list, status, std::move(row)});
}

std::vector<ShownHistoryRow> ReplayTimeline::history(double t) const {
  // A list that was asked for later still tells of rows that had ended before: only its own past counts.
  const auto existed = [&](const RowVersion& version) {
    if (!version.from_list) return false;
    if (version.row.end_time) return *version.row.end_time <= wall(t);
    return version.status == "in_progress" && version.row.start_time <= wall(t);
  };
  std::map<std::pair<uint64_t, double>, const RowVersion*> chosen;
  for (const RowVersion& version : rows_) {
    const auto key = std::pair(version.row.number, version.row.start_time);
    const auto found = chosen.find(key);
    if (version.t <= t) {
      chosen[key] = &version;
    } else if (found == chosen.end() && existed(version)) {
      chosen.emplace(key, &version);
    }
  }
  std::vector<ShownHistoryRow> rows;
  for (const auto& [_, version] : chosen) rows.push_back(version->row);
  return rows;
}

// The list is left out when only the state is another one.
void ReplayTimeline::take_queue(double t, std::string_view list, std::string_view state) {
  const bool same = list.empty() || list == "null";
  const std::string before = queue_.empty() ? "[]" : queue_.back().list;
  queue_.push_back({t, same ? before : std::string(list), std::string(state)});
}

// What was told up to then: an answer that was recorded later would show the future.
std::string ReplayTimeline::queue_status(double t) const {
  QueueSight last{0, "[]", R"("paused")"};
  for (const QueueSight& sight : queue_) {
    if (sight.t <= t) last = sight;
  }
  return fmt::format(R"({{"queued_jobs":{},"queue_state":{}}})", last.list, last.state);
}

std::string ReplayTimeline::klippy_state(double t) const {
  std::string state;
  for (const auto& [seen, name] : klippy_) {
    if (seen > t) break;
    if (!name.empty()) state = name;
  }
  return state;
}

const ReplayTimeline::Answer* ReplayTimeline::find_answer(std::string_view method, std::string_view params,
                                                          double t) const {
  const auto found = answers_.find(method);
  if (found == answers_.end()) return nullptr;
  const bool same_wanted = std::find(std::begin(kAnyParams), std::end(kAnyParams), method) == std::end(kAnyParams);
  const bool has_same = std::any_of(found->second.begin(), found->second.end(),
                                    [&](const Answer& answer) { return answer.params == params; });
  if (same_wanted && !has_same) return nullptr;
  const double from = last_until(changes_, t);
  const double until = first_after(changes_, t);
  const Answer* current = nullptr;
  const Answer* next = nullptr;
  const Answer* older = nullptr;
  const Answer* later = nullptr;
  for (const Answer& answer : found->second) {
    if (has_same && answer.params != params) continue;
    if (answer.t < from) older = &answer;
    if (answer.t >= from && answer.t <= t) current = &answer;
    if (answer.t > t && answer.t < until && next == nullptr) next = &answer;
    if (later == nullptr) later = &answer;
  }
  if (current != nullptr) return current;
  if (next != nullptr) return next;
  return older != nullptr ? older : later;
}

MoonrakerAnswer ReplayTimeline::answer(std::string_view method, std::string_view canonical_params, double t) const {
  if (klippy_state(t) == "disconnected" && method.starts_with("printer.") && answers_.contains(method)) {
    return MoonrakerError{503, "Klippy Host not connected"};
  }
  if (method == "server.job_queue.status" && !queue_.empty()) return queue_status(t);
  const Answer* found = find_answer(method, canonical_params, t);
  if (found == nullptr) {
    if (!answers_.contains(method)) return MoonrakerError{404, "Method not found"};
    return MoonrakerError{400, fmt::format("The recording holds no {} with these parameters", method)};
  }
  // What is to be answered later counts as it is, unless Klipper has said more since the last change.
  const double from = last_until(changes_, t);
  const bool known = std::any_of(klippy_.begin(), klippy_.end(),
                                 [&](const auto& seen) { return seen.first >= from && seen.first <= t; });
  return found->t <= t || known ? corrected(method, found->answer, t) : found->answer;
}

MoonrakerAnswer ReplayTimeline::corrected(std::string_view method, const MoonrakerAnswer& answer, double t) const {
  const std::string state = klippy_state(t);
  if (!answer || state.empty() || (method != "server.info" && method != "printer.info")) return answer;
  const bool is_server = method == "server.info";
  const std::string_view told = slice_of(*answer, is_server ? "klippy_state" : "state");
  if (told.size() >= 2 && told.substr(1, told.size() - 2) == state) return answer;
  const ReplayFold fold = fold_at(t);
  const std::string_view message = fold.field("webhooks", "state_message");
  JsonWriter json;
  json.object();
  for (const JsonSlice& slice : object_slices(*answer)) {
    json.key(slice.key);
    if (slice.key == (is_server ? "klippy_state" : "state")) {
      json.value(state);
    } else if (is_server && slice.key == "klippy_connected") {
      json.value(state != "disconnected");
    } else if (!is_server && slice.key == "state_message" && !message.empty()) {
      json.raw(message);
    } else {
      json.raw(slice.value);
    }
  }
  json.end();
  return json.take();
}

ReplayFold ReplayTimeline::fold_at(double t) const {
  if (t < cursor_t_) {
    cursor_ = ReplayFold{};
    cursor_next_ = 0;
  }
  cursor_t_ = t;
  for (; cursor_next_ < folds_.size() && folds_[cursor_next_].t <= t; ++cursor_next_) {
    cursor_.apply(folds_[cursor_next_].objects, folds_[cursor_next_].eventtime);
  }
  return cursor_;
}

boost::system::result<ReplayFold, MoonrakerError> ReplayTimeline::objects(double t) const {
  if (klippy_state(t) == "disconnected") return MoonrakerError{503, "Klippy Host not connected"};
  const double lost = last_until(subscriptions_lost_, t);
  const double until = first_after(subscriptions_lost_, t);
  if (const auto asked = answers_.find("printer.objects.subscribe"); asked != answers_.end()) {
    const Answer* latest = nullptr;
    for (const Answer& answer : asked->second) {
      if (answer.t >= lost && answer.t <= t) latest = &answer;
    }
    if (latest != nullptr && !latest->answer) return latest->answer.error();
  }
  ReplayFold fold = fold_at(t);
  const FoldInput* next = nullptr;
  for (const FoldInput& input : folds_) {
    if (!input.is_snapshot || input.t < lost) continue;
    if (input.t <= t) return fold;
    if (input.t < until) next = &input;
    break;
  }
  // The client is quicker than the recorded one was: what that one was about to be told already holds.
  if (next != nullptr) fold.apply(next->objects, next->eventtime);
  return fold;
}

}  // namespace millrace
