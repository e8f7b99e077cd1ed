// SPDX-License-Identifier: Apache-2.0
// The routes of keys and sessions, with those by which clients of older systems know them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "web/edge/routes.h"

namespace millrace {

std::vector<Route> access_routes();
// By name.
std::vector<std::pair<std::string_view, std::string>> access_schemas();

HttpResponse answer_keys(const RouteContext&, const RouteRequest&);
HttpResponse answer_key(const RouteContext&, const RouteRequest&);
HttpResponse make_key(const RouteContext&, const RouteRequest&);
HttpResponse change_key(const RouteContext&, const RouteRequest&);
HttpResponse rotate_key(const RouteContext&, const RouteRequest&);
HttpResponse revoke_key(const RouteContext&, const RouteRequest&);

HttpResponse answer_session(const RouteContext&, const RouteRequest&);
HttpResponse open_session(const RouteContext&, const RouteRequest&);
HttpResponse close_session(const RouteContext&, const RouteRequest&);
HttpResponse make_socket_token(const RouteContext&, const RouteRequest&);

// KlipperPlace's, in route_placer_keys.cc.
HttpResponse answer_placer_keys(const RouteContext&, const RouteRequest&);
HttpResponse answer_placer_key(const RouteContext&, const RouteRequest&);
HttpResponse make_placer_key(const RouteContext&, const RouteRequest&);
HttpResponse change_placer_key(const RouteContext&, const RouteRequest&);
HttpResponse revoke_placer_key(const RouteContext&, const RouteRequest&);
HttpResponse answer_placer_status(const RouteContext&, const RouteRequest&);
// Whether the path is one of these, whose errors are {"status":"error", "error_code", "error_message"}.
bool is_placer_surface(std::string_view path);
HttpResponse in_placer_words(HttpResponse response);

// 3d-print-logger's, in route_older_keys.cc.
HttpResponse answer_older_keys(const RouteContext&, const RouteRequest&);
HttpResponse make_older_key(const RouteContext&, const RouteRequest&);
HttpResponse revoke_older_key(const RouteContext&, const RouteRequest&);

}  // namespace millrace
