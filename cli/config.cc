// SPDX-License-Identifier: Apache-2.0
// The only file that includes toml++.
#include "cli/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>
#include <sstream>
#include <variant>

#include "bus/file_io.h"
#include "bus/ids.h"
#include "bus/logging.h"
#include "bus/sensor_names.h"
#include "sql/database_url.h"

namespace millrace {
namespace {

using Value = std::variant<std::string, int64_t, bool>;

// The place that a key's value has in a configuration.
struct Place {
  std::function<std::string(const Value&)> set;  // returns "" or what is expected
  std::function<Value()> value;
};

// One key that may be set by file or environment.
struct Key {
  std::string section;
  std::string name;
  size_t kind;  // index into Value
  Place place;
  std::string older = {};  // the variable that an older system used for it
};

constexpr size_t kText = 0;
constexpr size_t kInteger = 1;
constexpr size_t kFlag = 2;

template <typename T>
Place place_of(T& target, std::function<std::string(const Value&)> set) {
  return {std::move(set), [&target] { return Value(target); }};
}

Place into(std::string& target) {
  return place_of(target, [&target](const Value& value) { return target = std::get<kText>(value), std::string(); });
}

Place into(bool& target) {
  return place_of(target, [&target](const Value& value) { return target = std::get<kFlag>(value), std::string(); });
}

Place into(int64_t& target, int64_t low, int64_t high) {
  return place_of(target, [&target, low, high](const Value& value) -> std::string {
    const int64_t number = std::get<kInteger>(value);
    if (number < low || number > high) return fmt::format("a number from {} to {}", low, high);
    target = number;
    return {};
  });
}

Place one_of(std::string& target, std::vector<std::string> choices) {
  return place_of(target, [&target, choices = std::move(choices)](const Value& value) -> std::string {
    const auto& text = std::get<kText>(value);
    if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
      return fmt::format("one of {}", fmt::join(choices, ", "));
    }
    target = text;
    return {};
  });
}

Place checked(std::string& target, std::function<bool(const std::string&)> good, std::string expected) {
  return place_of(target,
                  [&target, good = std::move(good), expected = std::move(expected)](const Value& value) -> std::string {
                    if (!good(std::get<kText>(value))) return expected;
                    target = std::get<kText>(value);
                    return {};
                  });
}

bool is_host_port(const std::string& text) { return parse_host_port(text).has_value(); }
bool is_optional_host_port(const std::string& text) { return text.empty() || is_host_port(text); }

bool is_url(const std::string& text, std::initializer_list<std::string_view> schemes) {
  for (const auto scheme : schemes) {
    if (!text.starts_with(scheme)) continue;
    const auto rest = std::string_view(text).substr(scheme.size());
    const auto authority = rest.substr(0, rest.find('/'));
    if (authority.find_first_of("@ ") != std::string_view::npos) return false;
    const bool has_port = authority.find(':') != std::string_view::npos && !authority.ends_with(']');
    if (!has_port) return !authority.empty();
    const auto parsed = parse_host_port(authority);
    return parsed && parsed->port > 0;
  }
  return false;
}

std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> names;
  std::istringstream stream(list);
  for (std::string name; std::getline(stream, name, ',');) {
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    names.push_back(std::move(name));
  }
  return names;
}

bool is_scope_list(const std::string& text) {
  return text == "auto" || text == "none" || (!text.empty() && parse_scopes(names_in(text)).has_value());
}

bool is_topic_root(const std::string& text) {
  return !text.empty() && text.find_first_of("+#") == std::string::npos && text.front() != '/' && text.back() != '/';
}

