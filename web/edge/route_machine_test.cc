// SPDX-License-Identifier: Apache-2.0
// Whether a machine can be reached, tried out for a person who is about to add it or wonders why it is away.
#include <fmt/format.h>

#include <algorithm>

#include "projections/machine_state.h"
#include "web/edge/body_reader.h"
#include "web/edge/connection_test.h"
#include "web/edge/machine_settings.h"
#include "web/edge/problem.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

HttpResponse told(const std::vector<ConnectionTestStep>& steps) {
  const bool ok = std::none_of(steps.begin(), steps.end(), [](const auto& step) { return step.outcome == "failed"; });
  double total = 0;
  JsonWriter json;
  json.object().field("ok", ok).key("steps").array();
  for (const ConnectionTestStep& step : steps) {
    total += step.duration_s;
    json.object().field("step", step.step).field("outcome", step.outcome).field("duration", step.duration_s);
    json.field("detail", step.detail).key("what_to_do");
    step.advice.empty() ? json.null() : json.value(step.advice);
    json.end();
  }
  json.end().field("duration", total).end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

LaterDecision test_of(const RouteContext& context, ConnectionTestRequest request) {
  return LaterAnswer([&clock = context.parts.clock, request = std::move(request)](
                         IoLoop& loop, std::function<void(HttpResponse)> respond) {
    ConnectionTest::start(loop, clock, request,
                          [respond = std::move(respond)](const auto& steps) { respond(told(steps)); });
  });
}

std::string ca_file(const RouteContext& context, const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos) return name;  // the configuration file names a path
  return (context.options.secrets_file.parent_path() / name).string();
}

}  // namespace

LaterDecision prepare_connection_test(const RouteContext& context, const RouteRequest& request) {
  BodyReader body(request.http);
  body.require("moonraker_url");
  ConnectionTestRequest test;
  test.url = body.text("moonraker_url", {.max_bytes = 500, .empty = false}).value_or("");
  if (const auto wrong = wrong_moonraker_url(test.url)) body.refuse("moonraker_url", *wrong);
  test.secret.api_key = body.text("api_key", kMoonrakerSecret).value_or("");
  test.secret.username = body.text("username", kMoonrakerSecret).value_or("");
  test.secret.password = body.text("password", kMoonrakerSecret).value_or("");
  refuse_half_login(body, test.secret);
  test.prints = body.word("kind", {"printer", "pick_and_place"}).value_or("printer") == "printer";
  const std::string certificate = body.text("tls_ca", {.max_bytes = 100}).value_or("");
  if (!is_certificate_name(certificate)) {
    body.refuse("tls_ca", "expected the name of a PEM file beside secrets.json, as in \"shop-ca.pem\"");
  }
  if (auto refused = body.problem()) return std::move(*refused);
  test.ca_file = ca_file(context, certificate);
  return test_of(context, std::move(test));
}

LaterDecision prepare_machine_test(const RouteContext& context, const RouteRequest& request) {
  const std::string& id = request.path.at("id");
  BodyReader body(request.http);
  if (auto refused = body.problem()) return std::move(*refused);
  const auto machine = find_machine(*context.parts.store.reader(), id);
  if (!machine) return api_problem_from(machine.error());
  if (!*machine || (**machine).removed) return machine_not_found(id);
  const auto* settings = (**machine).settings.get();
  if (settings == nullptr || settings->moonraker_url.empty()) {
    return api_problem(409, "address_unknown",
                       fmt::format("machine '{}' is of another host's configuration file, where its address is", id));
  }
  ConnectionTestRequest test;
  test.url = settings->moonraker_url;
  test.ca_file = ca_file(context, settings->tls_ca);
  test.prints = (**machine).kind != "pick_and_place";
  const auto of_file = context.options.file_secret ? context.options.file_secret(id) : std::nullopt;
  if (of_file) {
    test.secret = *of_file;
  } else if (!context.options.secrets_file.empty()) {
    auto kept = MachineSecrets(context.options.secrets_file).read(id);
    if (kept) test.secret = std::move(*kept);
  }
  return test_of(context, std::move(test));
}

}  // namespace millrace
