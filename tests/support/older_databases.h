// SPDX-License-Identifier: Apache-2.0
// Databases as the older systems make them: the tables of their newest schema, and short verbs to fill them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sql/sql_database.h"

namespace millrace::testing {

inline std::unique_ptr<SqlDatabase> open_for_test(const std::string& url, const std::string& password = "") {
  auto database = SqlDatabase::open({.url = parse_database_url(url).value(), .password = password});
  EXPECT_TRUE(database.has_value()) << database.error().message();
  return database ? std::move(*database) : nullptr;
}

// Either of them, open for writing.
class OlderDatabase {
 public:
  explicit OlderDatabase(std::unique_ptr<SqlDatabase> database) : database_(std::move(database)) {}

  void run(const std::string& sql, const std::vector<SqlValue>& values = {}) {
    const auto done = database_->execute(sql, values);
    ASSERT_TRUE(done.has_value()) << sql << ": " << done.error().message();
  }
  SqlDatabase& database() { return *database_; }
  void close() { database_.reset(); }

 protected:
  bool is_mysql() const { return database_->dialect() == SqlDialect::kMysql; }
  // As SQLAlchemy writes them for each of both.
  std::string key() const {
    return is_mysql() ? "INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY" : "INTEGER NOT NULL PRIMARY KEY";
  }
  std::string end() const { return is_mysql() ? ") CHARACTER SET utf8mb4" : ")"; }

  std::unique_ptr<SqlDatabase> database_;
};

class PrintLogDatabase : public OlderDatabase {
 public:
  explicit PrintLogDatabase(std::unique_ptr<SqlDatabase> database) : OlderDatabase(std::move(database)) {
    const std::string stamps = "created_at DATETIME, updated_at DATETIME";
    run("CREATE TABLE printers (id " + key() +
        ", name VARCHAR(100) NOT NULL, location VARCHAR(200), moonraker_url "
        "VARCHAR(500) NOT NULL, moonraker_api_key VARCHAR(200), is_active BOOLEAN, last_seen DATETIME, printer_type "
        "VARCHAR(50), make VARCHAR(100), model VARCHAR(100), description VARCHAR(500), filament_diameter FLOAT, "
        "nozzle_diameter FLOAT, bed_x FLOAT, bed_y FLOAT, bed_z FLOAT, has_heated_bed BOOLEAN, has_heated_chamber "
        "BOOLEAN, loaded_materials JSON, " +
        stamps + end());
    run("CREATE TABLE print_jobs (id " + key() +
        ", printer_id INTEGER NOT NULL, job_id VARCHAR(100) NOT NULL, user "
        "VARCHAR(100), filename VARCHAR(500) NOT NULL, title VARCHAR(500), url VARCHAR(1000), status VARCHAR(50), "
        "start_time DATETIME, end_time DATETIME, print_duration FLOAT, total_duration FLOAT, filament_used FLOAT, "
        "job_metadata JSON, auxiliary_data JSON, " +
        stamps + end());
    run("CREATE TABLE job_details (id " + key() +
        ", print_job_id INTEGER NOT NULL UNIQUE, layer_height FLOAT, "
        "first_layer_height FLOAT, nozzle_temp INTEGER, bed_temp INTEGER, print_speed INTEGER, infill_percentage "
        "INTEGER, infill_pattern VARCHAR(50), support_enabled BOOLEAN, support_type VARCHAR(50), filament_type "
        "VARCHAR(50), filament_brand VARCHAR(100), filament_color VARCHAR(50), slicer_name VARCHAR(100), "
        "slicer_version VARCHAR(50), estimated_time INTEGER, estimated_filament FLOAT, layer_count INTEGER, "
        "object_height FLOAT, filament_used_mm JSON, filament_used_cm3 JSON, filament_used_g JSON, filament_cost "
        "JSON, total_filament_used_g FLOAT, total_filament_cost FLOAT, config_block JSON, raw_metadata JSON, "
        "thumbnail_base64 TEXT, " +
        stamps + end());
    run("CREATE TABLE maintenance_records (id " + key() +
        ", printer_id INTEGER NOT NULL, date DATETIME NOT NULL, "
        "done BOOLEAN, category VARCHAR(100), description VARCHAR(500), cost FLOAT, notes VARCHAR(2000), " +
        stamps + end());
    run("CREATE TABLE api_keys (id " + key() + ", key_hash VARCHAR(64), key_prefix VARCHAR(12), name VARCHAR(100)" +
        end());
  }