std::vector<Key> keys_of(Config& config) {
  const auto is_mqtt_url = [](const std::string& text) { return is_url(text, {"mqtt://", "mqtts://"}); };
  const auto is_database_url = [](const std::string& text) {
    return text.empty() || parse_database_url(text).has_value();
  };
  const auto is_hub_url = [](const std::string& text) { return text.empty() || is_url(text, {"http://", "https://"}); };
  const auto not_empty = [](const std::string& text) { return !text.empty(); };
  const Place data_dir{[&config](const Value& value) -> std::string {
                         if (std::get<kText>(value).empty()) return "a folder";
                         return config.data_dir = std::get<kText>(value), std::string();
                       },
                       [&config] { return Value(config.data_dir.string()); }};
  constexpr int64_t kMaxDays = 36'500;
  constexpr int64_t kMinCleanup = 10;
  constexpr int64_t kMaxCleanup = 7 * 86'400;
  constexpr int64_t kMinFrame = 64 << 10;
  constexpr int64_t kMaxFrame = 1 << 30;
  constexpr int64_t kMaxMirrorInterval = 3'600;
  constexpr int64_t kMaxHsts = 2 * 31'536'000;
  constexpr int64_t kMaxPerMinute = 600'000;
  constexpr int64_t kMaxPerSecond = 10'000;
  constexpr int64_t kMinOutbox = 1 << 20;
  constexpr int64_t kMaxOutbox = int64_t{1} << 40;
  return {
      {"site", "name", kText, into(config.site_name)},
      {"site", "timezone", kText, checked(config.site_timezone, not_empty, "a time zone such as \"Europe/Berlin\"")},
      {"site", "demo", kFlag, into(config.site_demo)},
      {"hub", "data_dir", kText, data_dir},
      {"hub", "telemetry_days", kInteger, into(config.telemetry_days, 1, kMaxDays), "STATUS_HISTORY_RETENTION_DAYS"},
      {"hub", "cleanup_interval_seconds", kInteger, into(config.cleanup_interval_seconds, kMinCleanup, kMaxCleanup),
       "STATUS_HISTORY_CLEANUP_INTERVAL_SECONDS"},
      {"hub", "sd_card", kFlag, into(config.sd_card)},
      {"http", "listen", kText, checked(config.http_listen, is_host_port, "\"HOST:PORT\"")},
      {"http", "plain_jobs", kText, one_of(config.http_plain_jobs, {"klipperiwc", "3d-print-logger"})},
      {"http", "tls_certificate", kText, into(config.http_tls_certificate)},
      {"http", "tls_key", kText, into(config.http_tls_key)},
      {"http", "hsts_seconds", kInteger, into(config.http_hsts_seconds, 0, kMaxHsts)},
      {"limits", "requests_per_minute", kInteger, into(config.limit_requests_per_minute, 1, kMaxPerMinute)},
      {"limits", "motion_per_second", kInteger, into(config.limit_motion_per_second, 1, kMaxPerSecond)},
      {"limits", "sensor_per_second", kInteger, into(config.limit_sensor_per_second, 1, kMaxPerSecond)},
      {"limits", "batch_per_second", kInteger, into(config.limit_batch_per_second, 1, kMaxPerSecond)},
      {"limits", "sockets", kInteger, into(config.limit_sockets, 1, kMaxPerSecond)},
      {"limits", "local_requests_per_minute", kInteger,
       into(config.limit_local_requests_per_minute, 1, 10 * kMaxPerMinute)},
      {"mqtt", "url", kText, checked(config.mqtt_url, is_mqtt_url, "\"mqtt://HOST:PORT\" or \"mqtts://HOST:PORT\"")},
      {"mqtt", "username", kText, into(config.mqtt_username)},
      {"mqtt", "password", kText, into(config.mqtt_password)},
      {"mqtt", "ca_file", kText, into(config.mqtt_ca_file)},
      {"mqtt", "command_scopes", kText,
       checked(config.mqtt_command_scopes, is_scope_list,
               "\"auto\", \"none\" or some of read, operate, gcode, moderate, administer, with commas")},
      {"mqtt", "root", kText, checked(config.mqtt_root, is_topic_root, "topic levels without '+' and '#'")},
      {"outbox", "max_bytes", kInteger, into(config.outbox_max_bytes, kMinOutbox, kMaxOutbox)},
      {"outbox", "sync", kFlag, into(config.outbox_sync)},
      {"adapters", "hub_url", kText, checked(config.adapters_hub_url, is_hub_url, "\"http://HOST:PORT\" or \"\"")},
      {"adapters", "hub_key_file", kText, into(config.adapters_hub_key_file)},
      {"adapters", "registry", kFlag, into(config.adapters_registry)},
      {"adapters", "max_frame_bytes", kInteger, into(config.adapters_max_frame_bytes, kMinFrame, kMaxFrame)},
      {"mirror", "url", kText,
       checked(config.mirror_url, is_database_url,
               "\"sqlite:PATH\", \"mysql://USER@HOST:PORT/DATABASE\" or \"postgresql://USER@HOST:PORT/DATABASE\", "
               "without a password")},
      {"mirror", "password", kText, into(config.mirror_password)},
      {"mirror", "password_file", kText, into(config.mirror_password_file)},
      {"mirror", "interval_seconds", kInteger, into(config.mirror_interval_seconds, 1, kMaxMirrorInterval)},
      {"gcode_gateway", "listen", kText,
       checked(config.gateway_listen, is_optional_host_port, "\"HOST:PORT\" or \"\"")},
      {"gcode_gateway", "machine", kText, into(config.gateway_machine)},
      {"log", "level", kText,
       checked(
           config.log_level, [](const std::string& text) { return parse_log_level(text).has_value(); },
           "one of trace, debug, info, warn, error, off"),
       "LOG_LEVEL"},
      {"log", "format", kText, one_of(config.log_format, {"text", "json"}), "LOG_FORMAT"},
      {"log", "file", kText, into(config.log_file)},
  };
}

