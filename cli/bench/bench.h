// SPDX-License-Identifier: Apache-2.0
// `millrace bench`: measures, and prints one JSON object per result line with the ratio to a reference of the same
// round.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace millrace {

struct BenchOptions {
  uint64_t events = 200'000;
  uint64_t size = 256;  // bytes of one envelope
  uint64_t rounds = 5;
  uint64_t producers = 4;           // of ingest
  uint64_t machines = 50;           // of latency
  uint64_t seconds = 20;            // of latency
  std::filesystem::path directory;  // empty: a temporary one, removed again
};

// Durable appends through EventLog against a plain file with CRC and one fdatasync per 1,024 events, interleaved.
int run_bench_append(const BenchOptions& options);
// Producers with outbox through a Mosquitto of its own to confirmed events; 64 and 1 events per publish, interleaved.
int run_bench_ingest(const BenchOptions& options);
// Simulated machines to a WebSocket client, through every part of the product as processes of their own.
int run_bench_latency(const BenchOptions& options);
// `millrace log verify` of a log of so many events against SHA-256 of a plain file of the same size.
int run_bench_verify(const BenchOptions& options);

}  // namespace millrace
