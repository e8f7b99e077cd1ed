// SPDX-License-Identifier: Apache-2.0
// The words of the HTTP and WebSocket interface. Any field may be missing or null: a machine says what it knows, and
// the page shows a gap for the rest. Times are RFC 3339 in UTC, durations in seconds, lengths in millimetres,
// temperatures in degrees Celsius, shares from 0 to 1.

export type Maybe<T> = T | null | undefined

export type Connection = 'connected' | 'klipper_away' | 'disconnected'

export type MachineState =
  'offline' | 'starting' | 'ready' | 'printing' | 'paused' | 'error' | 'shutdown' | 'running'

export const outcomes = ['running', 'completed', 'cancelled', 'failed', 'interrupted'] as const
export type Outcome = (typeof outcomes)[number]

export interface Temperature {
  value?: Maybe<number>
  target?: Maybe<number>
  power?: Maybe<number>
  observed_at?: Maybe<string>
}

export interface Fan {
  speed?: Maybe<number>
  rpm?: Maybe<number>
}

// What the card of a machine knows about its current or last job.
export interface MachineJob {
  id?: Maybe<string>
  filename?: Maybe<string>
  outcome?: Maybe<Outcome>
  cause?: Maybe<string>
  paused?: Maybe<boolean>
  pause_cause?: Maybe<string>
  text?: Maybe<string>
  progress?: Maybe<number>
  layer?: Maybe<number>
  total_layers?: Maybe<number>
  started_at?: Maybe<string>
  ended_at?: Maybe<string>
  total_duration?: Maybe<number>
  print_duration?: Maybe<number>
  filament_used?: Maybe<number>
}

export interface Machine {
  id: string
  name?: Maybe<string>
  kind?: Maybe<string>
  connection?: Maybe<Connection>
  state?: Maybe<MachineState>
  state_text?: Maybe<string>
  klipper_state?: Maybe<string>
  state_version?: Maybe<string>
  state_since?: Maybe<string>
  job?: Maybe<MachineJob>
  progress?: Maybe<number>
  temperatures?: Maybe<Record<string, Maybe<Temperature>>>
  fans?: Maybe<Record<string, Maybe<Fan>>>
  // What waits in Moonraker's job queue.
  queue?: Maybe<{ state?: Maybe<string>; total?: Maybe<number> }>
  // When the adapter saw the last change, by its own clock.
  updated_at?: Maybe<string>
  // The same by the hub's clock, which the heartbeats carry too.
  recorded_at?: Maybe<string>
  stale?: Maybe<boolean>
}

export interface Job extends MachineJob {
  id: string
  machine?: Maybe<string>
  pause_count?: Maybe<number>
  pause_duration?: Maybe<number>
  objects_excluded?: Maybe<number>
  objects_total?: Maybe<number>
  user?: Maybe<string>
  clock_corrected?: Maybe<boolean>
  time_uncertain?: Maybe<boolean>
  evidence?: Maybe<string>
  verdict?: Maybe<'good' | 'rework' | 'scrap'>
  reason?: Maybe<string>
  title?: Maybe<string>
  tags?: Maybe<string[]>
  // Only in the answer about one job.
  notes?: Maybe<string>
  hidden?: Maybe<boolean>
  last_position?: Maybe<number>
  metadata?: Maybe<Record<string, unknown>>
}

// What a person says of a job; null takes it away, what is absent stays.
export interface JobChanges {
  verdict?: 'good' | 'rework' | 'scrap' | null
  reason?: string | null
  notes?: string | null
  tags?: string[] | null
}

export interface Site {
  name?: Maybe<string>
  timezone?: Maybe<string>
  version?: Maybe<string>
  demo?: Maybe<boolean>
  incarnation?: Maybe<string>
  position?: Maybe<number>
  // 'open': there is no key yet, and this computer alone is let in.
  access?: Maybe<'open' | 'keys'>
}

// Who this browser is to the hub.
export interface Caller {
  how: 'local' | 'key' | 'session' | 'token'
  actor: string
  key_id?: Maybe<string>
  scopes: string[]
  // null: all.
  machines?: Maybe<string[]>
}

export interface Page<T> {
  items: T[]
  next_cursor?: Maybe<string>
  total?: Maybe<number>
}

export interface SnapshotMessage {
  type: 'snapshot'
  position: number
  incarnation?: Maybe<string>
  machines: Machine[]
  jobs: Job[]
}

export interface DeltaMessage {
  type: 'delta'
  position: number
  machines: Machine[]
  jobs: Job[]
  removedMachines?: string[]
  removedJobs: string[]
}

export interface HeartbeatMessage {
  type: 'heartbeat'
  position: number | null
  time: string | null
}

export type LiveMessage = SnapshotMessage | DeltaMessage | HeartbeatMessage
