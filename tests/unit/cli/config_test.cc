// SPDX-License-Identifier: Apache-2.0
#include "cli/config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "bus/file_io.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

Config good(std::string_view toml, const Environment& environment = {}) {
  return parse_config(toml, "shop.toml", environment).value();
}

// The error's only line.
std::string refusal(std::string_view toml, const Environment& environment = {}) {
  const auto config = parse_config(toml, "shop.toml", environment);
  if (config) return "accepted";
  EXPECT_EQ(config.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(config.error().context.find('\n'), std::string::npos) << config.error().context;
  return config.error().context;
}

void expect_all(const std::string& text, std::initializer_list<std::string_view> parts) {
  for (const auto part : parts) EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' in: " << text;
}

constexpr std::string_view kMachine = R"(
[[machine]]
id = "voron-2"
moonraker_url = "http://192.168.1.20:7125"
)";

TEST(Config, EveryKeyIsRead) {
  const Config config = good(R"(
[site]
name = "North"
timezone = "Europe/Berlin"
demo = true
[hub]
data_dir = "/var/lib/millrace"
telemetry_days = 7
cleanup_interval_seconds = 60
sd_card = true
[http]
listen = "0.0.0.0:80"
plain_jobs = "3d-print-logger"
[mqtt]
url = "mqtts://broker:8883"
username = "u"
password = "p"
root = "shop/millrace"
[outbox]
max_bytes = 1048576
sync = true
[gcode_gateway]
listen = "127.0.0.1:7130"
machine = "pnp"
[mirror]
url = "mysql://m@db/shop"
password = "p"
password_file = "/etc/pw"
interval_seconds = 60
[adapters]
registry = false
hub_url = "https://hub.lan"
hub_key_file = "/etc/hub.key"
max_frame_bytes = 1048576
[log]
level = "debug"
format = "json"
file = "/var/log/millrace"
[[machine]]
id = "pnp"
name = "Pick and place"
kind = "pick_and_place"
moonraker_url = "ws://10.0.0.1:7125/websocket"
moonraker_api_key = "k"
moonraker_username = "u"
moonraker_password = "p"
moonraker_ca_file = "/etc/ca.pem"
)");
  EXPECT_EQ(config.source, "shop.toml");
  EXPECT_EQ(config.site_name, "North");
  EXPECT_EQ(config.site_timezone, "Europe/Berlin");
  EXPECT_TRUE(config.site_demo);
  EXPECT_EQ(config.data_dir, "/var/lib/millrace");
  EXPECT_EQ(config.telemetry_days, 7);
  EXPECT_EQ(config.cleanup_interval_seconds, 60);
  EXPECT_TRUE(config.sd_card);
  EXPECT_EQ(config.http_listen, "0.0.0.0:80");
  EXPECT_EQ(config.http_plain_jobs, "3d-print-logger");
  EXPECT_EQ(config.mqtt_url, "mqtts://broker:8883");
  EXPECT_EQ(config.mqtt_username, "u");
  EXPECT_EQ(config.mqtt_password, "p");
  EXPECT_EQ(config.mqtt_root, "shop/millrace");
  EXPECT_EQ(config.outbox_max_bytes, 1048576);
  EXPECT_TRUE(config.outbox_sync);
  EXPECT_EQ(config.gateway_listen, "127.0.0.1:7130");
  EXPECT_EQ(config.gateway_machine, "pnp");
  EXPECT_EQ(config.mirror_url, "mysql://m@db/shop");
  EXPECT_EQ(config.mirror_password, "p");
  EXPECT_EQ(config.mirror_password_file, "/etc/pw");
  EXPECT_EQ(config.mirror_interval_seconds, 60);
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.log_format, "json");
  EXPECT_EQ(config.log_file, "/var/log/millrace");
  ASSERT_EQ(config.machines.size(), 1u);
  EXPECT_EQ(config.machines[0].id, "pnp");
  EXPECT_EQ(config.machines[0].name, "Pick and place");
  EXPECT_EQ(config.machines[0].kind, "pick_and_place");
  EXPECT_EQ(config.machines[0].moonraker_url, "ws://10.0.0.1:7125/websocket");
  EXPECT_EQ(config.machines[0].moonraker_username, "u");
  EXPECT_EQ(config.machines[0].moonraker_password, "p");
  EXPECT_EQ(config.machines[0].moonraker_ca_file, "/etc/ca.pem");
  EXPECT_FALSE(config.adapters_registry);
  EXPECT_EQ(config.adapters_hub_url, "https://hub.lan");
  EXPECT_EQ(config.adapters_hub_key_file, "/etc/hub.key");
  EXPECT_EQ(config.adapters_max_frame_bytes, 1'048'576);
  EXPECT_EQ(config.machines[0].moonraker_api_key, "k");
}

