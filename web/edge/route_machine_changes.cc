// SPDX-License-Identifier: Apache-2.0
// Machines made, changed and removed by people.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "bus/logging.h"
#include "net/url.h"
#include "projections/machine_facts.h"
#include "projections/machine_state.h"
#include "web/edge/body_reader.h"
#include "web/edge/machine_settings.h"
#include "web/edge/problem.h"
#include "web/edge/routes.h"
#include "web/edge/safety_json.h"

namespace millrace {
namespace {

using schema::MachineConfiguredT;
using schema::MachineViewT;
using Machines = std::map<std::string, MachineViewT>;

constexpr double kMaxMillimetres = 100'000;
constexpr size_t kMaxMaterials = 4096;
constexpr size_t kMaxMachineId = 64;

// PUT says everything, and what it leaves out is taken away; PATCH changes what it names.
enum class Whole { kNo, kYes };

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// "Voron 2.4 (left)" -> "voron-2-4-left"
std::string id_from(std::string_view name) {
  std::string id;
  for (const char c : lower(name)) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (fits) id += c;
    if (!fits && !id.empty() && id.back() != '-') id += '-';
  }
  id.resize(std::min(id.size(), kMaxMachineId));
  while (id.ends_with('-')) id.pop_back();
  return id;
}

void read_texts(BodyReader& body, MachineConfiguredT& machine, Whole whole) {
  struct Field {
    std::string_view name;
    std::string& into;
    TextRule rule;
  };
  const Field fields[] = {
      {"make", machine.make, {.max_bytes = 100}},
      {"model", machine.model, {.max_bytes = 100}},
      {"location", machine.location, {.max_bytes = 200}},
      {"description", machine.description, {.max_bytes = 500, .lines = true}},
  };
  for (const Field& field : fields) {
    if (body.has(field.name) || whole == Whole::kYes) field.into = body.text(field.name, field.rule).value_or("");
  }
  if (body.has("technology") || whole == Whole::kYes) {
    machine.technology = body.word("technology", {"FDM", "Resin", "SLS"}).value_or("");
  }
  if (body.has("loaded_materials") || whole == Whole::kYes) {
    machine.loaded_materials_json = body.json("loaded_materials", kMaxMaterials).value_or("");
  }
}

void read_sizes(BodyReader& body, MachineConfiguredT& machine, Whole whole) {
  constexpr double kSmallest = 0.01;
  constexpr double kWidestBore = 20;
  struct Field {
    std::string_view name;
    flatbuffers::Optional<double>& into;
    double max;
  };
  const Field fields[] = {
      {"nozzle_diameter", machine.nozzle_diameter, kWidestBore},
      {"filament_diameter", machine.filament_diameter, kWidestBore},
      {"bed_x", machine.bed_x, kMaxMillimetres},
      {"bed_y", machine.bed_y, kMaxMillimetres},
      {"bed_z", machine.bed_z, kMaxMillimetres},
  };
  for (const Field& field : fields) {
    if (!body.has(field.name) && whole == Whole::kNo) continue;
    field.into = body.number(field.name, kSmallest, field.max);
  }
  if (body.has("heated_bed") || whole == Whole::kYes) machine.heated_bed = body.flag("heated_bed");
  if (body.has("heated_chamber") || whole == Whole::kYes) machine.heated_chamber = body.flag("heated_chamber");
}

// What the connection is made of, beside the secrets.
void read_connection(BodyReader& body, MachineConfiguredT& machine) {
  if (const auto name = body.text("name", {.max_bytes = 100, .empty = false})) machine.name = *name;
  if (const auto kind = body.word("kind", {"printer", "pick_and_place"})) machine.kind = *kind;
  if (const auto enabled = body.flag("enabled")) machine.enabled = *enabled;
  if (const auto url = body.text("moonraker_url", {.max_bytes = 500, .empty = false})) {
    if (const auto wrong = wrong_moonraker_url(*url)) body.refuse("moonraker_url", *wrong);
    machine.moonraker_url = *url;
  }
  if (body.has("tls_ca")) {
    machine.tls_ca = body.text("tls_ca", {.max_bytes = 100}).value_or("");
    if (!is_certificate_name(machine.tls_ca)) {
      body.refuse("tls_ca", "expected the name of a PEM file beside secrets.json, as in \"shop-ca.pem\"");
    }
  }
}

// Into what is kept.  False when nothing was said about them.
bool read_secret(BodyReader& body, MachineSecret& secret) {
  const auto take = [&](std::string_view name, std::string& into) {
    if (!body.has(name)) return false;
    into = body.text(name, kMoonrakerSecret).value_or("");
    return true;
  };
  const bool key = take("api_key", secret.api_key);
  const bool user = take("username", secret.username);
  const bool password = take("password", secret.password);
  if (!key && !user && !password) return false;
  refuse_half_login(body, secret);
  return true;
}

std::string authentication_of(const MachineSecret& secret) {
  if (!secret.api_key.empty()) return "api_key";
  return secret.username.empty() ? "none" : "login";
}

HttpResponse machine_answer(const RouteContext& context, const std::string& id, int status) {
  const auto machine = find_machine(*context.parts.store.reader(), id);
  if (!machine) return api_problem_from(machine.error());
  if (!*machine) return machine_not_found(id);
  const auto safety = read_safety_state(*context.parts.store.reader(), id);
  if (!safety) return api_problem_from(safety.error());
  JsonWriter json;
  write_machine(json, **machine, &*safety, shown_at(context));
  HttpResponse response;
  response.status = status;
  response.body = json.take();
  if (status == 201) response.headers.emplace_back("Location", "/api/v1/machines/" + id);
  return response;
}

std::optional<HttpResponse> name_taken(const Machines& machines, const std::string& id, const std::string& name) {
  for (const auto& [other, machine] : machines) {
    if (other == id || machine.removed || lower(machine.name) != lower(name)) continue;
    return api_problem(409, "name_taken", fmt::format("machine '{}' has the name '{}'; choose another", other, name));
  }
  return std::nullopt;
}

HttpResponse of_the_file(const std::string& id) {
  return api_problem(409, "managed_by_config",
                     fmt::format("machine '{}' is of the configuration file: its name, kind and connection are changed "
                                 "there, and take effect as soon as it is saved",
                                 id));
}

// The secret first: the adapters read it when they hear of the event.
WriteDecision record(const RouteContext& context, const RouteRequest& request, const std::string& id,
                     MachineConfiguredT machine, const std::optional<MachineSecret>& secret, int status) {
  if (secret) {
    if (context.options.secrets_file.empty()) {
      return api_problem(503, "secrets_unavailable", "this hub has no place to keep a machine's secrets");
    }
    machine.authentication = authentication_of(*secret);
    if (auto kept = MachineSecrets(context.options.secrets_file).write(id, *secret); !kept) {
      log_error("edge", "secrets of machine '{}': {}", id, kept.error().message());
      return api_problem(503, "secrets_unavailable", "the file of secrets cannot be written; the hub's log says why");
    }
  }
  const WallTime now = context.parts.clock.wall();
  EdgeWrite write;
  write.events.push_back(draft_of(std::move(machine), id, now, now));
  write.events.back().actor = request.actor;
  write.answer = [id, status](const RouteContext& later) { return machine_answer(later, id, status); };
  return write;
}

WriteDecision decide_change(const RouteContext& context, const RouteRequest& request, Whole whole) {
  const std::string& id = request.path.at("id");
  const auto machines = read_machines(*context.parts.store.reader());
  if (!machines) return api_problem_from(machines.error());
  const auto found = machines->find(id);
  if (found == machines->end() || found->second.removed) return machine_not_found(id);
  const MachineConfiguredT before = configured_from(found->second);
  MachineConfiguredT after = before;
  BodyReader body(request.http);
  const bool of_file = before.managed_by == "config";
  if (body.has("id") && body.text("id").value_or("") != id) {
    body.refuse("id", "expected the path's, or nothing: an id is for ever");
  }
  if (whole == Whole::kYes && !of_file) {
    body.require("name");
    body.require("moonraker_url");
    after.kind = "printer";
    after.enabled = true;
    after.tls_ca.clear();
  }
  read_connection(body, after);
  read_texts(body, after, whole);
  read_sizes(body, after, whole);
  MachineSecret secret;
  if (!of_file && !context.options.secrets_file.empty()) {
    auto kept = MachineSecrets(context.options.secrets_file).read(id);
    if (kept) secret = std::move(*kept);
  }
  const bool says_secret = read_secret(body, secret);
  if (auto refused = body.problem()) return std::move(*refused);
  const bool same_connection = after.name == before.name && after.kind == before.kind &&
                               after.enabled == before.enabled && after.moonraker_url == before.moonraker_url &&
                               after.tls_ca == before.tls_ca;
  if (of_file && (says_secret || !same_connection)) return of_the_file(id);
  if (auto taken = name_taken(*machines, id, after.name)) return std::move(*taken);
  return record(context, request, id, std::move(after), says_secret ? std::optional(secret) : std::nullopt, 200);
}

}  // namespace

