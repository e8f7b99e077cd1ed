// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/answers.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr std::string_view kComponents =
    R"(["secrets","klippy_connection","jsonrpc","internal_transport","application","websockets","database",)"
    R"("file_manager","authorization","klippy_apis","machine","data_store","proc_stats","job_state","job_queue",)"
    R"("history","webcam","announcements","power"])";

void write_proc_stat(JsonWriter& json, const HostState& state, size_t connections) {
  json.key("cpu_temp").value(48.3).key("network").object().key("eth0").object();
  json.field("rx_bytes", int64_t{289'413'806}).field("tx_bytes", int64_t{88'265'766});
  json.field("rx_packets", int64_t{246'135}).field("tx_packets", int64_t{193'434});
  json.field("rx_errs", 0).field("tx_errs", 0).field("rx_drop", 0).field("tx_drop", 0).field("bandwidth", 10'496.61);
  json.end().end();
  const double load = std::min(99.0, 6 + 20 * state.sysload);
  json.key("system_cpu_usage").object().field("cpu", load).field("cpu0", load).field("cpu1", load).end();
  json.key("system_memory").object().field("total", int64_t{945'512}).field("available", state.memavail);
  json.field("used", 945'512 - state.memavail).end();
  json.field("websocket_connections", static_cast<int64_t>(connections));
}

void write_moonraker_stat(JsonWriter& json, double now) {
  json.object().field("time", now).field("cpu_usage", 0.61).field("memory", 50'492).field("mem_units", "kB").end();
}

}  // namespace

std::string server_info_answer(std::string_view klippy_state, size_t connections) {
  JsonWriter json;
  json.object().field("klippy_connected", klippy_state != "disconnected").field("klippy_state", klippy_state);
  json.key("components").raw(kComponents).key("failed_components").array().end();
  json.key("registered_directories").raw(R"(["config","logs","gcodes","config_examples","docs"])");
  json.key("warnings").array().end().field("websocket_count", static_cast<int64_t>(connections));
  json.field("moonraker_version", "v0.10.0-sim").key("missing_klippy_requirements").array().end();
  json.key("api_version").raw("[1,5,0]").field("api_version_string", "1.5.0").end();
  return json.take();
}

std::string printer_info_answer(const HostState& state, std::string_view hostname) {
  JsonWriter json;
  json.object().field("state", name_of(state.klippy)).field("state_message", state.state_message);
  json.field("hostname", hostname).field("klipper_path", "/home/pi/klipper");
  json.field("python_path", "/home/pi/klippy-env/bin/python").field("process_id", state.process_id);
  json.field("user_id", 1000).field("group_id", 1000);
  json.field("log_file", "/home/pi/printer_data/logs/klippy.log");
  json.field("config_file", "/home/pi/printer_data/config/printer.cfg");
  json.field("software_version", "v0.13.0-sim").field("cpu_info", "4 core ARMv7 Processor rev 4 (v7l)").end();
  return json.take();
}

std::string system_info_answer() {
  return R"json({"system_info":{"python":{"version":[3,11,2,"final",0],"version_string":"3.11.2 (main)"},)json"
         R"json("cpu_info":{"cpu_count":4,"bits":"32bit","processor":"armv7l","cpu_desc":"ARMv7 Processor rev 4 (v7l)",)json"
         R"json("serial_number":"","hardware_desc":"BCM2835","model":"Simulated single-board computer",)json"
         R"json("total_memory":945512,"memory_units":"kB"},"sd_info":{},)json"
         R"json("distribution":{"name":"Debian GNU/Linux 12 (bookworm)","id":"debian","version":"12",)json"
         R"json("version_parts":{"major":"12","minor":"","build_number":""},"like":"","codename":"bookworm",)json"
         R"json("release_info":{},"kernel_version":"6.1.0"},"virtualization":{"virt_type":"none","virt_identifier":"none"},)json"
         R"json("network":{},"canbus":{},"provider":"none","available_services":[],"service_state":{},)json"
         R"json("instance_ids":{"moonraker":"moonraker","klipper":"klipper"}}})json";
}

std::string file_list_answer(const std::vector<SimulatedFile>& files) {
  JsonWriter json;
  json.array();
  for (const SimulatedFile& file : files) {
    json.object().field("path", file.path).field("modified", file.modified).field("size", file.size);
    json.field("permissions", "rw").end();
  }
  json.end();
  return json.take();
}

std::optional<std::string> directory_answer(const std::vector<SimulatedFile>& files, const std::string& path,
                                            const SimulatedDisk& disk) {
  constexpr std::string_view kRoot = "gcodes";
  const bool of_root = path == kRoot;
  if (!of_root && !path.starts_with(std::string(kRoot) + "/")) return std::nullopt;
  const std::string folder = of_root ? "" : path.substr(kRoot.size() + 1) + "/";
  bool found = of_root;
  JsonWriter json;
  json.object().key("dirs").array().end().key("files").array();
  for (const SimulatedFile& file : files) {
    if (!file.path.starts_with(folder)) continue;
    found = true;
    const std::string name = file.path.substr(folder.size());
    if (name.find('/') != std::string::npos) continue;
    json.object().field("filename", name).field("modified", file.modified).field("size", file.size);
    json.field("permissions", "rw").end();
  }
  json.end().key("disk_usage").object().field("total", disk.total).field("used", disk.total - disk.free);
  json.field("free", disk.free).end().end();
  if (!found) return std::nullopt;
  return json.take();
}

std::string metadata_answer(const SimulatedFile& file) {
  JsonWriter json;
  json.object();
  write_metadata(json, file);
  json.key("print_start_time").null().key("job_id").null().field("filename", file.path).end();
  return json.take();
}

std::string proc_stat(double now, const HostState& state, size_t connections) {
  JsonWriter json;
  json.object().key("moonraker_stats");
  write_moonraker_stat(json, now);
  write_proc_stat(json, state, connections);
  json.end();
  return json.take();
}

std::string proc_stats_answer(double now, const HostState& state, size_t connections) {
  JsonWriter json;
  json.object().key("moonraker_stats").array();
  write_moonraker_stat(json, now);
  json.end().key("throttled_state").null().field("system_uptime", state.eventtime);
  write_proc_stat(json, state, connections);
  json.end();
  return json.take();
}

void MoonrakerStores::add_gcode(double now, std::string_view type, std::string_view message) {
  if (gcode_.size() >= kMaxGcodeLines) gcode_.pop_front();
  gcode_.push_back({now, std::string(type), std::string(message)});
}

void MoonrakerStores::add_temperatures(const HostState& state) {
  if (temperatures_.size() >= kMaxTemperatures) temperatures_.pop_front();
  temperatures_.push_back({state.extruder, state.bed, state.chamber.temperature});
}

void MoonrakerStores::clear() {
  gcode_.clear();
  temperatures_.clear();
}

std::string MoonrakerStores::gcode_answer(size_t count) const {
  JsonWriter json;
  json.object().key("gcode_store").array();
  for (size_t i = gcode_.size() - std::min(count, gcode_.size()); i < gcode_.size(); ++i) {
    json.object().field("message", gcode_[i].message).field("time", gcode_[i].time).field("type", gcode_[i].type).end();
  }
  json.end().end();
  return json.take();
}

std::string MoonrakerStores::temperature_answer(bool has_heaters) const {
  JsonWriter json;
  const auto list = [&](std::string_view name, auto&& pick) {
    json.key(name).array();
    for (const Temperatures& sample : temperatures_) json.value(pick(sample));
    json.end();
  };
  const auto heater = [&](std::string_view name, HeaterReading Temperatures::*reading) {
    json.key(name).object();
    list("temperatures", [&](const Temperatures& sample) { return (sample.*reading).temperature; });
    list("targets", [&](const Temperatures& sample) { return (sample.*reading).target; });
    list("powers", [&](const Temperatures& sample) { return (sample.*reading).power; });
    json.end();
  };
  json.object();
  if (has_heaters) heater("heater_bed", &Temperatures::bed);
  json.key("temperature_sensor chamber").object();
  list("temperatures", [](const Temperatures& sample) { return sample.chamber; });
  json.end();
  if (has_heaters) heater("extruder", &Temperatures::extruder);
  json.end();
  return json.take();
}

}  // namespace millrace