std::vector<Key> keys_of(MachineConfig& machine) {
  const auto is_moonraker_url = [](const std::string& text) {
    return is_url(text, {"http://", "https://", "ws://", "wss://"});
  };
  return {
      {"machine", "id", kText, checked(machine.id, is_valid_machine_id, "1 to 64 of a-z, 0-9 and '-'")},
      {"machine", "name", kText, into(machine.name)},
      {"machine", "kind", kText, one_of(machine.kind, {"printer", "pick_and_place"})},
      {"machine", "enabled", kFlag, into(machine.enabled)},
      {"machine", "moonraker_url", kText,
       checked(machine.moonraker_url, is_moonraker_url, "\"http://HOST:PORT\" or \"https://HOST:PORT\"")},
      {"machine", "moonraker_api_key", kText, into(machine.moonraker_api_key)},
      {"machine", "moonraker_username", kText, into(machine.moonraker_username)},
      {"machine", "moonraker_password", kText, into(machine.moonraker_password)},
      {"machine", "moonraker_ca_file", kText, into(machine.moonraker_ca_file)},
  };
}

// A name and at most one dot: "shelf.humidity", "room 2.temperature", "door".
bool is_sensor_signal(const std::string& text) {
  constexpr size_t kMaxBytes = 64;
  const size_t dot = text.find('.');
  const bool named =
      dot == std::string::npos || (dot > 0 && dot + 1 < text.size() && text.find('.', dot + 1) == text.npos);
  return !text.empty() && text.size() <= kMaxBytes && named && text.front() != ' ' && text.back() != ' ' &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == ',' || c == 0x7f; });
}

bool is_plain_topic(const std::string& text) {
  constexpr size_t kMaxBytes = 1024;
  return !text.empty() && text.size() <= kMaxBytes && text.find_first_of(std::string_view("+#\0", 3)) == text.npos;
}

bool is_json_path(const std::string& text) {
  constexpr size_t kMaxBytes = 200;
  return text.size() <= kMaxBytes && text.find("..") == text.npos && !text.starts_with('.') && !text.ends_with('.');
}

