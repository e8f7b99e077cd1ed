// SPDX-License-Identifier: Apache-2.0
// A made-up shop that moves: a few machines in every state and a history of jobs.
import type { Job, Machine, Outcome } from '../src/api/types'

const minute = 60_000
const iso = (ms: number) => new Date(ms).toISOString()

interface Row {
  id: string
  name: string
  state: Machine['state']
  file: string | null
  progress: number
  totalS: number
  nozzle: number
  bed: number
  text?: string
  outcome?: Outcome
}

const rows: Row[] = [
  {
    id: 'voron-2',
    name: 'Voron 2',
    state: 'printing',
    file: 'gridfinity_4x3_PETG.gcode',
    progress: 0.82,
    totalS: 12_000,
    nozzle: 240,
    bed: 80,
  },
  {
    id: 'ratrig-1',
    name: 'RatRig 1',
    state: 'printing',
    file: 'duct_v7_plate_2.gcode',
    progress: 0.57,
    totalS: 10_400,
    nozzle: 255,
    bed: 100,
  },
  {
    id: 'voron-1',
    name: 'Voron 1',
    state: 'printing',
    file: 'enclosure_door_left.gcode',
    progress: 0.21,
    totalS: 22_500,
    nozzle: 250,
    bed: 105,
  },
  {
    id: 'micron-1',
    name: 'Micron 1',
    state: 'printing',
    file: 'bearing_test_0.12mm.gcode',
    progress: 0.93,
    totalS: 300,
    nozzle: 225,
    bed: 60,
  },
  {
    id: 'ender-5',
    name: 'Ender 5',
    state: 'paused',
    file: 'vase_spiral.gcode',
    progress: 0.64,
    totalS: 7_000,
    nozzle: 205,
    bed: 60,
  },
  {
    id: 'voron-3',
    name: 'Voron 3',
    state: 'shutdown',
    file: 'intake_manifold_v3.gcode',
    progress: 0.19,
    totalS: 9_000,
    nozzle: 171,
    bed: 98,
    outcome: 'failed',
    text: "Heater extruder not heating at expected rate\nSee the 'verify_heater' section in docs/Config_Reference.md\nfor the parameters that control this check.",
  },
  {
    id: 'prusa-1',
    name: 'Prusa 1',
    state: 'ready',
    file: 'bracket_x12.gcode',
    progress: 1,
    totalS: 5_000,
    nozzle: 31,
    bed: 31,
    outcome: 'completed',
  },
  {
    id: 'trident-1',
    name: 'Trident 1',
    state: 'ready',
    file: null,
    progress: 0,
    totalS: 0,
    nozzle: 24,
    bed: 23,
  },
  { id: 'bench-a', name: 'Bench A', state: 'offline', file: null, progress: 0, totalS: 0, nozzle: 0, bed: 0 },
]

const files = [
  'cable_clip_x40.gcode',
  'benchy_0.2mm_PLA.gcode',
  'gehäuse/deckel_größe_L.gcode',
  'fan_shroud_5015.gcode',
  'spool_holder_v2.gcode',
  'calibration_cube.gcode',
]
const history: Outcome[] = [
  'completed',
  'completed',
  'completed',
  'cancelled',
  'completed',
  'failed',
  'completed',
  'interrupted',
]

export class FixtureShop {
  position = 1000
  private readonly machines = new Map<string, Machine>()
  private readonly jobs: Job[] = []

  constructor(now: number) {
    for (const row of rows) this.add(row, now)
    for (let n = 0; n < 140; n += 1) this.jobs.push(pastJob(n, now))
  }

  snapshot() {
    return {
      type: 'snapshot',
      position: this.position,
      machines: [...this.machines.values()],
      jobs: this.jobs.slice(0, 50),
    }
  }

  step(seconds: number, now: number) {
    this.position += 3
    const jobs: Job[] = []
    for (const machine of this.machines.values()) {
      if (machine.connection !== 'connected') continue
      const changed = moved(machine, seconds, now)
      this.machines.set(machine.id, changed)
      const index = this.jobs.findIndex((job) => job.id === changed.job?.id)
      if (
        index < 0 ||
        (changed.job?.outcome === this.jobs[index]?.outcome && changed.job?.outcome !== 'running')
      )
        continue
      const job = { ...this.jobs[index], ...changed.job } as Job
      this.jobs[index] = job
      jobs.push(job)
    }
    const machines = [...this.machines.values()].filter((machine) => machine.connection === 'connected')
    return { type: 'delta', position: this.position, machines, jobs }
  }

  get(url: URL): { status: number; body: unknown } {
    const path = url.pathname.replace('/api/v1', '')
    if (path === '/site')
      return {
        status: 200,
        body: {
          name: 'Hinterhof 7',
          timezone: 'Europe/Berlin',
          version: '0.1.0',
          demo: true,
          position: this.position,
        },
      }
    if (path === '/jobs') return { status: 200, body: this.page(url.searchParams) }
    const job = this.jobs.find((candidate) => path === `/jobs/${encodeURIComponent(candidate.id)}`)
    if (job)
      return {
        status: 200,
        body: {
          ...job,
          metadata: {
            slicer: 'OrcaSlicer',
            slicer_version: '2.3.1',
            layer_height: 0.2,
            filament_type: 'PETG',
          },
        },
      }
    return {
      status: 404,
      body: { type: 'about:blank', title: 'Not found', status: 404, code: 'not_found', detail: path },
    }
  }

