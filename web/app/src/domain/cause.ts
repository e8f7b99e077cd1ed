// SPDX-License-Identifier: Apache-2.0
// Turns Klipper's message, or the class that the adapter gave it, into one of the causes that have a plain sentence in
// both languages. The message itself is always shown beside it, word for word.
import { effectiveState } from './state'
import type { Machine, Maybe } from '@/api/types'

const known = new Set([
  'emergency_stop',
  'm112',
  'mcu_lost',
  'heater_fault',
  'sensor_fault',
  'timing',
  'klipper_error',
  'gcode_error',
  'filament_runout',
  'command',
  'replaced',
  'klipper_restarted',
  'klipper_died',
  'klipper_away',
  'host_restarted',
  'not_observed',
  'machine_removed',
])

// The first match wins; the texts are Klipper's own.
const patterns: [string, string][] = [
  ['Shutdown due to webhooks request', 'emergency_stop'],
  ['M112', 'm112'],
  ['Lost communication with MCU', 'mcu_lost'],
  ['not heating at expected rate', 'heater_fault'],
  ['ADC out of range', 'sensor_fault'],
  ['Timer too close', 'timing'],
  ['Stepper too far in past', 'timing'],
  ['Rescheduled timer', 'timing'],
]

export function causeOfText(text: Maybe<string>): string | null {
  if (!text) return null
  return patterns.find(([part]) => text.includes(part))?.[1] ?? null
}

export function knownCause(cause: Maybe<string>): string | null {
  return cause && known.has(cause) ? cause : null
}

// The key of the sentence that says what is the matter with a machine that needs a person.
export function causeOfMachine(machine: Machine): string {
  const state = effectiveState(machine)
  if (state === 'offline') return 'need.offline'
  if (state === 'klipper_away') return 'need.klipper_away'
  if (state === 'paused') {
    return machine.job?.pause_cause === 'filament_runout' ? 'cause.filament_runout' : 'need.paused'
  }
  const cause = causeOfText(machine.state_text) ?? knownCause(machine.job?.cause) ?? 'klipper_error'
  return `cause.${cause}`
}