std::vector<Key> keys_of(SensorConfig& sensor) {
  constexpr size_t kMaxUnitBytes = 16;
  constexpr int64_t kMinFresh = 60;
  constexpr int64_t kMaxFresh = 86'400;
  return {
      {"sensor", "topic", kText, checked(sensor.topic, is_plain_topic, "a topic without '+' and '#'")},
      {"sensor", "json_path", kText,
       checked(sensor.json_path, is_json_path,
               "names with dots between them, such as \"AM2301.Temperature\", or \"\"")},
      {"sensor", "machine", kText, checked(sensor.machine, is_valid_machine_id, "a machine's id")},
      {"sensor", "signal", kText,
       checked(sensor.signal, is_sensor_signal, "\"NAME.FIELD\" or \"NAME\", such as \"shelf.humidity\"")},
      {"sensor", "unit", kText,
       checked(
           sensor.unit, [](const std::string& text) { return text.size() <= kMaxUnitBytes; }, "at most 16 bytes")},
      {"sensor", "fresh_seconds", kInteger, into(sensor.fresh_seconds, kMinFresh, kMaxFresh)},
  };
}

std::string_view kind_name(size_t kind) {
  return kind == kText ? "a text in quotes" : kind == kInteger ? "a whole number" : "true or false";
}

Error config_error(std::string_view source, std::string_view key, std::string_view problem) {
  std::string line = fmt::format("{}: {}: {}", source, key, problem);
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20; }, ' ');  // a key may hold a new line
  return make_error(Errc::kInvalidArgument, std::move(line));
}

std::optional<Value> value_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return Value(text->get());
  if (const auto* number = node.as_integer()) return Value(number->get());
  if (const auto* flag = node.as_boolean()) return Value(flag->get());
  return std::nullopt;
}

std::optional<Value> value_of(const std::string& text, size_t kind) {
  if (kind == kText) return Value(text);
  if (kind == kFlag) {
    if (text == "true" || text == "1") return Value(true);
    if (text == "false" || text == "0") return Value(false);
    return std::nullopt;
  }
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return Value(number);
}

Result<void> set_key(const Key& key, std::string_view source, std::string_view label,
                     const std::optional<Value>& value) {
  if (!value || value->index() != key.kind) {
    return config_error(source, label, fmt::format("expected {}", kind_name(key.kind)));
  }
  if (const auto expected = key.place.set(*value); !expected.empty()) {
    return config_error(source, label, fmt::format("expected {}", expected));
  }
  return {};
}

// Sets the keys of one table; `label` is what people call it ("mqtt", "machine 2").
Result<void> read_table(const toml::table& table, std::string_view section, std::string_view label,
                        const std::vector<Key>& keys, std::string_view source) {
  for (const auto& [toml_key, node] : table) {
    const std::string_view name = toml_key.str();
    const std::string full = fmt::format("{}.{}", label, name);
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.section == section && k.name == name; });
    if (key == keys.end()) {
      std::vector<std::string> known;
      for (const Key& k : keys) {
        if (k.section == section) known.push_back(k.name);
      }
      return config_error(fmt::format("{}:{}", source, node.source().begin.line), full,
                          fmt::format("no such key; there are {}", fmt::join(known, ", ")));
    }
    const auto set = set_key(*key, fmt::format("{}:{}", source, node.source().begin.line), full, value_of(node));
    if (!set) return set;
  }
  return {};
}

Result<void> read_machines(const toml::node& node, Config& config, std::string_view source) {
  const auto* machines = node.as_array();
  if (machines == nullptr) return config_error(source, "machine", "expected [[machine]] tables");
  for (const auto& element : *machines) {
    const std::string label = fmt::format("machine {}", config.machines.size() + 1);
    const auto* table = element.as_table();
    if (table == nullptr) return config_error(source, label, "expected a [[machine]] table");
    MachineConfig machine;
    if (auto read = read_table(*table, "machine", label, keys_of(machine), source); !read) return read;
    if (machine.id.empty())
      return config_error(source, label + ".id", "is missing; expected 1 to 64 of a-z, 0-9 and '-'");
    config.machines.push_back(std::move(machine));
  }
  return {};
}

