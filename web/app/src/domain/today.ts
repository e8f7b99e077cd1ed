// SPDX-License-Identifier: Apache-2.0
import type { Job } from '@/api/types'

// The hub sends the newest jobs only, at most this many.
const snapshotJobs = 50

// Counts the jobs started since `dayStart`, or null when the known jobs may not reach back that far.
export function startedToday(jobs: Iterable<Job>, dayStart: number) {
  let known = 0
  let reachesBack = false
  let started = 0
  let completed = 0
  for (const job of jobs) {
    known += 1
    const start = Date.parse(job.started_at ?? '')
    if (Number.isNaN(start)) continue
    if (start < dayStart) {
      reachesBack = true
      continue
    }
    started += 1
    if (job.outcome === 'completed') completed += 1
  }
  return reachesBack || known < snapshotJobs ? { started, completed } : null
}
