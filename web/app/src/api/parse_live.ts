// SPDX-License-Identifier: Apache-2.0
import type { Job, LiveMessage, Machine } from './types'

// Reads one frame of the live socket. Null for anything that is not one of the known messages: a newer hub may say
// more than this page understands, and that must not stop it.
export function parseLive(text: unknown): LiveMessage | null {
  if (typeof text !== 'string') return null
  let frame: unknown
  try {
    frame = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof frame !== 'object' || frame === null) return null
  const fields = frame as Record<string, unknown>
  const position = typeof fields['position'] === 'number' ? fields['position'] : null
  switch (fields['type']) {
    case 'snapshot':
    case 'delta': {
      if (position === null) return null
      const content = {
        position,
        machines: withId<Machine>(fields['machines']),
        jobs: withId<Job>(fields['jobs']),
      }
      if (fields['type'] === 'delta') {
        return {
          type: 'delta',
          ...content,
          removedMachines: texts(fields['removed_machines']),
          removedJobs: texts(fields['removed_jobs']),
        }
      }
      const incarnation = typeof fields['incarnation'] === 'string' ? fields['incarnation'] : null
      return { type: 'snapshot', incarnation, ...content }
    }
    case 'heartbeat':
      return { type: 'heartbeat', position, time: typeof fields['time'] === 'string' ? fields['time'] : null }
    default:
      return null
  }
}

function texts(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : []
}

function withId<T extends { id: string }>(list: unknown): T[] {
  if (!Array.isArray(list)) return []
  return list.filter((item): item is T => typeof (item as { id?: unknown } | null)?.id === 'string')
}
