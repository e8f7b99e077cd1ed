// SPDX-License-Identifier: Apache-2.0
// How a state looks: its colour (tone), its shape and the key of its word. Always all three, never colour alone.
import type { Machine, Maybe, Outcome } from '@/api/types'

export type Tone = 'producing' | 'done' | 'attention' | 'fault' | 'offline' | 'idle'
export type Shape = 'play' | 'check' | 'bars' | 'octagon' | 'dashed' | 'ring' | 'half' | 'cross' | 'broken'
export interface Look {
  tone: Tone
  shape: Shape
  word: string
}

const machineLooks: Record<string, Look> = {
  printing: { tone: 'producing', shape: 'play', word: 'state.printing' },
  running: { tone: 'producing', shape: 'play', word: 'state.running' },
  paused: { tone: 'attention', shape: 'bars', word: 'state.paused' },
  error: { tone: 'fault', shape: 'octagon', word: 'state.error' },
  shutdown: { tone: 'fault', shape: 'octagon', word: 'state.shutdown' },
  starting: { tone: 'idle', shape: 'half', word: 'state.starting' },
  ready: { tone: 'idle', shape: 'ring', word: 'state.ready' },
  offline: { tone: 'offline', shape: 'dashed', word: 'state.offline' },
  klipper_away: { tone: 'offline', shape: 'dashed', word: 'state.klipper_away' },
  unknown: { tone: 'offline', shape: 'dashed', word: 'state.unknown' },
}

const outcomeLooks: Record<string, Look> = {
  running: { tone: 'producing', shape: 'play', word: 'outcome.running' },
  completed: { tone: 'done', shape: 'check', word: 'outcome.completed' },
  cancelled: { tone: 'offline', shape: 'cross', word: 'outcome.cancelled' },
  failed: { tone: 'fault', shape: 'octagon', word: 'outcome.failed' },
  interrupted: { tone: 'attention', shape: 'broken', word: 'outcome.interrupted' },
  unknown: { tone: 'offline', shape: 'dashed', word: 'outcome.unknown' },
}

// A machine that cannot be seen is offline, whatever it said last.
export function effectiveState(machine: Machine): string {
  if (machine.connection === 'disconnected') return 'offline'
  if (machine.connection === 'klipper_away') return 'klipper_away'
  return machine.state && machine.state in machineLooks ? machine.state : 'unknown'
}

export function machineLook(machine: Machine): Look {
  return machineLooks[effectiveState(machine)] as Look
}

export function outcomeLook(outcome: Maybe<Outcome>): Look {
  return (outcomeLooks[outcome ?? 'unknown'] ?? outcomeLooks['unknown']) as Look
}

// A job's own mark: a pause shows while it lasts.
export function jobLook(job: { outcome?: Maybe<Outcome>; paused?: Maybe<boolean> }): Look {
  return job.outcome === 'running' && job.paused ? (machineLooks['paused'] as Look) : outcomeLook(job.outcome)
}

export function isProducing(machine: Machine): boolean {
  return ['printing', 'running'].includes(effectiveState(machine))
}

export function isOffline(machine: Machine): boolean {
  return ['offline', 'klipper_away'].includes(effectiveState(machine))
}

export function needsYou(machine: Machine): boolean {
  return ['paused', 'error', 'shutdown', 'offline', 'klipper_away'].includes(effectiveState(machine))
}

export function machineName(machine: Machine): string {
  return machine.name || machine.id
}
