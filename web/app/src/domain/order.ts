// SPDX-License-Identifier: Apache-2.0
import { expectedEnd } from './eta'
import { isOffline, isProducing, machineName, needsYou } from './state'
import type { Machine } from '@/api/types'

const minuteMs = 60_000

// Who comes first: needs a person, ends next, idle, offline.
function rank(machine: Machine): number {
  if (isOffline(machine)) return 3
  if (needsYou(machine)) return 0
  return isProducing(machine) ? 1 : 2
}

// Ends are compared by the minute, so that two prints that end together do not swap places all the time.
function endMinute(machine: Machine): number {
  const end = expectedEnd(machine)
  return end === null ? Number.MAX_SAFE_INTEGER : Math.floor(end / minuteMs)
}

export function inOrder(machines: Iterable<Machine>): Machine[] {
  return [...machines].sort(
    (a, b) =>
      rank(a) - rank(b) ||
      endMinute(a) - endMinute(b) ||
      machineName(a).localeCompare(machineName(b), undefined, { numeric: true }) ||
      (a.id < b.id ? -1 : 1),
  )
}
