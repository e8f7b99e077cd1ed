// SPDX-License-Identifier: Apache-2.0
// The command line.  The only file that includes CLI11.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <system_error>

#include "bus/logging.h"
#include "cli/bench/bench.h"
#include "cli/command_backup.h"
#include "cli/command_import_gcode.h"
#include "cli/command_import_moonraker.h"
#include "cli/command_import_older.h"
#include "cli/command_keys.h"
#include "cli/command_log.h"
#include "cli/command_mirror.h"
#include "cli/command_redact.h"
#include "cli/command_replay.h"
#include "cli/command_run.h"
#include "cli/command_sim.h"
#include "cli/command_stop.h"
#include "cli/command_verify.h"
#include "cli/config.h"
#include "cli/config_file.h"
#include "cli/opened_log.h"
#include "cli/process_limits.h"
#include "cli/version.h"

namespace {

using namespace millrace;

constexpr int kWrongUsage = 2;

// What the command line decided; returns the exit code.
using Command = std::function<int()>;

void add_run(CLI::App& app, Command& chosen) {
  struct Options {
    std::string config = "millrace.toml";
    std::string roles = "hub,adapters";
    std::string data;
    std::string http;
    std::string mqtt_url;
  };
  auto options = std::make_shared<Options>();
  auto* run = app.add_subcommand("run", "run the hub and the adapters until SIGINT or SIGTERM");
  run->add_option("--config", options->config, "configuration file")->capture_default_str();
  run->add_option("--roles", options->roles, "comma-separated: hub, adapters")->capture_default_str();
  run->add_option("--data", options->data, "data folder, instead of hub.data_dir");
  run->add_option("--http", options->http, "HOST:PORT, instead of http.listen");
  run->add_option("--mqtt-url", options->mqtt_url, "instead of mqtt.url");
  run->callback([options, &chosen] {
    chosen = [options] {
      Environment environment = system_environment();
      if (!options->data.empty()) environment["MILLRACE_HUB_DATA_DIR"] = options->data;
      if (!options->http.empty()) environment["MILLRACE_HTTP_LISTEN"] = options->http;
      if (!options->mqtt_url.empty()) environment["MILLRACE_MQTT_URL"] = options->mqtt_url;
      ConfigFile file(options->config, std::move(environment));
      const auto config = file.read();
      if (!config) return fail(config.error());
      const auto roles = parse_roles(options->roles);
      if (!roles) return fail(roles.error());
      return run_run_command(*config, *roles, file);
    };
  });
}

void add_stop(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<StopCommandOptions>();
  auto* stop =
      app.add_subcommand("stop", "EMERGENCY STOP of a machine, straight to its Moonraker, without hub or broker");
  auto* machine = stop->add_option("machine", options->machine, "which machine");
  auto* all = stop->add_flag("--all", options->all, "every machine that is known here")->excludes(machine);
  stop->add_option("--config", options->config, "configuration file")->capture_default_str();
  stop->add_option("--data", options->data, "data folder, instead of hub.data_dir");
  stop->add_option("--reason", options->reason, "kept with the record of the stop");
  stop->callback([options, machine, all, &chosen] {
    if (machine->count() + all->count() == 0) throw CLI::RequiredError("MACHINE or --all");
    chosen = [options] { return run_stop_command(*options); };
  });
}

// Each machine of a configuration file, simulated at the port of its moonraker_url.
Result<std::vector<SimulatedMachine>> machines_of(const Config& config) {
  std::vector<SimulatedMachine> machines;
  for (const MachineConfig& machine : config.machines) {
    auto address = machine.moonraker_url.substr(machine.moonraker_url.find("//") + 2);
    address = address.substr(0, address.find('/'));
    const auto host_port = parse_host_port(address);
    if (!host_port) {
      return make_error(Errc::kInvalidArgument,
                        "machine '" + machine.id + "'.moonraker_url: " + host_port.error().context);
    }
    SimulatedMachine simulated;
    simulated.name = machine.name;
    simulated.kind = machine.kind;
    simulated.port = host_port->port;
    machines.push_back(std::move(simulated));
  }
  return machines;
}

void add_sim(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<SimCommandOptions>();
  auto config_file = std::make_shared<std::string>();
  auto* sim = app.add_subcommand("sim", "simulated or recorded Klipper machines, each a Moonraker server");
  auto* config = sim->add_option("--config", *config_file, "simulate each machine of this file at its moonraker_url");
  auto* count = sim->add_option("--machines", options->count, "simulate so many machines")->check(CLI::Range(1, 1000));
  auto* demo = sim->add_flag("--demo", options->demo, "simulate the demo shop");
  auto* scenarios = sim->add_flag("--scenarios", options->scenarios, "simulate a machine for each behaviour");
  auto* replay = sim->add_option("--replay", options->replay, "serve this recording of a Moonraker session");
  for (auto* source : {config, count, demo, scenarios}) source->excludes(replay);
  for (auto* source : {config, count, demo}) source->excludes(scenarios);
  config->excludes(count)->excludes(demo);
  count->excludes(demo);
  sim->add_option("--base-port", options->base_port, "port of the first of --machines; 0: free ones")->needs(count);
  sim->add_option("--behaviour", options->behaviour, "of --machines, see docs/simulator.md")->capture_default_str();
  sim->add_option("--history", options->history_rows, "old prints in the history of each of --machines; 0: a few")
      ->needs(count)
      ->check(CLI::Range(0, 1'000'000));
  sim->add_option("--seed", options->seed, "the same seed gives the same machines")->capture_default_str();
  sim->add_option("--speed", options->speed, "simulated or recorded seconds per second")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  sim->add_option("--host", options->host, "address to listen on")->capture_default_str();
  sim->add_option("--port", options->port, "port of --replay; 0: a free one")->needs(replay);
  sim->add_flag("--rebase", options->rebase, "shift the recording's wall times to now")->needs(replay);
  sim->add_option("--config-out", options->config_out, "write the [[machine]] list here once every port listens");
  sim->callback([options, config_file, &chosen] {
    chosen = [options, config_file] {
      if (!config_file->empty()) {
        const auto config = load_config(*config_file, system_environment());
        if (!config) return fail(config.error());
        auto machines = machines_of(*config);
        if (!machines) return fail(machines.error());
        options->machines = std::move(*machines);
      }
      return run_sim_command(*options);
    };
  });
}

void add_redact(CLI::App& log, Command& chosen) {
  auto options = std::make_shared<RedactOptions>();
  auto* command = log.add_subcommand("redact", "make names in facts unreadable, while no hub runs");
  command->add_option("--data", options->data_dir, "data folder of the hub")->capture_default_str();
  command->add_option("--job", options->job_id, "the file, user and metadata of this job");
  command->add_option("--text", options->text, "this text wherever a fact says it");
  command->add_option("--reason", options->reason, "kept with the event that tells of it");
  command->add_flag("--yes", options->yes, "do it; without this only show what would change");
  command->callback([options, &chosen] { chosen = [options] { return run_log_redact(*options); }; });
}

void add_backup(CLI::App& log, Command& chosen) {
  auto backup_options = std::make_shared<BackupCommandOptions>();
  auto* backup = log.add_subcommand("backup", "back the log up while it is in use; unchanged files are shared");
  backup->add_option("directory", backup_options->directory, "where the generations of the backup lie")->required();
  backup->add_option("--keep", backup_options->keep, "generations to keep; older ones are removed")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  auto restore_options = std::make_shared<BackupCommandOptions>();
  auto* restore = log.add_subcommand("restore", "make a log from a backup, where there is none");
  restore
      ->add_option("backup", restore_options->directory, "folder of generations (the newest is taken), or one of them")
      ->required();
  restore->add_option("--lost-through", restore_options->lost_through,
                      "last position of the lost log, where it is known");
  for (const auto& [command, options] : {std::pair{backup, backup_options}, std::pair{restore, restore_options}}) {
    command->add_option("--data", options->data_dir, "data folder of the hub")->capture_default_str();
    command->add_flag("--json", options->json, "print one JSON object");
  }
  backup->callback(
      [backup_options, &chosen] { chosen = [backup_options] { return run_log_backup(*backup_options); }; });
  restore->callback(
      [restore_options, &chosen] { chosen = [restore_options] { return run_log_restore(*restore_options); }; });
}

void add_log_trust(CLI::App& log, Command& chosen) {
  struct Verb {
    const char* name;
    const char* what;
    int (*run)(const VerifyCommandOptions&);
  };
  for (const Verb verb : {Verb{"verify", "check every byte, the chain and each producer's numbers", run_log_verify},
                          Verb{"anchor", "print the chain's root, to be kept elsewhere", run_log_anchor},
                          Verb{"repair", "save what verifies of a damaged log into a new one", run_log_repair}}) {
    auto options = std::make_shared<VerifyCommandOptions>();
    const std::string name = verb.name;
    auto* command = log.add_subcommand(name, verb.what);
    command->add_option("--data", options->data_dir, "data folder of the hub")->capture_default_str();
    command->add_flag("--json", options->json, "one JSON object");
    if (name == "verify") {
      command->add_flag("--producers", options->producers, "list every producer with its epochs and holes");
      command->add_option("--anchor", options->anchor, "what `log anchor` printed, or a file of such lines");
    }
    if (name == "repair") command->add_option("--to", options->to, "new data folder, not there yet")->required();
    command->callback([options, verb, &chosen] { chosen = [options, verb] { return verb.run(*options); }; });
  }
}

void add_log(CLI::App& app, Command& chosen) {
  auto* log = app.add_subcommand("log", "read the log, also beside a running hub; back it up and restore it");
  log->require_subcommand(1);
  struct Verb {
    const char* name;
    const char* what;
    int (*run)(const LogCommandOptions&);
    bool filters;
  };
  for (const Verb verb : {Verb{"info", "what the log holds, and up to where it has each producer", run_log_info, false},
                          Verb{"cat", "print events", run_log_cat, true},
                          Verb{"tail", "print the newest events and go on", run_log_tail, true}}) {
    auto options = std::make_shared<LogCommandOptions>();
    auto* command = log->add_subcommand(verb.name, verb.what);
    command->add_option("--data", options->data_dir, "data folder of the hub")->capture_default_str();
    command->add_flag("--json", options->json, "one JSON object per line");
    if (verb.filters) {
      command->add_option("--after", options->after, "only positions above this one");
      command->add_option("--limit", options->limit, "at most so many events");
      command->add_option("--machine", options->machine, "only this machine's");
      command->add_option("--type", options->type, "only this type, e.g. JobFinished");
      command->add_option("--from", options->from, "recorded at or after, RFC 3339");
      command->add_option("--to", options->to, "recorded before, RFC 3339");
    }
    command->callback([options, verb, &chosen] { chosen = [options, verb] { return verb.run(*options); }; });
  }
  add_redact(*log, chosen);
  add_backup(*log, chosen);
  add_log_trust(*log, chosen);
}

void add_import_moonraker(CLI::App& import, Command& chosen) {
  auto options = std::make_shared<ImportMoonrakerOptions>();
  auto* command = import.add_subcommand("moonraker", "the whole history of a Moonraker; again and again if you like");
  command->add_option("url", options->url, "of the Moonraker, e.g. http://voron-2.local:7125")->required();
  command->add_option("--machine", options->machine, "whose history it is")->required();
  command->add_option("--data", options->data_dir, "data folder of the hub, running or not")->capture_default_str();
  command->add_option("--api-key-file", options->api_key_file, "file with Moonraker's API key on its first line");
  command->add_flag("--json", options->json, "print one JSON object");
  command->callback([options, &chosen] { chosen = [options] { return run_import_moonraker(*options); }; });
}

// What both older systems' imports share.
CLI::App* add_import_older(CLI::App& import, const std::string& source, const std::string& what,
                           const std::shared_ptr<ImportOlderOptions>& options, Command& chosen) {
  options->source = source;
  auto* command = import.add_subcommand(source, what);
  command->add_option("--data", options->data_dir, "data folder of the hub, running or not")->capture_default_str();
  command->add_flag("--json", options->json, "print one JSON object");
  command->callback([options, &chosen] { chosen = [options] { return run_import_older(*options); }; });
  return command;
}

void add_import_print_log(CLI::App& import, Command& chosen) {
  auto options = std::make_shared<ImportOlderOptions>();
  auto* command = add_import_older(import, "3d-print-logger", "the database of 3d-print-logger", options, chosen);
  command->add_option("--database", options->database, "sqlite:PATH or mysql://user@host:port/database")->required();
  command->add_option("--machine", options->machines, "OLDNAME=machine-id: what a printer is called here; repeatable");
  command->add_option("--zone", options->zone, "time zone of the computer it ran on, e.g. Europe/Berlin");
  command->add_option("--password-file", options->password_file, "file with MySQL's password on its first line");
}

void add_import_klipperiwc(CLI::App& import, Command& chosen) {
  auto options = std::make_shared<ImportOlderOptions>();
  auto* command = add_import_older(import, "klipperiwc", "the status history of KlipperIWC", options, chosen);
  command->add_option("--database", options->database, "sqlite:PATH")->required();
  command->add_option("--machine", options->machine, "whose history it is")->required();
}

void add_replay(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ReplayCommandOptions>();
  auto* replay = app.add_subcommand("replay", "rebuild a view from the log and print its SHA-256 digest");
  replay->add_option("--data", options->data_dir, "data folder of the hub")->capture_default_str();
  replay->add_option("--projection", options->projection, "the view's name")->required();
  replay->add_option("--until", options->until, "a position or an RFC 3339 time");
  replay->add_flag("--digest", options->digest_only, "print the digest alone");
  replay->callback([options, &chosen] { chosen = [options] { return run_replay_command(*options); }; });
}

void add_import_gcode(CLI::App& import, Command& chosen) {
  auto options = std::make_shared<ImportGcodeOptions>();
  auto* command = import.add_subcommand("gcode", "print what a G-code file says of itself as one JSON object");
  command->add_option("file", options->file, "G-code of any slicer, or .bgcode")->required();
  command->add_option("--thumbnail", options->thumbnail, "write the largest picture in it to this file");
  command->callback([options, &chosen] { chosen = [options] { return run_import_gcode(*options); }; });
}

void add_import(CLI::App& app, Command& chosen) {
  auto* import = app.add_subcommand("import", "take in what happened or was written elsewhere");
  import->require_subcommand(1);
  add_import_gcode(*import, chosen);
  add_import_moonraker(*import, chosen);
  add_import_print_log(*import, chosen);
  add_import_klipperiwc(*import, chosen);
}

void add_mirror(CLI::App& app, Command& chosen) {
  auto* mirror = app.add_subcommand("mirror", "the tables in an SQL database that follow the log");
  mirror->require_subcommand(1);
  auto config_file = std::make_shared<std::string>("millrace.toml");
  auto* rebuild = mirror->add_subcommand("rebuild", "drop the tables and fill them again from the log");
  rebuild->add_option("--config", *config_file, "configuration file")->capture_default_str();
  rebuild->callback([config_file, &chosen] {
    chosen = [config_file] {
      const auto config = load_config(*config_file, system_environment());
      return config ? run_mirror_rebuild(*config) : fail(config.error());
    };
  });
}

void add_keys(CLI::App& app, Command& chosen) {
  auto* keys = app.add_subcommand("keys", "API keys: who may see and do what over HTTP");
  keys->require_subcommand(1);
  struct Verb {
    const char* name;
    const char* what;
    int (*run)(const KeysCommandOptions&);
  };
  for (const Verb verb : {Verb{"create", "make a key; its text is printed this once", run_keys_create},
                          Verb{"list", "every key, without its text", run_keys_list},
                          Verb{"revoke", "a key is no longer taken, and its sessions end", run_keys_revoke},
                          Verb{"rotate", "another text for a key; the old one is no longer taken", run_keys_rotate}}) {
    auto options = std::make_shared<KeysCommandOptions>();
    auto* command = keys->add_subcommand(verb.name, verb.what);
    command->add_option("--data", options->data_dir, "data folder of the hub, running or not")->capture_default_str();
    command->add_flag("--json", options->json, "print one JSON object");
    if (verb.run == run_keys_create) {
      command->add_option("--name", options->name, "whose it is; events say this name")->required();
      command
          ->add_option("--scopes", options->scopes,
                       "comma-separated: read, operate, gcode, moderate, administer; default: all for the first key, "
                       "read and operate for others")
          ->delimiter(',');
      command->add_option("--machines", options->machines, "comma-separated ids; default: all")->delimiter(',');
      command->add_option("--expires", options->expires, "RFC 3339 time; default: never");
      command->add_option("--description", options->description, "what it is for");
      command
          ->add_option("--requests-per-minute", options->requests_per_minute, "instead of limits.requests_per_minute")
          ->check(CLI::Range(1, 600'000));
    }
    if (verb.run == run_keys_revoke || verb.run == run_keys_rotate) {
      command->add_option("key", options->key, "its id, its name, or its first 12 characters")->required();
    }
    command->callback([options, verb, &chosen] { chosen = [options, verb] { return verb.run(*options); }; });
  }
}

void add_bench(CLI::App& app, Command& chosen) {
  auto* bench = app.add_subcommand("bench", "measure, with ratios to a reference of the same round");
  bench->require_subcommand(1);
  struct Verb {
    const char* name;
    const char* what;
    int (*run)(const BenchOptions&);
  };
  for (const Verb verb : {Verb{"append", "durable appends against a plain file", run_bench_append},
                          Verb{"command", "commands to Moonraker's socket", run_bench_command},
                          Verb{"confirm", "a lone event until it is confirmed", run_bench_confirm},
                          Verb{"gcode", "metadata of a large G-code file", run_bench_gcode},
                          Verb{"guard", "the guard's decisions about commands", run_bench_guard},
                          Verb{"ingest", "producers through Mosquitto to confirmed events", run_bench_ingest},
                          Verb{"jobs", "lists and exports of a long history", run_bench_jobs},
                          Verb{"latency", "machine to WebSocket client", run_bench_latency},
                          Verb{"replay", "a log folded into the history of jobs", run_bench_replay},
                          Verb{"soak", "what a hub writes and keeps, and its memory", run_bench_soak},
                          Verb{"start", "the start of a hub on a long log", run_bench_start},
                          Verb{"stop", "emergency stops, also with a full disk and a killed hub", run_bench_stop},
                          Verb{"telemetry", "90 days of 10 signals by the minute", run_bench_telemetry},
                          Verb{"verify", "checking a log against SHA-256 of a plain file", run_bench_verify}}) {
    auto options = std::make_shared<BenchOptions>();
    if (verb.run == run_bench_jobs) options->events = 1'000'000;
    if (verb.run == run_bench_stop) {
      options->events = 1000;
      options->machines = 100;
    }
    auto* command = bench->add_subcommand(verb.name, verb.what);
    command->add_option("--events", options->events, "events per round")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    command->add_option("--size", options->size, "bytes of one event")
        ->capture_default_str()
        ->check(CLI::Range(192, 40'000));
    command->add_option("--rounds", options->rounds, "interleaved rounds")
        ->capture_default_str()
        ->check(CLI::Range(1, 1000));
    command->add_option("--producers", options->producers, "producers (ingest, soak)")
        ->capture_default_str()
        ->check(CLI::Range(1, 64));
    command->add_option("--machines", options->machines, "machines (latency)")
        ->capture_default_str()
        ->check(CLI::Range(1, 500));
    command->add_option("--seconds", options->seconds, "measured time (latency)")
        ->capture_default_str()
        ->check(CLI::Range(1, 3600));
    if (verb.run == run_bench_ingest || verb.run == run_bench_replay || verb.run == run_bench_telemetry) {
      command->add_flag("--peers", options->peers, "PostgreSQL and Redis beside it, as far as they are installed");
    }
    if (verb.run == run_bench_gcode) {
      command->add_option("--megabytes", options->megabytes, "size of the file")
          ->capture_default_str()
          ->check(CLI::Range(1, 10'000));
    }
    command->add_option("--directory", options->directory, "where to write; a temporary folder if not given");
    command->callback([options, verb, &chosen] { chosen = [options, verb] { return verb.run(*options); }; });
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Millrace: an event-sourced message bus for shops with several Klipper machines"};
  app.require_subcommand(1);
  Command chosen;
  add_run(app, chosen);
  add_sim(app, chosen);
  add_stop(app, chosen);
  add_log(app, chosen);
  add_replay(app, chosen);
  add_import(app, chosen);
  add_mirror(app, chosen);
  add_keys(app, chosen);
  add_bench(app, chosen);
  app.add_subcommand("version", "print the version")->callback([&chosen] {
    chosen = [] { return std::printf("millrace %s\n", kVersion) < 0 ? 1 : 0; };
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kWrongUsage;
  }
  // What libraries have to say goes to stderr, so that stdout holds results alone; `run` and others set their own.
  (void)start_logging({.level = LogLevel::kError});
  try {
    return chosen();
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_unavailable_try_again) {
      std::fprintf(stderr, "%s", kLackOfThreads.data());
    } else {
      std::fprintf(stderr, "millrace: %s\n", error.what());
    }
    return 1;
  } catch (const std::exception& error) {
    // Such as an event loop without a descriptor left for it.
    std::fprintf(stderr, "millrace: %s\n", error.what());
    return 1;
  }
}
