// SPDX-License-Identifier: Apache-2.0
// From Moonraker's HTTP paths to its methods.
#pragma once

#include "producers/simulator/moonraker.h"

namespace millrace {

struct HttpRoute {
  std::string method;
  std::string params;       // JSON object
  uint64_t connection = 0;  // of a subscription over HTTP, else 0
};

// "/printer/objects/query?extruder=temperature&fan" -> printer.objects.query with {"objects":{"extruder":
// ["temperature"],"fan":null}}.  Any other path becomes the method with dots; the service says whether it exists.
// Errors: 405 for the wrong verb, 404 for what cannot be a method.
boost::system::result<HttpRoute, MoonrakerError> route_http(const HttpRequest& request);

}  // namespace millrace
