// SPDX-License-Identifier: Apache-2.0
// A connection to an SQLite, MySQL, MariaDB or PostgreSQL database.  The only door to SOCI.
//
// One thread at a time.  Values are bound, never part of the SQL: that is written in the program and has a `?` where a
// value goes.  Sessions speak UTF-8 and UTC.  After an error outside a transaction the connection may be of no more
// use: open another one.  Messages hold what the server said, never a password and never a bound value of ours.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bus/result.h"
#include "sql/database_url.h"

namespace millrace {

// NULL, a whole number, a real one, or text.  What is read: of SQLite the type that was stored, whatever the column was
// declared; of the others by the column's type: whole numbers and truth values as integers, real and decimal numbers as
// doubles, all else (dates and times too) as the text that the server shows.
using SqlValue = std::variant<std::monostate, int64_t, double, std::string>;
using SqlRow = std::vector<SqlValue>;

struct DatabaseOptions {
  DatabaseUrl url;
  std::string password;
  // Nothing can be written; an SQLite file must exist and stays as it is, byte by byte.
  bool read_only = false;
  // For connecting, for one statement, and for a lock of SQLite.
  std::chrono::seconds timeout{30};
};

class SqlDatabase {
 public:
  // kNotFound for an SQLite file that is missing (read-only) or whose folder is, kMalformed for a file that is no
  // database, kConflict while it is locked, kUnavailable for a server that does not answer or does not let us in.
  static Result<std::unique_ptr<SqlDatabase>> open(DatabaseOptions options);
  virtual ~SqlDatabase() = default;

  virtual SqlDialect dialect() const = 0;

  // Runs one statement; the rows that it changed.  The prepared statement is kept for the next time.
  // kInvalidArgument when the number of values is not that of the `?`, for a double that is not finite (no two of the
  // servers agree about these) and for NUL in a text, which PostgreSQL would cut; kConflict for a lock, kUnavailable
  // when the connection is lost, kIo for anything else that the server does not like.
  virtual Result<uint64_t> execute(std::string_view sql, std::span<const SqlValue> values = {}) = 0;

  // Runs one SELECT and hands each row over; stops at the first error that `row` returns, and returns it.  The servers'
  // libraries hold the whole answer in memory: ask for large tables in pages.
  virtual Result<void> query(std::string_view sql, std::span<const SqlValue> values,
                             const std::function<Result<void>(const SqlRow&)>& row) = 0;

  // Runs `work` in a transaction: committed when it succeeds, otherwise rolled back.  An error of the commit leaves
  // open whether it took place.  MySQL commits by itself before and after any CREATE, ALTER and DROP.
  virtual Result<void> transact(const std::function<Result<void>()>& work) = 0;

  // All rows of one SELECT.
  Result<std::vector<SqlRow>> rows(std::string_view sql, std::span<const SqlValue> values = {});

  // The names of a table's columns in their order; empty when there is no such table.
  Result<std::vector<std::string>> columns_of(std::string_view table);
};

}  // namespace millrace
