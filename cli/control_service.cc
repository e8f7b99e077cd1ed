// SPDX-License-Identifier: Apache-2.0
#include "cli/control_service.h"

#include <fmt/format.h>
#include <unistd.h>

#include "bus/file_copy.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "bus/log_backup.h"
#include "bus/logging.h"
#include "cli/hub.h"
#include "cli/key_requests.h"

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kForEver{-1};
constexpr size_t kMaxRequestBytes = 4u << 20;  // pieces of a history, of 512 KiB before their text is escaped

std::string error_json(const Error& error) {
  JsonWriter json;
  json.object().key("error").object();
  json.field("code", name_of(error.code)).field("message", error.context).end().end();
  return json.take();
}

// Sets a flag for as long as it lives, unless somebody else has.
class OneAtATime {
 public:
  explicit OneAtATime(std::atomic<bool>& flag) : flag_(flag), mine_(!flag.exchange(true)) {}
  OneAtATime(const OneAtATime&) = delete;
  OneAtATime& operator=(const OneAtATime&) = delete;
  ~OneAtATime() {
    if (mine_) flag_ = false;
  }
  bool mine() const { return mine_; }

 private:
  std::atomic<bool>& flag_;
  const bool mine_;
};

}  // namespace

std::filesystem::path backup_staging(const std::filesystem::path& data_dir) { return data_dir / "backup.copy"; }

std::unique_ptr<ControlService> ControlService::start(const std::filesystem::path& data_dir, const EventLog& log,
                                                      const BlobStore& blobs, Imports imports, const Clock& clock,
                                                      Metrics& metrics) {
  std::unique_ptr<ControlService> service(new ControlService(data_dir, log, blobs, std::move(imports), clock, metrics));
  // What a killed backup left holds on to files that the log has long given up.
  if (auto removed = remove_tree(backup_staging(data_dir)); !removed) {
    log_warn("control", "{}", removed.error().message());
  }
  LocalServerOptions options;
  options.max_request_bytes = kMaxRequestBytes;
  auto server = LocalServer::listen(
      control_socket(data_dir), [raw = service.get()](std::string_view request) { return raw->answer(request); },
      options);
  if (server) {
    service->server_ = std::move(*server);
  } else {
    log_warn("control", "commands such as 'log backup' cannot reach this hub: {}", server.error().message());
  }
  return service;
}

ControlService::ControlService(std::filesystem::path data_dir, const EventLog& log, const BlobStore& blobs,
                               Imports imports, const Clock& clock, Metrics& metrics)
    : data_dir_(std::move(data_dir)),
      log_(log),
      blobs_(blobs),
      imports_(std::move(imports)),
      clock_(clock),
      metrics_(metrics) {}

ControlService::~ControlService() {
  stopping_ = true;
  server_.reset();
}

std::string ControlService::answer(std::string_view request) {
  const auto answer = do_command(request);
  return answer ? *answer : error_json(answer.error());
}

Result<std::string> ControlService::do_command(std::string_view request) {
  JsonReader reader;
  const auto json = reader.parse(request);
  if (!json) return json.error();
  const auto command = text_member(*json, "command").value_or("");
  if (command == "ping") {
    JsonWriter pong;
    pong.object().field("pid", static_cast<int64_t>(::getpid())).field("incarnation", log_.incarnation());
    return pong.field("position", log_.last().value).end().take();
  }
  if (command == "backup") {
    const std::filesystem::path directory = text_member(*json, "directory").value_or("");
    const auto keep = integer_member(*json, "keep");
    if (!directory.is_absolute() || !keep || *keep < 1) {
      return make_error(
          Errc::kInvalidArgument,
          fmt::format("backup of '{}': expected an absolute directory and keep of at least 1", directory.string()));
    }
    return back_up(directory, *keep);
  }
  if (command == "import_rows") return import_rows(*json);
  if (command == "import_older") return import_older(*json);
  if (command == "emergency_stopped") return take_emergency_stop(*json);
  if (command == "keys") return answer_key_request(*json, imports_.keys, clock_);
  return make_error(Errc::kInvalidArgument,
                    fmt::format("command '{}': expected ping, backup, import_rows, import_older, emergency_stopped or "
                                "keys; this hub may be older",
                                command));
}

Result<std::string> ControlService::import_rows(const Json& request) {
  const auto rows = imported_rows_in(request);
  if (!rows) return rows.error();
  std::lock_guard lock(importing_);
  const auto tally = imports_.history.take(*rows);
  if (!tally) return tally.error();
  return to_json(*tally);
}

Result<std::string> ControlService::import_older(const Json& request) {
  const auto piece = older_piece_in(request);
  if (!piece) return piece.error();
  std::lock_guard lock(importing_);
  const auto tally = imports_.older.take(*piece);
  if (!tally) return tally.error();
  return to_json(*tally);
}

Result<std::string> ControlService::take_emergency_stop(const Json& request) {
  const auto said = member(request, "record");
  auto record = said ? decode_emergency_record(to_text(*said))
                     : Result<EmergencyRecord>(make_error(Errc::kMalformed, "emergency_stopped: expected a record"));
  if (!record) return record.error();
  imports_.record_stop(std::move(*record));
  return R"({"taken":true})";
}

Result<std::string> ControlService::back_up(const std::filesystem::path& directory, int64_t keep) {
  const OneAtATime turn(backing_up_);
  if (!turn.mine()) return make_error(Errc::kConflict, "another backup of this log is under way");
  BackupOptions options;
  options.directory = directory;
  options.keep = static_cast<size_t>(keep);
  options.blobs = &blobs_;
  options.cancelled = [this] { return stopping_.load(); };
  const auto begun = clock_.monotonic();
  const auto report = back_up_log(log_, backup_staging(data_dir_), options, clock_);
  metrics_
      .counter("millrace_log_backups_total", "Backups of the log by outcome", {{"outcome", report ? "done" : "failed"}})
      .add();
  if (!report) {
    log_error("backup", "no backup in '{}': {}", directory.string(), report.error().message());
    return report.error();
  }
  metrics_.gauge("millrace_log_backup_position", "Last position in the newest backup since the start")
      .set(static_cast<double>(report->manifest.position.value));
  metrics_.gauge("millrace_log_backup_time_seconds", "Unix time of the newest backup since the start")
      .set(static_cast<double>(to_unix_us(report->manifest.made_at)) / 1e6);
  log_info("backup", "'{}' holds positions 1 to {}: {} new and {} shared bytes, in {} ms", report->generation.string(),
           report->manifest.position.value, report->new_bytes, report->shared_bytes,
           std::chrono::duration_cast<std::chrono::milliseconds>(clock_.monotonic() - begun).count());
  return to_json(*report);
}

Result<std::string> ask_hub(const std::filesystem::path& data_dir, std::string_view request) {
  auto answer = ask_locally(control_socket(data_dir), request, kForEver);
  if (!answer && answer.error().code == Errc::kIo) {
    return make_error(Errc::kIo,
                      fmt::format("the hub of '{}' ended before it had answered, so what was asked of it may "
                                  "be done or not: {}",
                                  data_dir.string(), answer.error().context));
  }
  if (!answer) return answer;
  JsonReader reader;
  const auto json = reader.parse(*answer);
  if (!json) return make_error(Errc::kIo, "the hub's answer cannot be read: " + json.error().context);
  if (const auto error = member(*json, "error")) {
    return make_error(errc_from(text_member(*error, "code").value_or("")),
                      std::string(text_member(*error, "message").value_or("the hub gives no reason")));
  }
  return answer;
}

}  // namespace millrace
