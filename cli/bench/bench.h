// SPDX-License-Identifier: Apache-2.0
// `millrace bench`: measures, and prints one JSON object per result line with the ratio to a reference of the same
// round.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace millrace {

struct BenchOptions {
  uint64_t events = 200'000;  // of guard: decisions
  uint64_t size = 256;        // bytes of one envelope
  uint64_t rounds = 5;
  uint64_t producers = 4;           // of ingest and soak
  uint64_t machines = 50;           // of latency and stop
  uint64_t seconds = 20;            // of latency
  uint64_t megabytes = 100;         // of the file of gcode
  bool peers = false;               // ingest, replay and telemetry: other stores beside it
  std::filesystem::path directory;  // empty: a temporary one, removed again
};

// Durable appends through EventLog against a plain file with CRC and one fdatasync per 1,024 events, and against the
// same groups without chain, index and marks, interleaved.
int run_bench_append(const BenchOptions& options);
// A generated G-code file read for its metadata, against reading it and looking for the ends of its lines.
int run_bench_gcode(const BenchOptions& options);
// The guard's decisions over a mixed list of commands from their JSON, against parsing the same JSON.
int run_bench_guard(const BenchOptions& options);
// Commands from the HTTP request to Moonraker's socket, 100 a second, against Moonraker's own answers.
int run_bench_command(const BenchOptions& options);
// A lone event from its emission to its confirmation, against one fdatasync and one MQTT QoS 1 round trip.
int run_bench_confirm(const BenchOptions& options);
// Producers with outbox through a Mosquitto of its own to confirmed events; 64 and 1 events per publish, interleaved.
// With `peers` PostgreSQL and Redis store the same events in the same rounds.
int run_bench_ingest(const BenchOptions& options);
// Lists, searches and exports of a history of so many jobs, against the limits and grep over the exported lines.
int run_bench_jobs(const BenchOptions& options);
// Simulated machines to a WebSocket client, through every part of the product as processes of their own.
int run_bench_latency(const BenchOptions& options);
// A log of 95 % telemetry and 5 % facts folded into the history of jobs, by one thread and by two; with `peers` a Redis
// stream of the same events is read in the same rounds.
int run_bench_replay(const BenchOptions& options);
// A hub fed by producers for so many events: what it writes to the disk, what stays there, and its memory meanwhile.
int run_bench_soak(const BenchOptions& options);
// The start of a hub on a log of so many events, until it is ready.
int run_bench_start(const BenchOptions& options);
// Emergency stops from the request to Moonraker's socket: idle, and with so many machines, a full disk and a killed
// hub.
int run_bench_stop(const BenchOptions& options);
// 90 days of 10 signals by the minute, read from the view; with `peers` from SQLite in the same rounds.
int run_bench_telemetry(const BenchOptions& options);
// `millrace log verify` of a log of so many events against SHA-256 of a plain file of the same size.
int run_bench_verify(const BenchOptions& options);

}  // namespace millrace