  private page(query: URLSearchParams) {
    const text = (query.get('q') ?? '').toLowerCase()
    const found = this.jobs.filter(
      (job) =>
        (!query.get('machine') || job.machine === query.get('machine')) &&
        (!query.get('outcome') || job.outcome === query.get('outcome')) &&
        (job.filename ?? '').toLowerCase().includes(text),
    )
    const from = Number(query.get('cursor') ?? 0)
    const to = from + Number(query.get('limit') ?? 50)
    return { items: found.slice(from, to), next_cursor: to < found.length ? String(to) : null, total: null }
  }

  private add(row: Row, now: number): void {
    const startedAt = now - row.progress * row.totalS * 1000 - (row.outcome ? 12 * minute : 0)
    const job: Job | null = row.file
      ? {
          id: `${row.id}.${startedAt}000`,
          machine: row.id,
          filename: row.file,
          outcome: row.outcome ?? 'running',
          cause: row.outcome === 'failed' ? 'heater_fault' : null,
          pause_cause: row.state === 'paused' ? 'filament_runout' : null,
          text: row.text ?? null,
          progress: row.progress,
          layer: Math.floor(row.progress * 212),
          total_layers: 212,
          started_at: iso(startedAt),
          ended_at: row.outcome ? iso(now - 12 * minute) : null,
          total_duration: row.progress * row.totalS + 240,
          print_duration: row.progress * row.totalS,
          filament_used: row.progress * row.totalS * 2.4,
          pause_count: 0,
        }
      : null
    if (job) this.jobs.unshift(job)
    const offline = row.state === 'offline'
    this.machines.set(row.id, {
      id: row.id,
      name: row.name,
      kind: 'printer',
      connection: offline ? 'disconnected' : 'connected',
      state: row.state ?? null,
      state_text: row.text ?? null,
      state_since: iso(now - (offline ? 15 * 60 : 12) * minute),
      job,
      progress: job ? row.progress : null,
      temperatures: offline
        ? null
        : {
            extruder: { value: row.nozzle, target: row.nozzle > 200 ? row.nozzle : 0 },
            heater_bed: { value: row.bed, target: row.nozzle > 200 ? row.bed : 0 },
          },
      fans: offline ? null : { fan: { speed: row.state === 'printing' ? 0.6 : 0, rpm: null } },
      updated_at: iso(now - (offline ? 15 * 60 : 0) * minute),
      stale: offline,
    })
  }
}

function moved(machine: Machine, seconds: number, now: number): Machine {
  const wave = Math.sin(now / 7_000 + machine.id.length) * 0.9 + Math.random() * 0.3
  const temperatures = Object.fromEntries(
    Object.entries(machine.temperatures ?? {}).map(([name, reading]) => {
      const rest =
        reading?.target ||
        rows.find((row) => row.id === machine.id)?.[name === 'extruder' ? 'nozzle' : 'bed'] ||
        20
      return [name, { ...reading, value: rest + wave, observed_at: iso(now) }]
    }),
  )
  const next: Machine = { ...machine, temperatures, updated_at: iso(now) }
  const total = rows.find((row) => row.id === machine.id)?.totalS ?? 1
  if (machine.state !== 'printing' || !machine.job) return next
  const progress = Math.min(1, (machine.progress ?? 0) + seconds / total)
  next.progress = progress
  next.job = {
    ...machine.job,
    progress,
    layer: Math.floor(progress * 212),
    print_duration: progress * total,
    total_duration: progress * total + 240,
  }
  if (progress >= 1) {
    next.state = 'ready'
    next.state_since = iso(now)
    next.job = { ...next.job, outcome: 'completed', ended_at: iso(now) }
  }
  return next
}

function pastJob(n: number, now: number): Job {
  const outcome = history[n % history.length] as Outcome
  const started = now - (n + 1) * 97 * minute
  const total = 1_800 + ((n * 7919) % 14_000)
  const machine = rows[(n * 5) % 8] as Row
  return {
    id: `${machine.id}.${started}000`,
    machine: machine.id,
    filename: files[(n * 3) % files.length] ?? null,
    outcome,
    cause: outcome === 'failed' ? 'mcu_lost' : outcome === 'interrupted' ? 'host_restarted' : null,
    text: outcome === 'failed' ? "Lost communication with MCU 'mcu'" : null,
    started_at: iso(started),
    ended_at: outcome === 'interrupted' ? null : iso(started + total * 1000),
    total_duration: total,
    print_duration: total - 260,
    filament_used: total * 2.3,
    progress: outcome === 'completed' ? 1 : 0.4,
    evidence: 'observed',
    time_uncertain: outcome === 'interrupted',
  }
}
