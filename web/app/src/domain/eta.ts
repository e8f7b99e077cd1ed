// SPDX-License-Identifier: Apache-2.0
import { isProducing } from './state'
import type { Machine } from '@/api/types'

// Below these a share of the file says nothing about the time that is left.
const progressMin = 0.03
const printedMinS = 30

// When the current print is likely to end, in milliseconds since 1970, or null when nothing honest can be said.
// Rule of three over what was printed so far, counted from the moment when the hub heard of it.
export function expectedEnd(machine: Machine): number | null {
  if (!isProducing(machine) || machine.stale) return null
  const progress = machine.progress ?? machine.job?.progress
  const printed = machine.job?.print_duration
  const observed = Date.parse(machine.recorded_at ?? machine.updated_at ?? '')
  if (typeof progress !== 'number' || typeof printed !== 'number' || Number.isNaN(observed)) return null
  if (progress < progressMin || progress > 1 || printed < printedMinS) return null
  return observed + ((printed * (1 - progress)) / progress) * 1000
}
