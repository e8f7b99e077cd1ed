// SPDX-License-Identifier: Apache-2.0
#include "cli/adapters_role.h"

#include <future>

#include "bus/api_keys.h"
#include "bus/blob_store.h"
#include "bus/logging.h"
#include "bus/random.h"
#include "bus/sensor_names.h"
#include "cli/emergency_targets.h"
#include "cli/hub.h"

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kGoodbye{500};

// Into the folder that a hub with the same data folder serves.
KeepBlob keep_in(const std::filesystem::path& folder) {
  auto opened = open_blob_folder(folder);
  if (!opened) {
    log_warn("adapters", "pictures and long settings of sliced files are left out: {}", opened.error().message());
    return nullptr;
  }
  const std::shared_ptr<BlobStore> store = std::move(*opened);
  return [store](std::string_view bytes, std::string_view) -> Result<std::string> {
    std::string name = blob_name(bytes);
    if (auto put = store->put(name, bytes); !put) return put.error();
    return name;
  };
}

std::vector<OwnMachine> own_machines(const std::vector<MachineConfig>& machines) {
  std::vector<OwnMachine> own;
  for (const MachineConfig& machine : machines) {
    if (machine.enabled && machine.kind != "printer") {
      log_warn("adapters", "machine '{}' is of kind {}: it is not served by this version", machine.id, machine.kind);
    }
    OwnMachine entry;
    entry.connection.id = machine.id;
    entry.connection.name = machine.name;
    entry.connection.kind = machine.kind;
    entry.connection.managed_by = "config";
    entry.connection.enabled = machine.enabled;
    entry.connection.moonraker_url = machine.moonraker_url;
    entry.connection.tls_ca = machine.moonraker_ca_file;
    entry.secret = secret_of(machine);
    own.push_back(std::move(entry));
  }
  return own;
}

AdaptersOptions options_from(const Config& config) {
  AdaptersOptions options;
  options.outbox_directory = outbox_directory(config.data_dir);
  options.outbox.max_bytes = static_cast<uint64_t>(config.outbox_max_bytes);
  options.outbox.sync = config.outbox_sync;
  options.max_frame_bytes = static_cast<size_t>(config.adapters_max_frame_bytes);
  options.secrets_file = secrets_file(config.data_dir);
  options.registry_file = registry_file(config.data_dir);
  options.serve_registry = config.adapters_registry;
  options.machines = own_machines(config.machines);
  return options;
}

// Of the file that a hub with the same data folder keeps.
std::function<Result<KeyHolder>(std::string_view)> key_holder_of(const Config& config, const Clock& clock) {
  struct Keys {
    SystemRandom random;
    ApiKeys file;
    Keys(std::filesystem::path path, const Clock& with) : file(std::move(path), with, random) {}
  };
  const auto keys = std::make_shared<Keys>(keys_file(config.data_dir), clock);
  return [keys](std::string_view secret) -> Result<KeyHolder> {
    if (auto read = keys->file.refresh(); !read) return read.error();
    const ApiKeys::Found found = keys->file.verify(secret);
    if (found.verdict == ApiKeys::Verdict::kExpired) return make_error(Errc::kInvalidArgument, "the key has expired");
    if (found.verdict != ApiKeys::Verdict::kGood) return make_error(Errc::kInvalidArgument, "there is no such key");
    const auto scopes = parse_scopes(found.key.scopes);
    if (!scopes) return scopes.error();
    return KeyHolder{found.key.id, found.key.name, *scopes, found.key.machines};
  };
}

// The hub of another data folder gets them over HTTP.
Result<std::unique_ptr<BlobUploader>> uploader_from(const Config& config, const Clock& clock, Metrics& metrics) {
  BlobUploadOptions options;
  options.hub_url = config.adapters_hub_url;
  options.key_file = config.adapters_hub_key_file;
  options.directory = config.data_dir / "adapters" / "blobs_for_the_hub";
  return BlobUploader::start(std::move(options), clock, metrics);
}

SensorsOptions sensors_from(const Config& config) {
  SensorsOptions options;
  options.outbox_directory = outbox_directory(config.data_dir);
  options.outbox.max_bytes = static_cast<uint64_t>(config.outbox_max_bytes);
  options.outbox.sync = config.outbox_sync;
  for (const SensorConfig& sensor : config.sensors) {
    options.entries.push_back({sensor.topic, sensor.json_path, sensor.machine, sensor.object(), sensor.field(),
                               std::chrono::seconds(sensor.fresh_seconds)});
  }
  return options;
}

}  // namespace

CommandReceptionOptions command_reception_options(const Config& config, const Clock& clock) {
  CommandReceptionOptions options;
  options.key_file = command_key_file(config.data_dir);
  options.mqtt_scopes = mqtt_command_scopes(config);
  options.key_holder = key_holder_of(config, clock);
  return options;
}

Result<std::unique_ptr<AdaptersRole>> AdaptersRole::start(const Config& config, const Clock& clock, Metrics& metrics,
                                                          Health& health) {
  std::unique_ptr<AdaptersRole> role(new AdaptersRole);
  const Topics topics(config.mqtt_root);
  AdaptersOptions options = options_from(config);
  options.commands = command_reception_options(config, clock);
  role->broker_ = BrokerConnections::make(config, topics, "adapters");
  if (config.adapters_hub_url.empty()) {
    options.keep_blob = keep_in(blobs_directory(config.data_dir));
  } else {
    auto uploader = uploader_from(config, clock, metrics);
    if (!uploader) return uploader.error();
    role->uploader_ = std::move(*uploader);
    options.keep_blob = [to = role->uploader_.get()](std::string_view bytes, std::string_view) {
      return to->keep(bytes);
    };
  }
  role->adapters_ = std::make_unique<Adapters>(role->loop_, std::move(options), *role->broker_.subscriber,
                                               *role->broker_.publisher, topics, clock, metrics, health);
  if (auto started = role->adapters_->start(); !started) return started.error();
  role->commands_ = make_command_client(config);
  role->adapters_->take_commands(*role->commands_);
  if (!config.sensors.empty()) {
    role->sensor_broker_ = BrokerConnections::make(config, topics, std::string(kSensorsProducer));
    role->sensors_ = std::make_unique<Sensors>(role->loop_, sensors_from(config), *role->sensor_broker_.subscriber,
                                               *role->sensor_broker_.publisher, topics, clock, metrics, health);
    if (auto started = role->sensors_->start(); !started) return started.error();
  }
  role->loop_thread_ = std::thread([loop = &role->loop_] { loop->run(); });
  role->broker_.start();
  role->commands_->start();
  if (role->sensors_) role->sensor_broker_.start();
  return role;
}

void AdaptersRole::take_machines(const std::vector<MachineConfig>& machines) {
  loop_.post([this, own = own_machines(machines)]() mutable { adapters_->take_own(std::move(own)); });
}

AdaptersRole::~AdaptersRole() {
  if (commands_) commands_->stop();  // nothing new
  if (loop_thread_.joinable()) {
    std::promise<void> stopped;
    loop_.post([&] {
      adapters_->stop();
      if (sensors_) sensors_->stop();
      stopped.set_value();
    });
    stopped.get_future().wait_for(kGoodbye);
  }
  broker_.stop();
  if (sensors_) sensor_broker_.stop();
  loop_.stop();
  if (loop_thread_.joinable()) loop_thread_.join();
}

}  // namespace millrace
