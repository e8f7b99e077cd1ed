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
  // Nobody confirms it any more. `values` of the machine says since when.
  stale?: Maybe<boolean>
}

export interface Fan {
  speed?: Maybe<number>
  rpm?: Maybe<number>
  stale?: Maybe<boolean>
}

// What Klipper's last values are worth: when they were last seen to hold, by the hub's clock, and the categories
// (`position`, `sensor`, ...) that are stale by now.
export interface ValuesHold {
  confirmed_at?: Maybe<string>
  stale?: Maybe<string[]>
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

export type AlarmLevel = 'normal' | 'caution' | 'warning' | 'critical' | 'emergency'

// What a machine carries of an alarm that stands and is not shelved.
export interface MachineAlarm {
  id: string
  level?: Maybe<AlarmLevel>
  text?: Maybe<string>
  since?: Maybe<string>
  acknowledged?: Maybe<boolean>
}

export interface Alarm {
  id: string
  // The id as a path holds it.
  ref: string
  machine: string
  rule?: Maybe<string>
  state?: Maybe<'active' | 'acknowledged' | 'shelved' | 'cleared'>
  level?: Maybe<AlarmLevel>
  text?: Maybe<string>
  count?: Maybe<number>
  raised_at?: Maybe<string>
  acknowledged_by?: Maybe<string>
}

// After an emergency stop a machine takes no command until somebody resets it.
export interface Latch {
  latched?: Maybe<boolean>
  since?: Maybe<string>
  by?: Maybe<string>
  text?: Maybe<string>
}

export interface Machine {
  id: string
  alarms?: Maybe<MachineAlarm[]>
  emergency?: Maybe<Latch>
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
  values?: Maybe<ValuesHold>
  // Nothing at all was heard of it for a while.
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
  thumbnail?: Maybe<string>
  thumbnail_type?: Maybe<string>
  photo_count?: Maybe<number>
  // Only in the answer about one job.
  metadata?: Maybe<Record<string, unknown>>
  sliced?: Maybe<Sliced>
  photos?: Maybe<Photo[]>
  changes?: Maybe<JobChange[]>
}

export interface SlicedExtruder {
  filament_type?: Maybe<string>
  filament_vendor?: Maybe<string>
  filament_color?: Maybe<string>
  used_mm?: Maybe<number>
  used_g?: Maybe<number>
  cost?: Maybe<number>
}

// What the slicer wrote into the file. Other numbers and texts than these may be there too.
export interface Sliced {
  source?: Maybe<string>
  partial?: Maybe<boolean>
  replaced?: Maybe<boolean>
  slicer_name?: Maybe<string>
  slicer_version?: Maybe<string>
  estimated_time?: Maybe<number>
  layer_height?: Maybe<number>
  first_layer_height?: Maybe<number>
  layer_count?: Maybe<number>
  object_height?: Maybe<number>
  nozzle_temp?: Maybe<number>
  bed_temp?: Maybe<number>
  chamber_temp?: Maybe<number>
  infill_percentage?: Maybe<number>
  infill_pattern?: Maybe<string>
  print_speed?: Maybe<number>
  total_filament_used_mm?: Maybe<number>
  total_filament_used_g?: Maybe<number>
  total_filament_cost?: Maybe<number>
  extruders?: Maybe<SlicedExtruder[]>
  objects?: Maybe<string[]>
  settings?: Maybe<Record<string, unknown>>
  settings_blob?: Maybe<string>
  thumbnail?: Maybe<string>
  thumbnail_type?: Maybe<string>
  thumbnail_width?: Maybe<number>
  thumbnail_height?: Maybe<number>
  warnings?: Maybe<string[]>
}

export interface Photo {
  blob: string
  content_type?: Maybe<string>
  width?: Maybe<number>
  height?: Maybe<number>
  caption?: Maybe<string>
  added_at?: Maybe<string>
  actor?: Maybe<string>
}

// A value that a person replaced.
export interface JobChange {
  position: number
  at?: Maybe<string>
  actor?: Maybe<string>
  field: string
  before: unknown
  after: unknown
  reason?: Maybe<string>
}

// A print that no machine told of.
export interface NewJob {
  machine: string
  outcome: Exclude<Outcome, 'running'>
  started_at: string
  ended_at?: string
  filename?: string
  filament_used?: number
  verdict?: 'good' | 'rework' | 'scrap'
  notes?: string
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

export const scopes = ['read', 'operate', 'gcode', 'moderate', 'administer'] as const
export type Scope = (typeof scopes)[number]

// A key without its text.
export interface ApiKey {
  id: string
  name: string
  // The first characters of its text.
  prefix?: Maybe<string>
  scopes: string[]
  // null: all.
  machines?: Maybe<string[]>
  created_at?: Maybe<string>
  expires_at?: Maybe<string>
  last_used_at?: Maybe<string>
  active?: Maybe<boolean>
  expired?: Maybe<boolean>
}

export interface NewApiKey {
  name: string
  scopes: Scope[]
  machines?: string[]
  expires_at?: string
}

// With its text, which is told this once.
export interface MadeApiKey extends ApiKey {
  key: string
}

// What became of an emergency stop at one machine.
export interface StopOutcome {
  machine: string
  confirmed: boolean
  machine_said?: Maybe<string>
  answered_after?: Maybe<number>
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