std::optional<std::string> wrong_moonraker_url(const std::string& text) {
  const auto url = parse_url(text);
  if (!url) return fmt::format("expected http://HOST:PORT or https://HOST:PORT ({})", url.error().context);
  if (url->target.find('?') != std::string::npos) return "expected http://HOST:PORT without a query";
  return std::nullopt;
}

void refuse_half_login(BodyReader& body, const MachineSecret& secret) {
  if (!secret.api_key.empty() || secret.username.empty() == secret.password.empty()) return;
  body.refuse(secret.username.empty() ? "username" : "password", "is missing, a login needs both");
}

bool is_certificate_name(std::string_view name) {
  return name.empty() || (name.front() != '.' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
                            return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                          }));
}

WriteDecision decide_add_machine(const RouteContext& context, const RouteRequest& request) {
  const auto machines = read_machines(*context.parts.store.reader());
  if (!machines) return api_problem_from(machines.error());
  MachineConfiguredT machine;
  machine.kind = "printer";
  machine.managed_by = "api";
  machine.enabled = true;
  machine.authentication = "none";
  BodyReader body(request.http);
  body.require("name");
  body.require("moonraker_url");
  read_connection(body, machine);
  read_texts(body, machine, Whole::kYes);
  read_sizes(body, machine, Whole::kYes);
  MachineSecret secret;
  const bool says_secret = read_secret(body, secret);
  const std::string id = body.has("id") ? body.text("id").value_or("") : id_from(machine.name);
  if (body.has("id") && !is_valid_machine_id(id)) body.refuse("id", "expected 1 to 64 of a-z, 0-9 and '-'");
  if (body.has("id") && is_reserved_name(id)) body.refuse("id", "this name is reserved; choose another");
  if (auto refused = body.problem()) return std::move(*refused);
  if (!is_valid_machine_id(id) || is_reserved_name(id)) {
    return api_problem(
        400, "invalid_field",
        fmt::format("no id can be made of the name '{}'; give one: 1 to 64 of a-z, 0-9 and '-'", machine.name));
  }
  const auto found = machines->find(id);
  if (found != machines->end() && !found->second.removed) {
    return api_problem(409, "id_taken",
                       fmt::format("there is a machine '{}' already; choose another id, or change it by PATCH", id));
  }
  if (auto taken = name_taken(*machines, id, machine.name)) return std::move(*taken);
  return record(context, request, id, std::move(machine), says_secret ? std::optional(secret) : std::nullopt, 201);
}