Result<void> read_sensors(const toml::node& node, Config& config, std::string_view source) {
  const auto* sensors = node.as_array();
  if (sensors == nullptr) return config_error(source, "sensor", "expected [[sensor]] tables");
  for (const auto& element : *sensors) {
    const std::string label = fmt::format("sensor {}", config.sensors.size() + 1);
    const auto* table = element.as_table();
    if (table == nullptr) return config_error(source, label, "expected a [[sensor]] table");
    SensorConfig sensor;
    if (auto read = read_table(*table, "sensor", label, keys_of(sensor), source); !read) return read;
    config.sensors.push_back(std::move(sensor));
  }
  return {};
}

std::string upper(std::string_view text) {
  std::string name(text);
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

Result<void> apply_environment(Config& config, const Environment& environment) {
  const auto apply = [&](const std::string& variable, const Key& key) -> Result<void> {
    const auto found = environment.find(variable);
    if (found == environment.end()) return {};
    return set_key(key, "environment", variable, value_of(found->second, key.kind));
  };
  for (const Key& key : keys_of(config)) {
    if (auto set = apply("MILLRACE_" + upper(key.section) + "_" + upper(key.name), key); !set) return set;
    if (key.older.empty()) continue;
    if (auto set = apply(key.older, key); !set) return set;
  }
  for (MachineConfig& machine : config.machines) {
    for (const Key& key : keys_of(machine)) {
      if (key.name == "id") continue;
      if (auto set = apply("MILLRACE_MACHINE_" + upper(machine.id) + "_" + upper(key.name), key); !set) return set;
    }
  }
  return {};
}

Result<void> check_machines(Config& config) {
  std::set<std::string> seen;
  for (MachineConfig& machine : config.machines) {
    const std::string label = fmt::format("machine '{}'", machine.id);
    if (is_reserved_name(machine.id)) return config_error(config.source, label, "this id is reserved; choose another");
    if (!seen.insert(machine.id).second) return config_error(config.source, label, "is there twice; ids must differ");
    if (machine.moonraker_url.empty()) {
      return config_error(config.source, label + ".moonraker_url", "is missing; expected \"http://HOST:PORT\"");
    }
    if (machine.name.empty()) machine.name = machine.id;
  }
  return {};
}

Result<void> check_sensors(const Config& config) {
  constexpr size_t kMaxSensors = 1'000;
  if (config.sensors.size() > kMaxSensors) {
    return config_error(config.source, "sensor", fmt::format("expected at most {} entries", kMaxSensors));
  }
  std::set<std::pair<std::string, std::string>> seen;
  for (size_t i = 0; i < config.sensors.size(); ++i) {
    const SensorConfig& sensor = config.sensors[i];
    const std::string label = fmt::format("sensor {}", i + 1);
    if (sensor.topic.empty()) return config_error(config.source, label + ".topic", "is missing; expected a topic");
    if (sensor.signal.empty()) {
      return config_error(config.source, label + ".signal", "is missing; expected \"NAME.FIELD\" or \"NAME\"");
    }
    const auto known = std::any_of(config.machines.begin(), config.machines.end(),
                                   [&](const MachineConfig& machine) { return machine.id == sensor.machine; });
    if (!known) {
      return config_error(config.source, label + ".machine",
                          fmt::format("'{}': expected the id of a [[machine]] of this file", sensor.machine));
    }
    if (!seen.emplace(sensor.machine, sensor.object() + "." + sensor.field()).second) {
      return config_error(config.source, label + ".signal",
                          fmt::format("'{}' of machine '{}' is there twice", sensor.signal, sensor.machine));
    }
  }
  return {};
}

Result<void> read_document(const toml::table& document, Config& config, std::string_view source) {
  const auto keys = keys_of(config);
  for (const auto& [name, node] : document) {
    const std::string section(name.str());
    Result<void> read;
    if (section == "machine") {
      read = read_machines(node, config, source);
    } else if (section == "sensor") {
      read = read_sensors(node, config, source);
    } else if (std::none_of(keys.begin(), keys.end(), [&](const Key& key) { return key.section == section; })) {
      read = config_error(fmt::format("{}:{}", source, node.source().begin.line), section,
                          "no such section; there are site, hub, http, limits, mqtt, outbox, adapters, mirror, "
                          "gcode_gateway, log, machine and sensor");
    } else if (node.as_table() == nullptr) {
      read = config_error(source, section, fmt::format("expected a table [{}]", section));
    } else {
      read = read_table(*node.as_table(), section, section, keys, source);
    }
    if (!read) return read;
  }
  return {};
}

}  // namespace