TEST(Config, EmptyFileGivesTheDefaults) {
  const Config config = good("");
  EXPECT_EQ(config.http_listen, "127.0.0.1:8080");
  EXPECT_EQ(config.http_plain_jobs, "klipperiwc");
  EXPECT_EQ(config.mqtt_url, "mqtt://127.0.0.1:1883");
  EXPECT_EQ(config.mqtt_root, "millrace");
  EXPECT_EQ(config.telemetry_days, 30);
  EXPECT_EQ(config.outbox_max_bytes, 268'435'456);
  EXPECT_FALSE(config.outbox_sync);
  EXPECT_TRUE(config.machines.empty());
}

TEST(Config, AMirrorsUrlWithAPasswordIsRefusedAndNotRepeated) {
  const auto said = refusal("[mirror]\nurl = \"mysql://m:secret@db/shop\"\n");
  expect_all(said, {"mirror.url", "without a password"});
  EXPECT_EQ(said.find("secret"), std::string::npos);
  expect_all(refusal("[mirror]\nurl = \"oracle://m@db/shop\"\n"), {"mirror.url", "sqlite:PATH"});
  expect_all(refusal("[mirror]\ninterval_seconds = 0\n"), {"mirror.interval_seconds", "from 1 to"});
  EXPECT_EQ(good("", {{"MILLRACE_MIRROR_PASSWORD", "x"}}).mirror_password, "x");
}

TEST(Config, MachineWithoutANameIsCalledByItsId) {
  const Config config = good(kMachine);
  EXPECT_EQ(config.machines.at(0).name, "voron-2");
  EXPECT_EQ(config.machines.at(0).kind, "printer");
}

TEST(Config, UnknownKeyIsNamedWithItsLine) {
  expect_all(refusal("[site]\nname = \"x\"\n[mqtt]\n\nurll = \"x\"\n"), {"shop.toml:5", "mqtt.urll", "url, username"});
  expect_all(refusal("[[machine]]\nid = \"a\"\nurl = \"x\"\n"), {"shop.toml:3", "machine 1.url", "moonraker_url"});
}

TEST(Config, UnknownSectionIsNamedWithItsLine) {
  expect_all(refusal("[site]\nname = \"x\"\n\n[mqqt]\nurl = \"x\"\n"),
             {"shop.toml:4", "mqqt", "no such section", "mqtt"});
  expect_all(refusal("listen = \"x\"\n"), {"shop.toml:1", "listen"});
}

TEST(Config, WrongTypeSaysWhatIsExpected) {
  expect_all(refusal("[site]\nname = 5\n"), {"shop.toml:2", "site.name", "a text in quotes"});
  expect_all(refusal("[hub]\ntelemetry_days = \"7\"\n"), {"hub.telemetry_days", "a whole number"});
  expect_all(refusal("[hub]\ntelemetry_days = 7.5\n"), {"hub.telemetry_days", "a whole number"});
  expect_all(refusal("[outbox]\nsync = 1\n"), {"outbox.sync", "true or false"});
  expect_all(refusal("[site]\nname = [\"a\"]\n"), {"site.name", "a text in quotes"});
  expect_all(refusal("site = 5\n"), {"site", "[site]"});
  expect_all(refusal("[machine]\nid = \"a\"\n"), {"machine", "[[machine]]"});
  expect_all(refusal("machine = [5]\n"), {"machine 1", "[[machine]]"});
}