WriteDecision decide_replace_machine(const RouteContext& context, const RouteRequest& request) {
  return decide_change(context, request, Whole::kYes);
}

WriteDecision decide_patch_machine(const RouteContext& context, const RouteRequest& request) {
  return decide_change(context, request, Whole::kNo);
}

WriteDecision decide_remove_machine(const RouteContext& context, const RouteRequest& request) {
  const std::string& id = request.path.at("id");
  const auto machine = find_machine(*context.parts.store.reader(), id);
  if (!machine) return api_problem_from(machine.error());
  if (!*machine || (**machine).removed) return machine_not_found(id);
  const bool enabled = !(**machine).settings || (**machine).settings->enabled;
  const bool in_file = context.options.file_secret && context.options.file_secret(id);
  if (in_file || ((**machine).managed_by == "config" && enabled)) return of_the_file(id);
  schema::MachineRemovedT removed;
  removed.reason = "by request";
  const WallTime now = context.parts.clock.wall();
  EdgeWrite write;
  write.events.push_back(draft_of(std::move(removed), id, now, now));
  write.events.back().actor = request.actor;
  write.answer = [id](const RouteContext& later) {
    if (!later.options.secrets_file.empty()) {
      if (auto gone = MachineSecrets(later.options.secrets_file).write(id, {}); !gone) {
        log_error("edge", "secrets of removed machine '{}': {}", id, gone.error().message());
      }
    }
    HttpResponse response;
    response.status = 204;
    response.content_type.clear();
    return response;
  };
  return write;
}

}  // namespace millrace
