// SPDX-License-Identifier: Apache-2.0
// The shop as the hub last told it: machines and newest jobs, from one snapshot and the deltas after it. Nothing here
// is guessed ahead: what is on the page was said by the hub, and when it stops talking everything ages visibly.
import { computed, ref, shallowRef } from 'vue'
import { defineStore } from 'pinia'
import { LiveSocket, type Link, type LiveSocketOptions } from '@/api/live_socket'
import type { Job, LiveMessage, Machine, Maybe } from '@/api/types'
import { isOffline } from '@/domain/state'
import { instant } from '@/i18n/format'
import { useSamples } from './samples'

// A heartbeat comes every 5 s; after this long without one, nothing on the page counts as live.
export const linkStaleMs = 8_000
// The hub says which machines are stale. Where it does not, one that has reported nothing for this long is.
export const machineStaleMs = 15_000
export const jobsMax = 500
const clockSamplesMax = 8

export type LinkState = 'connecting' | 'live' | 'quiet' | 'reconnecting'

export const useLive = defineStore('live', () => {
  const samples = useSamples()
  const machines = shallowRef<ReadonlyMap<string, Machine>>(new Map())
  const jobs = shallowRef<ReadonlyMap<string, Job>>(new Map())
  // Jobs of the last message, for lists that keep pages of their own.
  const changedJobs = shallowRef<readonly Job[]>([])
  // Ids that turned out to be the print of another one.
  const removedJobs = shallowRef<readonly string[]>([])
  const position = ref<number | null>(null)
  const link = ref<Link>({ phase: 'connecting' })
  const lastFrameAt = ref<number | null>(null)
  const caughtUp = ref<{ events: number; seconds: number; at: number } | null>(null)
  const now = ref(Date.now())
  // The hub's clock minus this browser's.
  const clockOffsetMs = ref(0)
  let incarnation: string | null = null
  let clockSamples: number[] = []
  let resumedFrom: { position: number; at: number } | null = null
  let socket: LiveSocket | null = null
  let ticker: ReturnType<typeof setInterval> | null = null

  const loaded = computed(() => position.value !== null)
  const hubNow = computed(() => now.value + clockOffsetMs.value)
  const frameAgeMs = computed(() =>
    lastFrameAt.value === null ? null : Math.max(0, now.value - lastFrameAt.value),
  )
  const state = computed<LinkState>(() => {
    if (link.value.phase === 'open') {
      return frameAgeMs.value !== null && frameAgeMs.value > linkStaleMs ? 'quiet' : 'live'
    }
    return link.value.phase === 'waiting' || loaded.value ? 'reconnecting' : 'connecting'
  })
  const retryInS = computed(() =>
    link.value.phase === 'waiting' ? Math.max(0, Math.ceil((link.value.retryAt - now.value) / 1000)) : null,
  )

  // Since `iso`, a time of the hub's clock.
  function sinceMs(iso: Maybe<string>): number | null {
    const at = instant(iso)
    return at === null ? null : Math.max(0, hubNow.value - at)
  }

  const ageMs = (machine: Machine) => sinceMs(machine.recorded_at ?? machine.updated_at)

  // Null as long as they hold, and where there never were any.
  function valuesAgeMs(machine: Machine): number | null {
    return machine.values?.stale?.length ? sinceMs(machine.values.confirmed_at) : null
  }

  function isStale(machine: Machine): boolean {
    const linkTooOld = frameAgeMs.value !== null && frameAgeMs.value > linkStaleMs
    if (linkTooOld || isOffline(machine)) return true
    return machine.stale ?? (ageMs(machine) ?? 0) > machineStaleMs
  }

  function receive(message: LiveMessage): void {
    lastFrameAt.value = Date.now()
    now.value = Date.now()
    if (message.type === 'heartbeat') return adjustClock(message.time, message.position)
    if (message.type === 'delta' && position.value !== null && message.position < position.value) return
    noteCaughtUp(message)
    if (message.type === 'snapshot') {
      incarnation = message.incarnation ?? null
      machines.value = new Map(message.machines.map((machine) => [machine.id, machine]))
      jobs.value = new Map(message.jobs.map((job) => [job.id, job]))
    } else {
      const removed = message.removedMachines ?? []
      if (message.machines.length > 0 || removed.length > 0) {
        const kept = [...machines.value].filter(([id]) => !removed.includes(id))
        machines.value = new Map([...kept, ...message.machines.map((m) => [m.id, m] as const)])
      }
      if (message.jobs.length > 0 || message.removedJobs.length > 0) {
        jobs.value = bounded(merged(jobs.value, message.jobs, message.removedJobs))
      }
      if (message.removedJobs.length > 0) removedJobs.value = message.removedJobs
    }
    for (const machine of message.machines) samples.observe(machine, Date.now())
    if (message.jobs.length > 0) changedJobs.value = message.jobs
    position.value = message.position
  }

  // Of several differences the largest is nearest to the truth: a delay on the way only makes it smaller.
  function adjustClock(time: string | null, seen: number | null): void {
    if (seen !== null && position.value !== null && seen > position.value) position.value = seen
    const hub = Date.parse(time ?? '')
    if (Number.isNaN(hub)) return
    clockSamples = [...clockSamples, hub - Date.now()].slice(-clockSamplesMax)
    clockOffsetMs.value = Math.max(...clockSamples)
  }

  function noteCaughtUp(message: { position: number }): void {
    if (resumedFrom === null) return
    const events = message.position - resumedFrom.position
    if (events > 0) caughtUp.value = { events, seconds: (Date.now() - resumedFrom.at) / 1000, at: Date.now() }
    resumedFrom = null
  }

  function start(options: Partial<LiveSocketOptions> = {}): void {
    if (socket !== null) return
    socket = new LiveSocket({
      url: () => `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/live`,
      resume: () => {
        if (position.value === null) return null
        resumedFrom = { position: position.value, at: Date.now() }
        return { position: position.value, incarnation }
      },
      onMessage: receive,
      onLink: (next) => (link.value = next),
      ...options,
    })
    ticker = setInterval(() => (now.value = Date.now()), 500)
    socket.start()
  }

  function stop(): void {
    socket?.stop()
    socket = null
    if (ticker !== null) clearInterval(ticker)
    ticker = null
  }

  return {
    machines,
    jobs,
    changedJobs,
    removedJobs,
    position,
    link,
    state,
    loaded,
    now,
    hubNow,
    frameAgeMs,
    retryInS,
    caughtUp,
    ageMs,
    valuesAgeMs,
    isStale,
    receive,
    start,
    stop,
    retryNow: () => socket?.retryNow(),
  }
})

function merged(old: ReadonlyMap<string, Job>, changed: Job[], removed: string[]): Map<string, Job> {
  const next = new Map(old)
  for (const id of removed) next.delete(id)
  for (const job of changed) next.set(job.id, job)
  return next
}

function bounded(jobs: Map<string, Job>): Map<string, Job> {
  if (jobs.size <= jobsMax) return jobs
  const newest = [...jobs.values()].sort((a, b) => (b.started_at ?? '').localeCompare(a.started_at ?? ''))
  return new Map(newest.slice(0, jobsMax).map((job) => [job.id, job]))
}