TEST(Config, ValuesOutOfRangeSayWhatIsExpected) {
  expect_all(refusal("[hub]\ntelemetry_days = 0\n"), {"hub.telemetry_days", "from 1 to"});
  expect_all(refusal("[hub]\ndata_dir = \"\"\n"), {"hub.data_dir", "a folder"});
  expect_all(refusal("[http]\nlisten = \"8080\"\n"), {"http.listen", "HOST:PORT"});
  expect_all(refusal("[mqtt]\nurl = \"tcp://a:1883\"\n"), {"mqtt.url", "mqtt://HOST:PORT"});
  expect_all(refusal("[mqtt]\nurl = \"mqtt://user:secret@a:1883\"\n"), {"mqtt.url"});
  for (const char* url : {"mqtt://:1883", "mqtt://a:0", "mqtt://a:65536", "mqtt://a:x", "mqtt://"}) {
    expect_all(refusal(fmt::format("[mqtt]\nurl = \"{}\"\n", url)), {"mqtt.url", "mqtt://HOST:PORT"});
  }
  expect_all(refusal("[mqtt]\nroot = \"a/+\"\n"), {"mqtt.root", "without '+' and '#'"});
  expect_all(refusal("[outbox]\nmax_bytes = 1\n"), {"outbox.max_bytes", "from 1048576"});
  expect_all(refusal("[log]\nlevel = \"loud\"\n"), {"log.level", "trace, debug"});
  expect_all(refusal("[log]\nformat = \"xml\"\n"), {"log.format", "text, json"});
  expect_all(refusal("[site]\ntimezone = \"\"\n"), {"site.timezone"});
}

TEST(Config, MachinesAreChecked) {
  expect_all(refusal("[[machine]]\nmoonraker_url = \"http://a\"\n"), {"machine 1.id", "is missing"});
  expect_all(refusal("[[machine]]\nid = \"Voron\"\n"), {"machine 1.id", "a-z, 0-9"});
  expect_all(refusal("[[machine]]\nid = \"a\"\n"), {"machine 'a'.moonraker_url", "is missing"});
  expect_all(refusal("[[machine]]\nid = \"a\"\nmoonraker_url = \"ftp://a\"\n"), {"shop.toml:3", "http://HOST:PORT"});
  expect_all(refusal("[[machine]]\nid = \"a\"\nkind = \"laser\"\n"), {"machine 1.kind", "printer, pick_and_place"});
}

TEST(Config, IdsDifferAndAreNotReserved) {
  expect_all(refusal(std::string(kMachine) + std::string(kMachine)), {"voron-2", "twice"});
  expect_all(refusal("[[machine]]\nid = \"hub\"\nmoonraker_url = \"http://a\"\n"), {"hub", "reserved"});
}

TEST(Config, SensorsBelongToAMachine) {
  const std::string machine = std::string(kMachine) + "\n";
  const auto config = parse_config(
      machine +
          "[[sensor]]\ntopic = \"tele/shelf/SENSOR\"\njson_path = \"AM2301.Humidity\"\nmachine = \"voron-2\"\n"
          "signal = \"shelf.humidity\"\nunit = \"%\"\n[[sensor]]\ntopic = \"door\"\nmachine = \"voron-2\"\n"
          "signal = \"door\"\nfresh_seconds = 3600\n",
      "shop.toml", {});
  ASSERT_TRUE(config.has_value()) << config.error().message();
  ASSERT_EQ(config->sensors.size(), 2u);
  EXPECT_EQ(config->sensors[0].object(), "sensor shelf");
  EXPECT_EQ(config->sensors[0].field(), "humidity");
  EXPECT_EQ(config->sensors[0].unit, "%");
  EXPECT_EQ(config->sensors[1].field(), "value");
  EXPECT_EQ(config->sensors[1].fresh_seconds, 3600);
}

