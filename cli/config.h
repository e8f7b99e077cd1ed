// SPDX-License-Identifier: Apache-2.0
// The configuration: millrace.toml, overridden by the environment (MILLRACE_<SECTION>_<KEY>,
// MILLRACE_MACHINE_<ID>_<KEY>), overridden by the command line.  Every key is known here; an unknown one is an error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bus/result.h"
#include "safety/scopes.h"

namespace millrace {

struct MachineConfig {
  std::string id;
  std::string name;  // empty in the file: the id
  std::string kind = "printer";
  bool enabled = true;  // false: it is known, and nobody connects to it
  std::string moonraker_url;
  std::string moonraker_api_key;   // secret
  std::string moonraker_username;  // of a login, where there is no key
  std::string moonraker_password;  // secret
  std::string moonraker_ca_file;   // PEM, of a private authority

  bool operator==(const MachineConfig&) const = default;
};

// A plain MQTT sensor whose numbers belong to a machine.
struct SensorConfig {
  std::string topic;
  std::string json_path;  // empty: the payload is the number
  std::string machine;
  std::string signal;  // "shelf.humidity"; without a field it is "value"
  std::string unit;    // empty: by the field's name
  int64_t fresh_seconds = 600;

  std::string object() const;  // "sensor shelf"
  std::string field() const;   // "humidity"

  bool operator==(const SensorConfig&) const = default;
};

struct Config {
  std::string source;  // the file's name, for messages; empty: defaults only
  std::string site_name = "My shop";
  std::string site_timezone = "UTC";
  bool site_demo = false;
  std::filesystem::path data_dir = "./data";
  int64_t telemetry_days = 30;
  int64_t cleanup_interval_seconds = 3600;  // between two looks for telemetry that is too old
  bool sd_card = false;                     // fewer fsyncs: samples wait for each other up to a second
  std::string http_listen = "127.0.0.1:8080";
  std::string http_tls_certificate;  // PEM files, both or none
  std::string http_tls_key;          // the file, not the key itself
  int64_t http_hsts_seconds = 31'536'000;
  int64_t limit_requests_per_minute = 1'000;  // of each key
  int64_t limit_motion_per_second = 100;
  int64_t limit_sensor_per_second = 200;
  int64_t limit_batch_per_second = 10;
  int64_t limit_sockets = 100;
  int64_t limit_local_requests_per_minute = 600'000;  // of this computer while there are no keys
  std::string http_plain_jobs = "klipperiwc";         // whose answer /api/jobs gives without parameters
  std::string mqtt_url = "mqtt://127.0.0.1:1883";
  std::string mqtt_username;
  std::string mqtt_password;  // secret
  std::string mqtt_ca_file;   // PEM, of a private authority, for mqtts
  std::string mqtt_root = "millrace";
  // Of whoever publishes commands without an API key: names with commas, "none", or "auto": read and operate where the
  // broker is on this computer, none elsewhere.
  std::string mqtt_command_scopes = "auto";
  int64_t outbox_max_bytes = 256 << 20;
  bool outbox_sync = false;
  std::string adapters_hub_url;                 // to which pictures are brought; empty: the hub has this data folder
  std::string adapters_hub_key_file;            // of the API key that is shown there
  bool adapters_registry = true;                // this adapters role serves the machines made by API
  int64_t adapters_max_frame_bytes = 16 << 20;  // of what a Moonraker sends at once
  std::string mirror_url;                       // of the SQL mirror's database; empty: none
  std::string mirror_password;                  // secret
  std::string mirror_password_file;
  int64_t mirror_interval_seconds = 5;  // between two looks at the log
  std::string gateway_listen;
  std::string gateway_machine;
  std::string log_level = "info";
  std::string log_format = "text";
  std::string log_file;
  std::vector<MachineConfig> machines;
  std::vector<SensorConfig> sensors;
};

using Environment = std::map<std::string, std::string>;
Environment system_environment();

// An error is one line that names the file (or variable), the key and what is expected.
Result<Config> load_config(const std::filesystem::path& file, const Environment& environment);
Result<Config> parse_config(std::string_view toml, std::string_view source, const Environment& environment);

// In which machines two readings of a configuration differ; their order does not count.
struct MachineChanges {
  std::vector<std::string> added;    // ids, in the order of the later reading
  std::vector<std::string> changed;  // likewise
  std::vector<std::string> removed;  // in the order of the earlier one

  bool empty() const { return added.empty() && changed.empty() && removed.empty(); }
};
MachineChanges changes_between(const std::vector<MachineConfig>& before, const std::vector<MachineConfig>& after);

// The keys of everything else that differs, such as "http.listen"; of whatever sensors "[[sensor]]".
std::vector<std::string> settings_that_differ(const Config& before, const Config& after);

// What mqtt.command_scopes gives.
ScopeSet mqtt_command_scopes(const Config& config);

// "host:port" or "[::1]:port"; port 0..65535.
struct HostPort {
  std::string host;
  uint16_t port;
};
Result<HostPort> parse_host_port(std::string_view text);

}  // namespace millrace