std::string SensorConfig::object() const {
  return std::string(kSensorObjectPrefix) + signal.substr(0, signal.find('.'));
}

std::string SensorConfig::field() const {
  const size_t dot = signal.find('.');
  return dot == std::string::npos ? "value" : signal.substr(dot + 1);
}

Environment system_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

Result<Config> parse_config(std::string_view toml_text, std::string_view source, const Environment& environment) {
  Config config;
  config.source = source;
  try {
    const toml::table document = toml::parse(toml_text);
    if (auto read = read_document(document, config, source); !read) return read.error();
  } catch (const toml::parse_error& error) {
    return config_error(fmt::format("{}:{}", source, error.source().begin.line), "not TOML", error.description());
  }
  if (auto applied = apply_environment(config, environment); !applied) return applied.error();
  if (auto checked = check_machines(config); !checked) return checked.error();
  if (auto checked = check_sensors(config); !checked) return checked.error();
  if (config.http_tls_certificate.empty() != config.http_tls_key.empty()) {
    return config_error(config.source, config.http_tls_key.empty() ? "http.tls_key" : "http.tls_certificate",
                        "is missing; HTTPS takes both PEM files, the certificate and its key");
  }
  return config;
}

Result<Config> load_config(const std::filesystem::path& file, const Environment& environment) {
  const auto text = read_file(file);
  if (!text) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("configuration file: {}: expected a readable TOML file; ./run "
                                  "without --config starts the demo shop",
                                  text.error().context));
  }
  return parse_config(*text, file.string(), environment);
}

MachineChanges changes_between(const std::vector<MachineConfig>& before, const std::vector<MachineConfig>& after) {
  MachineChanges changes;
  std::map<std::string, const MachineConfig*> earlier;
  for (const MachineConfig& machine : before) earlier.emplace(machine.id, &machine);
  std::set<std::string> later;
  for (const MachineConfig& machine : after) {
    later.insert(machine.id);
    const auto found = earlier.find(machine.id);
    if (found == earlier.end()) {
      changes.added.push_back(machine.id);
    } else if (*found->second != machine) {
      changes.changed.push_back(machine.id);
    }
  }
  for (const MachineConfig& machine : before) {
    if (!later.contains(machine.id)) changes.removed.push_back(machine.id);
  }
  return changes;
}

std::vector<std::string> settings_that_differ(const Config& before, const Config& after) {
  std::vector<std::string> differing;
  Config one = before;  // copies: what keys_of() gives could be written to
  Config other = after;
  const auto keys = keys_of(one);
  const auto others = keys_of(other);
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].place.value() != others[i].place.value()) differing.push_back(keys[i].section + "." + keys[i].name);
  }
  if (before.sensors != after.sensors) differing.emplace_back("[[sensor]]");
  return differing;
}

Result<HostPort> parse_host_port(std::string_view text) {
  const auto bad = [&] {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("'{}': expected HOST:PORT with a port from 0 to 65535", text));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad();
  std::string host(text.substr(0, colon));
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const auto port_text = text.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (host.empty() || port_text.empty() || error != std::errc{} || end != port_text.data() + port_text.size())
    return bad();
  return HostPort{host, port};
}

ScopeSet mqtt_command_scopes(const Config& config) {
  if (config.mqtt_command_scopes == "none") return {};
  if (config.mqtt_command_scopes != "auto") return parse_scopes(names_in(config.mqtt_command_scopes)).value();
  const std::string_view host = std::string_view(config.mqtt_url).substr(config.mqtt_url.find("//") + 2);
  const bool here = host.starts_with("localhost") || host.starts_with("[::1]") || host.starts_with("127.");
  return here ? ScopeSet{Scope::kRead, Scope::kOperate} : ScopeSet{};
}

}  // namespace millrace