TEST(Config, SensorsAreChecked) {
  const auto with = [](const std::string& keys) { return std::string(kMachine) + "\n[[sensor]]\n" + keys; };
  const std::string good = "topic = \"t\"\nmachine = \"voron-2\"\nsignal = \"a.b\"\n";
  expect_all(refusal(with("machine = \"voron-2\"\nsignal = \"a\"\n")), {"sensor 1.topic", "is missing"});
  expect_all(refusal(with("topic = \"t\"\nmachine = \"voron-2\"\n")), {"sensor 1.signal", "is missing"});
  expect_all(refusal(with("topic = \"t/#\"\n")), {"sensor 1.topic", "without '+' and '#'"});
  expect_all(refusal(with("signal = \"a.b.c\"\n")), {"sensor 1.signal", "NAME.FIELD"});
  expect_all(refusal(with("json_path = \"a..b\"\n")), {"sensor 1.json_path", "dots"});
  expect_all(refusal(with("fresh_seconds = 5\n")), {"sensor 1.fresh_seconds", "60 to 86400"});
  expect_all(refusal(with("unit = \"far too long a unit\"\n")), {"sensor 1.unit", "16 bytes"});
  expect_all(refusal(with("colour = 1\n")), {"sensor 1.colour", "no such key", "json_path"});
  expect_all(refusal(with("topic = \"t\"\nmachine = \"other\"\nsignal = \"a\"\n")), {"sensor 1.machine", "other"});
  expect_all(refusal(with(good + "[[sensor]]\n" + good)), {"sensor 2.signal", "twice"});
  expect_all(refusal("sensor = 3\n"), {"sensor", "[[sensor]]"});
  expect_all(refusal("[[machine]]\nid = \"sensors\"\nmoonraker_url = \"http://a\"\n"), {"sensors", "reserved"});
}

TEST(Config, TextThatIsNoTomlIsNamedWithItsLine) {
  expect_all(refusal("[site]\nname = \n"), {"shop.toml:2", "not TOML"});
  expect_all(refusal("[site\n"), {"shop.toml:1"});
  expect_all(refusal("[site]\nname = \"\xff\"\n"), {"shop.toml:2"});
  expect_all(refusal("[site]\nname = \"a\"\nname = \"b\"\n"), {"shop.toml:3"});
  expect_all(refusal("a = " + std::string(5000, '[')), {"shop.toml:1"});
}

TEST(Config, ErrorIsOneLineWhateverTheKeys) {
  expect_all(refusal("[mqtt]\n\"a\\nb\" = 1\n"), {"no such key"});
  expect_all(refusal("[\"a\\nb\"]\n"), {"no such section"});
}

TEST(Config, EnvironmentWinsOverTheFile) {
  const Config config =
      good("[mqtt]\nroot = \"file\"\n[outbox]\nsync = true\n", {{"MILLRACE_MQTT_ROOT", "env"},
                                                                {"MILLRACE_HUB_TELEMETRY_DAYS", "9"},
                                                                {"MILLRACE_OUTBOX_SYNC", "0"},
                                                                {"MILLRACE_GCODE_GATEWAY_LISTEN", "127.0.0.1:1"},
                                                                {"MILLRACE_HUB_DATA_DIR", "/d"}});
  EXPECT_EQ(config.mqtt_root, "env");
  EXPECT_EQ(config.telemetry_days, 9);
  EXPECT_FALSE(config.outbox_sync);
  EXPECT_EQ(config.gateway_listen, "127.0.0.1:1");
  EXPECT_EQ(config.data_dir, "/d");
}

TEST(Config, EnvironmentReachesMachinesByTheirId) {
  const Config config = good(kMachine, {{"MILLRACE_MACHINE_VORON_2_MOONRAKER_API_KEY", "k"},
                                        {"MILLRACE_MACHINE_VORON_2_NAME", "Big one"},
                                        {"MILLRACE_MACHINE_VORON_2_ID", "other"}});
  EXPECT_EQ(config.machines.at(0).moonraker_api_key, "k");
  EXPECT_EQ(config.machines.at(0).name, "Big one");
  EXPECT_EQ(config.machines.at(0).id, "voron-2");
}

TEST(Config, MachineMayGetItsUrlFromTheEnvironment) {
  const Environment environment = {{"MILLRACE_MACHINE_A_MOONRAKER_URL", "http://a:1"}};
  EXPECT_EQ(good("[[machine]]\nid = \"a\"\n", environment).machines.at(0).moonraker_url, "http://a:1");
}

TEST(Config, LoggingHasItsOlderNamesToo) {
  const Config older = good("", {{"LOG_LEVEL", "WARNING"}, {"LOG_FORMAT", "json"}, {"LOG_FILE", "/ignored"}});
  EXPECT_EQ(older.log_level, "WARNING");
  EXPECT_EQ(older.log_format, "json");
  EXPECT_EQ(older.log_file, "");
  expect_all(refusal("", {{"LOG_LEVEL", "loud"}}), {"environment", "LOG_LEVEL"});
}

