# SPDX-License-Identifier: Apache-2.0
# Who may include whom, as docs/architecture.md draws it.  Arguments: every .cc and .h file, as paths from the root.
# Prints one line for each include that goes the wrong way; exit code 1 if there is one.

BEGIN {
  # folder -> folders that it may include, besides itself
  allow("bus", "schemas")
  allow("net", "schemas bus")
  allow("sql", "schemas bus net")
  allow("safety", "schemas bus")
  allow("gcode", "bus")
  allow("producers", "schemas bus net sql safety gcode")
  allow("consumers", "schemas bus net")
  allow("projections", "schemas bus safety")
  allow("mirror", "schemas bus sql projections")
  allow("web", "schemas bus net safety projections")
  allow("cli", "schemas bus net sql safety gcode producers consumers projections mirror web")
  allow("tests", "schemas bus net sql safety gcode producers consumers projections mirror web cli")

  # name, headers of a library, the only files of the product that may include them, and how many may at most (0 = any)
  wrap("Paho", "^mqtt/|^MQTT", "^bus/[a-z0-9_]+\\.cc$", 1)
  wrap("RocksDB", "^rocksdb/", "^(bus|projections)/[a-z0-9_]*rocksdb[a-z0-9_]*\\.(cc|h)$", 0)
  wrap("Beast and Asio", "^boost/(beast|asio)", "^net/[a-z0-9_]+\\.(cc|h)$", 0)
  wrap("libcurl", "^curl/", "^net/http_client\\.cc$", 1)
  wrap("spdlog", "^spdlog/", "^bus/logging\\.cc$", 1)
  wrap("prometheus-cpp", "^prometheus/", "^bus/metrics\\.cc$", 1)
  wrap("toml++", "^toml", "^cli/[a-z0-9_]+\\.cc$", 1)
  wrap("CLI11", "^CLI/", "^cli/[a-z0-9_]+\\.cc$", 1)
  wrap("simdjson", "^simdjson", "^bus/json_reader\\.(cc|h)$", 0)
  wrap("OpenSSL", "^openssl/", "^(bus|net|projections|consumers|web/edge)/[a-z0-9_]+\\.cc$", 0)
  wrap("SOCI", "^soci/", "^sql/[a-z0-9_]+\\.cc$", 0)
  wrap("SQLite", "^sqlite3", "^$", 0)   # through SOCI only
  wrap("lz4", "^lz4", "^bus/event_group\\.cc$", 1)
  wrap("zlib", "^zlib", "^(bus/crc32|gcode/inflate)\\.cc$", 2)
  wrap("nlohmann/json", "^nlohmann/", "^$", 0)   # tests only
}

function allow(folder, folders,    list, i, n) {
  known[folder] = 1
  known["schemas"] = 1
  n = split(folders " " folder, list, " ")
  for (i = 1; i <= n; ++i) may[folder, list[i]] = 1
}

function wrap(name, headers, files, most) {
  ++wraps
  wrap_name[wraps] = name
  wrap_headers[wraps] = headers
  wrap_files[wraps] = files
  wrap_most[wraps] = most
}

function complain(text) { print text; bad = 1 }

/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
  quoted = ($0 ~ /include[ \t]*"/)
  path = $0
  sub(/^[^<"]*[<"]/, "", path)
  sub(/[>"].*/, "", path)
  if (quoted) check_direction(path)
  else check_library(path)
}

function check_direction(path,    from, to) {
  from = FILENAME
  sub(/\/.*/, "", from)
  to = path
  sub(/\/.*/, "", to)
  if (FILENAME ~ /^tests\// && path !~ /\//) return   # a fixture beside the test
  if (path !~ /\// || !(to in known))
    complain(FILENAME ":" FNR ": \"" path "\": name it from the project's root, as in \"bus/event_log.h\"")
  else if (!((from, to) in may))
    complain(FILENAME ":" FNR ": \"" path "\": " from "/ must not include from " to "/")
  else if (!((FILENAME, path) in uses)) {
    uses[FILENAME, path] = 1
    includer[++edges] = FILENAME
    included[edges] = path
    line[edges] = FNR
  }
}

function check_library(path,    w) {
  for (w = 1; w <= wraps; ++w) {
    if (path !~ wrap_headers[w]) continue
    taints[w, FILENAME] = 1
    if (FILENAME ~ /^tests\//) continue
    if (FILENAME !~ wrap_files[w])
      complain(FILENAME ":" FNR ": <" path ">: " wrap_name[w] " stays behind its wrapper (" wrap_files[w] ")")
    else if (!((w, FILENAME) in counted)) {
      counted[w, FILENAME] = 1
      if (++users[w] == wrap_most[w] + 1 && wrap_most[w])
        complain(FILENAME ":" FNR ": <" path ">: " wrap_name[w] " already has a wrapper in another file")
    }
  }
}

# A header that shows a library to those who include it belongs to the wrapper: nobody else may include it.
function check_leaks(w,    again, i) {
  do {
    again = 0
    for (i = 1; i <= edges; ++i) {
      if (!((w, included[i]) in taints) || ((w, includer[i]) in taints)) continue
      taints[w, includer[i]] = 1
      again = 1
      if (includer[i] !~ /^tests\// && includer[i] !~ wrap_files[w])
        complain(includer[i] ":" line[i] ": \"" included[i] "\": shows " wrap_name[w] " outside its wrapper")
    }
  } while (again)
}

# simdjson is an exception: the reader's header names its types on purpose.
END {
  for (w = 1; w <= wraps; ++w)
    if (wrap_name[w] != "simdjson") check_leaks(w)
  exit bad
}
