// SPDX-License-Identifier: Apache-2.0
// What a running hub does for the commands of its own user, over <data>/control.sock: one JSON object each way.
//
//   {"command":"ping"}                                      -> {"pid":4711,"incarnation":"..","position":42}
//   {"command":"backup","directory":"/mnt/b","keep":7}      -> what `log backup --json` prints
//   {"command":"import_rows","machine":"voron-2","skew_ms":12,"rows":[..]}  -> see history_import.h
//   {"command":"import_older","source":"3d-print-logger","machine":"voron-2","jobs":[..]}  -> see older_import.h
//   {"command":"emergency_stopped","record":{..}}  -> {"taken":true}, see bus/emergency_record.h
//   {"command":"keys","verb":"list"}                        -> see key_requests.h
//   anything that fails                                     -> {"error":{"code":"full","message":".."}}
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "bus/blob_store.h"
#include "bus/clock.h"
#include "bus/emergency_record.h"
#include "bus/event_log.h"
#include "bus/json_reader.h"
#include "bus/metrics.h"
#include "cli/history_import.h"
#include "cli/older_import.h"
#include "net/local_socket.h"
#include "web/edge/access/key_desk.h"

namespace millrace {

class ControlService {
 public:
  struct Imports {
    HistoryImport& history;
    OlderImport& older;
    std::function<void(EmergencyRecord)> record_stop;  // of stops that the command line has done
    KeyDesk& keys;
  };
  // The rest of the hub works without it: when the socket cannot be made, that is logged and nothing is served.
  // References outlive this.
  static std::unique_ptr<ControlService> start(const std::filesystem::path& data_dir, const EventLog& log,
                                               const BlobStore& blobs, Imports imports, const Clock& clock,
                                               Metrics& metrics);
  // A backup under way is given up and leaves nothing behind.
  ~ControlService();

  // On threads of the socket's own.
  std::string answer(std::string_view request);

 private:
  ControlService(std::filesystem::path data_dir, const EventLog& log, const BlobStore& blobs, Imports imports,
                 const Clock& clock, Metrics& metrics);
  Result<std::string> do_command(std::string_view request);
  Result<std::string> back_up(const std::filesystem::path& directory, int64_t keep);
  Result<std::string> import_rows(const Json& request);
  Result<std::string> import_older(const Json& request);
  Result<std::string> take_emergency_stop(const Json& request);

  const std::filesystem::path data_dir_;
  const EventLog& log_;
  const BlobStore& blobs_;
  const Imports imports_;
  std::mutex importing_;  // one piece of whichever import after the other: each decides on what the one before has told
  const Clock& clock_;
  Metrics& metrics_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> backing_up_{false};  // one at a time: they share the staging folder
  std::unique_ptr<LocalServer> server_;
};

// The client's side.  kUnavailable when no hub runs on this data folder; else the answer, or the hub's own error.
Result<std::string> ask_hub(const std::filesystem::path& data_dir, std::string_view request);

// Beside the log, so that both can share files.
std::filesystem::path backup_staging(const std::filesystem::path& data_dir);

}  // namespace millrace