TEST(Config, RetentionHasItsOlderNamesToo) {
  const Config older =
      good("", {{"STATUS_HISTORY_RETENTION_DAYS", "9"}, {"STATUS_HISTORY_CLEANUP_INTERVAL_SECONDS", "120"}});
  EXPECT_EQ(older.telemetry_days, 9);
  EXPECT_EQ(older.cleanup_interval_seconds, 120);
  expect_all(refusal("", {{"STATUS_HISTORY_RETENTION_DAYS", "0"}}), {"STATUS_HISTORY_RETENTION_DAYS", "from 1 to"});
}

TEST(Config, BadVariableIsNamed) {
  expect_all(refusal("", {{"MILLRACE_HUB_TELEMETRY_DAYS", "many"}}), {"MILLRACE_HUB_TELEMETRY_DAYS", "a whole number"});
  expect_all(refusal("", {{"MILLRACE_HUB_TELEMETRY_DAYS", ""}}), {"a whole number"});
  expect_all(refusal("", {{"MILLRACE_OUTBOX_SYNC", "yes"}}), {"MILLRACE_OUTBOX_SYNC", "true or false"});
  expect_all(refusal("", {{"MILLRACE_HTTP_LISTEN", "x"}}), {"MILLRACE_HTTP_LISTEN", "HOST:PORT"});
}

TEST(Config, SecretsAreNotInErrors) {
  const std::string text = refusal("[mqtt]\npassword = \"s3cret\"\nurl = 5\n", {{"MILLRACE_MQTT_USERNAME", "s3cret"}});
  EXPECT_EQ(text.find("s3cret"), std::string::npos);
  EXPECT_EQ(refusal("[mqtt]\nurl = \"mqtt://u:s3cret@a\"\n").find("s3cret"), std::string::npos);
}

TEST(Config, FileIsReadOrNamed) {
  const testing::TemporaryDirectory directory;
  ASSERT_TRUE(write_file_durably(directory / "a.toml", kMachine));
  EXPECT_EQ(load_config(directory / "a.toml", {})->machines.size(), 1u);
  const auto missing = load_config(directory / "none.toml", {});
  EXPECT_EQ(missing.error().code, Errc::kInvalidArgument);
  expect_all(missing.error().context, {"none.toml"});
}

TEST(Config, SystemEnvironmentHoldsVariables) {
  ASSERT_EQ(::setenv("MILLRACE_TEST_VARIABLE", "a=b", 1), 0);
  EXPECT_EQ(system_environment().at("MILLRACE_TEST_VARIABLE"), "a=b");
  ::unsetenv("MILLRACE_TEST_VARIABLE");
}

TEST(HostPort, IsReadFromEveryUsualForm) {
  EXPECT_EQ(parse_host_port("127.0.0.1:8080")->host, "127.0.0.1");
  EXPECT_EQ(parse_host_port("127.0.0.1:8080")->port, 8080);
  EXPECT_EQ(parse_host_port("[::1]:0")->host, "::1");
  EXPECT_EQ(parse_host_port("shop.local:65535")->port, 65535);
}

TEST(HostPort, OtherTextIsRefused) {
  for (const char* bad :
       {"", ":", "a", "a:", ":80", "a:65536", "a:-1", "a:8x", "a: 80", "[]:80", "a:80 ", "a:99999999999"}) {
    EXPECT_FALSE(parse_host_port(bad)) << bad;
  }
}