  void printer(int64_t id, const std::string& name, const std::string& key = "") {
    run("INSERT INTO printers (id, name, location, moonraker_url, moonraker_api_key, is_active, printer_type, make, "
        "nozzle_diameter, bed_x, has_heated_bed, loaded_materials, created_at) VALUES (?, ?, 'Keller', ?, ?, 1, 'FDM', "
        "'Voron', 0.4, 350, 1, '[\"PLA\"]', '2026-01-01 00:00:00')",
        {id, name, "http://10.0.0." + std::to_string(id) + ":7125", key});
  }

  struct Job {
    std::string job_id = "00000A";
    std::string start = "2026-01-05 10:00:00.250000";
    std::string end = "2026-01-05 11:00:00.500000";
    std::string status = "completed";
    std::string file = "cube.gcode";
    std::string created;  // empty: long after it, as by an import
    std::string title;
    SqlValue total = 3600.25;
    int64_t printer = 1;
    int64_t id = 0;  // 0: the next one
  };
  void job(const Job& job) {
    const auto text = [](const std::string& value) { return value.empty() ? SqlValue() : SqlValue(value); };
    run("INSERT INTO print_jobs (id, printer_id, job_id, user, filename, title, status, start_time, end_time, "
        "print_duration, total_duration, filament_used, job_metadata, created_at) VALUES (?, ?, ?, 'anna', ?, ?, ?, "
        "?, ?, 3000.5, ?, 1234.5, '{\"slicer\": \"OrcaSlicer\"}', ?)",
        {job.id == 0 ? SqlValue() : SqlValue(job.id), job.printer, job.job_id, job.file, text(job.title), job.status,
         job.start, text(job.end), job.total,
         job.created.empty() ? std::string("2026-10-01 03:14:15.926535") : job.created});
  }
  void record(int64_t id, const std::string& description, bool done, const std::string& category = "cleaning") {
    run("INSERT INTO maintenance_records (id, printer_id, date, done, category, description, cost, notes, created_at) "
        "VALUES (?, 1, '2026-02-01 08:00:00', ?, ?, ?, 12.5, 'mit Öl', '2026-02-01 08:01:00')",
        {id, static_cast<int64_t>(done), category, description});
  }
};

class KlipperIwcDatabase : public OlderDatabase {
 public:
  explicit KlipperIwcDatabase(std::unique_ptr<SqlDatabase> database) : OlderDatabase(std::move(database)) {
    run("CREATE TABLE status_history (id " + key() +
        ", state VARCHAR(32) NOT NULL, message TEXT, uptime_seconds "
        "INTEGER, recorded_at DATETIME NOT NULL, active_job_id VARCHAR(128), active_job_name VARCHAR(255), "
        "active_job_progress FLOAT, active_job_status VARCHAR(32), active_job_started_at DATETIME, "
        "active_job_estimated_completion DATETIME, created_at DATETIME" +
        end());
    run("CREATE TABLE temperature_history (id " + key() +
        ", status_id INTEGER NOT NULL, component VARCHAR(128) NOT "
        "NULL, actual FLOAT NOT NULL, target FLOAT, timestamp DATETIME NOT NULL, created_at DATETIME" +
        end());
    run("CREATE TABLE job_history (id " + key() +
        ", status_id INTEGER NOT NULL, job_identifier VARCHAR(128) NOT "
        "NULL, name VARCHAR(255) NOT NULL, progress FLOAT NOT NULL, status_value VARCHAR(32) NOT NULL, started_at "
        "DATETIME, estimated_completion DATETIME, is_active BOOLEAN NOT NULL, created_at DATETIME" +
        end());
  }

  void status(int64_t id, const std::string& at, const std::string& job = "", double progress = 0) {
    run("INSERT INTO status_history (id, state, uptime_seconds, recorded_at, active_job_name, active_job_progress, "
        "created_at) VALUES (?, 'printing', 5, ?, ?, ?, ?)",
        {id, at, job.empty() ? SqlValue() : SqlValue(job), job.empty() ? SqlValue() : SqlValue(progress), at});
  }
  void temperature(int64_t status, const std::string& component, double actual, const SqlValue& target,
                   const std::string& at) {
    run("INSERT INTO temperature_history (status_id, component, actual, target, timestamp, created_at) VALUES (?, ?, "
        "?, ?, ?, ?)",
        {status, component, actual, target, at, at});
  }
  void job(int64_t status, const std::string& name, const std::string& state, double progress,
           const std::string& started) {
    run("INSERT INTO job_history (status_id, job_identifier, name, progress, status_value, started_at, is_active) "
        "VALUES (?, 'job-1', ?, ?, ?, ?, 1)",
        {status, name, progress, state, started.empty() ? SqlValue() : SqlValue(started)});
  }
};

}  // namespace millrace::testing
