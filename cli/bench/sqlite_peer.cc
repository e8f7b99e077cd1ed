// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/sqlite_peer.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cmath>

namespace millrace {
namespace {

// Of sqlite3.h, which is not needed to build this program.
constexpr int kOk = 0;
constexpr int kRow = 100;
constexpr int kDone = 101;

struct Database;
struct Statement;

}  // namespace

struct SqlitePeer::Library {
  void* handle = nullptr;
  Database* db = nullptr;
  int (*open)(const char*, Database**) = nullptr;
  int (*close)(Database*) = nullptr;
  int (*exec)(Database*, const char*, void*, void*, char**) = nullptr;
  const char* (*errmsg)(Database*) = nullptr;
  int (*prepare)(Database*, const char*, int, Statement**, const char**) = nullptr;
  int (*step)(Statement*) = nullptr;
  int (*reset)(Statement*) = nullptr;
  int (*finalize)(Statement*) = nullptr;
  int (*bind_int64)(Statement*, int, long long) = nullptr;
  int (*bind_double)(Statement*, int, double) = nullptr;
  double (*column_double)(Statement*, int) = nullptr;

  ~Library() {
    if (db != nullptr) close(db);
    if (handle != nullptr) ::dlclose(handle);
  }

  template <class Function>
  bool find(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(::dlsym(handle, name));
    return function != nullptr;
  }
  bool find_all() {
    return find("sqlite3_open", open) && find("sqlite3_close", close) && find("sqlite3_exec", exec) &&
           find("sqlite3_errmsg", errmsg) && find("sqlite3_prepare_v2", prepare) && find("sqlite3_step", step) &&
           find("sqlite3_reset", reset) && find("sqlite3_finalize", finalize) &&
           find("sqlite3_bind_int64", bind_int64) && find("sqlite3_bind_double", bind_double) &&
           find("sqlite3_column_double", column_double);
  }
  Error failed() const { return make_error(Errc::kIo, fmt::format("SQLite: {}", errmsg(db))); }
  Result<void> run(const char* sql) const {
    if (exec(db, sql, nullptr, nullptr, nullptr) != kOk) return failed();
    return {};
  }
};

SqlitePeer::SqlitePeer(std::unique_ptr<Library> library) : library_(std::move(library)) {}
SqlitePeer::~SqlitePeer() = default;

Result<std::unique_ptr<SqlitePeer>> SqlitePeer::open(const std::filesystem::path& file) {
  auto library = std::make_unique<Library>();
  library->handle = ::dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library->handle == nullptr || !library->find_all()) {
    return make_error(Errc::kUnavailable, "SQLite is not installed (Debian's libsqlite3-0)");
  }
  if (library->open(file.c_str(), &library->db) != kOk) return library->failed();
  auto made = library->run(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
      "CREATE TABLE minutes(signal INTEGER, minute INTEGER, min REAL, mean REAL, max REAL,"
      " PRIMARY KEY(signal, minute)) WITHOUT ROWID;");
  if (!made) return made.error();
  return std::unique_ptr<SqlitePeer>(new SqlitePeer(std::move(library)));
}

Result<void> SqlitePeer::insert(int signal, int64_t first_minute, const SignalColumns& columns) {
  const Library& sqlite = *library_;
  if (auto begun = sqlite.run("BEGIN"); !begun) return begun;
  Statement* statement = nullptr;
  if (sqlite.prepare(sqlite.db, "INSERT INTO minutes VALUES(?,?,?,?,?)", -1, &statement, nullptr) != kOk) {
    return sqlite.failed();
  }
  bool good = true;
  for (size_t i = 0; i < columns.mean.size() && good; ++i) {
    if (std::isnan(columns.mean[i])) continue;
    sqlite.bind_int64(statement, 1, signal);
    sqlite.bind_int64(statement, 2, first_minute + static_cast<int64_t>(i));
    sqlite.bind_double(statement, 3, columns.minimum[i]);
    sqlite.bind_double(statement, 4, columns.mean[i]);
    sqlite.bind_double(statement, 5, columns.maximum[i]);
    good = sqlite.step(statement) == kDone && sqlite.reset(statement) == kOk;
  }
  sqlite.finalize(statement);
  if (!good) return sqlite.failed();
  return sqlite.run("COMMIT");
}

Result<SignalColumns> SqlitePeer::select(int signal, int64_t from_minute, int64_t to_minute) {
  const Library& sqlite = *library_;
  Statement* statement = nullptr;
  constexpr auto* kSelect =
      "SELECT minute, min, mean, max FROM minutes WHERE signal=? AND minute>=? AND minute<? ORDER BY minute";
  if (sqlite.prepare(sqlite.db, kSelect, -1, &statement, nullptr) != kOk) return sqlite.failed();
  sqlite.bind_int64(statement, 1, signal);
  sqlite.bind_int64(statement, 2, from_minute);
  sqlite.bind_int64(statement, 3, to_minute);
  const auto count = static_cast<size_t>(to_minute - from_minute);
  SignalColumns columns;
  for (auto* column : {&columns.minimum, &columns.mean, &columns.maximum}) column->assign(count, std::nan(""));
  int outcome = 0;
  while ((outcome = sqlite.step(statement)) == kRow) {
    const auto i = static_cast<size_t>(static_cast<int64_t>(sqlite.column_double(statement, 0)) - from_minute);
    columns.minimum[i] = sqlite.column_double(statement, 1);
    columns.mean[i] = sqlite.column_double(statement, 2);
    columns.maximum[i] = sqlite.column_double(statement, 3);
  }
  sqlite.finalize(statement);
  if (outcome != kDone) return sqlite.failed();
  return columns;
}

}  // namespace millrace