TEST(ConfigTest, TlsTakesBothFilesAndLimitsHaveBounds) {
  const Config config = good(
      "[http]\ntls_certificate = \"a.pem\"\ntls_key = \"a.key\"\nhsts_seconds = 0\n"
      "[limits]\nrequests_per_minute = 5\nsockets = 7\n");
  EXPECT_EQ(config.http_tls_certificate, "a.pem");
  EXPECT_EQ(config.http_hsts_seconds, 0);
  EXPECT_EQ(config.limit_requests_per_minute, 5);
  EXPECT_EQ(config.limit_sockets, 7);
  EXPECT_EQ(good("").limit_requests_per_minute, 1'000);
  expect_all(refusal("[http]\ntls_certificate = \"a.pem\"\n"), {"http.tls_key", "is missing"});
  expect_all(refusal("[http]\ntls_key = \"a.key\"\n"), {"http.tls_certificate", "is missing"});
  expect_all(refusal("[limits]\nrequests_per_minute = 0\n"), {"limits.requests_per_minute", "from 1 to 600000"});
}

MachineConfig machine_at(const std::string& id, const std::string& url) {
  MachineConfig machine;
  machine.id = machine.name = id;
  machine.moonraker_url = url;
  return machine;
}

using Ids = std::vector<std::string>;

TEST(Config, AMachineIsEnabledUnlessTheFileOrTheEnvironmentSaysOtherwise) {
  const std::string machine(kMachine);
  EXPECT_TRUE(good(machine).machines[0].enabled);
  EXPECT_FALSE(good(machine + "enabled = false\n").machines[0].enabled);
  EXPECT_FALSE(good(machine, {{"MILLRACE_MACHINE_VORON_2_ENABLED", "false"}}).machines[0].enabled);
  expect_all(refusal(machine + "enabled = \"no\"\n"), {"machine 1.enabled", "true or false"});
}

TEST(ConfigChanges, MachinesThatCameChangedAndWentAreNamed) {
  const std::vector<MachineConfig> before{machine_at("a", "http://a"), machine_at("b", "http://b"),
                                          machine_at("c", "http://c")};
  const auto changes = changes_between(
      before, {machine_at("d", "http://d"), machine_at("b", "http://other"), machine_at("a", "http://a")});
  EXPECT_EQ(changes.added, Ids{"d"});
  EXPECT_EQ(changes.changed, Ids{"b"});
  EXPECT_EQ(changes.removed, Ids{"c"});
  EXPECT_FALSE(changes.empty());
}

TEST(ConfigChanges, AnotherOrderIsNoChange) {
  const auto a = machine_at("a", "http://a");
  const auto b = machine_at("b", "http://b");
  EXPECT_TRUE(changes_between({a, b}, {b, a}).empty());
}

TEST(ConfigChanges, EveryKeyOfAMachineCounts) {
  const auto changed_by = [](auto change) {
    MachineConfig other = machine_at("a", "http://a");
    change(other);
    return changes_between({machine_at("a", "http://a")}, {other}).changed == Ids{"a"};
  };
  EXPECT_TRUE(changed_by([](MachineConfig& machine) { machine.name = "A"; }));
  EXPECT_TRUE(changed_by([](MachineConfig& machine) { machine.kind = "pick_and_place"; }));
  EXPECT_TRUE(changed_by([](MachineConfig& machine) { machine.enabled = false; }));
  EXPECT_TRUE(changed_by([](MachineConfig& machine) { machine.moonraker_api_key = "k"; }));
  EXPECT_TRUE(changed_by([](MachineConfig& machine) { machine.moonraker_username = "u"; }));
  EXPECT_TRUE(changed_by([](MachineConfig& machine) { machine.moonraker_password = "p"; }));
  EXPECT_TRUE(changed_by([](MachineConfig& machine) { machine.moonraker_ca_file = "ca.pem"; }));
}

TEST(ConfigChanges, OtherSettingsAreNamedByTheirKeys) {
  const std::string sensor = "[[sensor]]\ntopic = \"t\"\nmachine = \"voron-2\"\nsignal = \"s\"\n";
  const Config before = good(kMachine);
  EXPECT_TRUE(settings_that_differ(before, good(kMachine)).empty());
  EXPECT_TRUE(settings_that_differ(before, good("")).empty()) << "machines are no such setting";
  const Config after = good(std::string(kMachine) + sensor +
                            "[hub]\ndata_dir = \"elsewhere\"\nsd_card = true\n[http]\nlisten = \"[::1]:81\"\n");
  EXPECT_EQ(settings_that_differ(before, after), (Ids{"hub.data_dir", "hub.sd_card", "http.listen", "[[sensor]]"}));
}

}  // namespace
}  // namespace millrace
