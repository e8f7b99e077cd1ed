// SPDX-License-Identifier: Apache-2.0
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { retryFirstMs, retryMaxMs, silenceMaxMs } from '@/api/live_socket'
import { FakeSocket, job, machine } from '@/__tests__/fixtures'
import { linkStaleMs, machineStaleMs, useLive } from '../live'

const start = new Date('2026-11-21T12:00:00Z')

function startLive(random = 1) {
  const live = useLive()
  live.start({ open: (url) => new FakeSocket(url) as unknown as WebSocket, random: () => random })
  return live
}

function snapshot(position: number, machines = [machine('voron-2')], jobs = [job('a')]) {
  return { type: 'snapshot', position, machines, jobs }
}

beforeEach(() => {
  vi.useFakeTimers({ now: start })
  FakeSocket.opened = []
  setActivePinia(createPinia())
})
afterEach(() => {
  useLive().stop()
  vi.useRealTimers()
})

describe('live store', () => {
  it('shows the machines and jobs of the snapshot', () => {
    const live = startLive()
    expect(live.state).toBe('connecting')
    FakeSocket.last.accept()
    FakeSocket.last.say(snapshot(10))
    expect(live.state).toBe('live')
    expect([...live.machines.keys()]).toEqual(['voron-2'])
    expect([...live.jobs.keys()]).toEqual(['a'])
    expect(live.position).toBe(10)
  })

  it('replaces only what a delta names', () => {
    const live = startLive()
    const [first, second] = [machine('a'), machine('b')]
    FakeSocket.last.say(snapshot(10, [first, second]))
    const untouched = live.machines.get('b')
    FakeSocket.last.say({
      type: 'delta',
      position: 11,
      machines: [machine('a', { state: 'printing' })],
      jobs: [job('n')],
    })
    expect(live.machines.get('a')?.state).toBe('printing')
    expect(live.machines.get('b')).toBe(untouched)
    expect([...live.jobs.keys()]).toEqual(['a', 'n'])
  })

  it('lets go of jobs that turned out to be another one', () => {
    const live = startLive()
    FakeSocket.last.say(snapshot(10, [machine('m')], [job('m.e1-2'), job('b')]))
    FakeSocket.last.say({
      type: 'delta',
      position: 11,
      machines: [],
      jobs: [job('m.17')],
      removed_jobs: ['m.e1-2', 7],
    })
    expect([...live.jobs.keys()]).toEqual(['b', 'm.17'])
    expect(live.removedJobs).toEqual(['m.e1-2'])
  })

  it('lets go of machines that were removed', () => {
    const live = startLive()
    FakeSocket.last.say(snapshot(10, [machine('m'), machine('n')], []))
    FakeSocket.last.say({ type: 'delta', position: 11, machines: [], jobs: [], removed_machines: ['m'] })
    expect([...live.machines.keys()]).toEqual(['n'])
  })

  it('ignores a delta from before its snapshot', () => {
    const live = startLive()
    FakeSocket.last.say(snapshot(10))
    FakeSocket.last.say({
      type: 'delta',
      position: 9,
      machines: [machine('voron-2', { state: 'error' })],
      jobs: [],
    })
    expect(live.machines.get('voron-2')?.state).toBe('ready')
    expect(live.position).toBe(10)
  })

  it('survives frames that it does not understand', () => {
    const live = startLive()
    FakeSocket.last.say('{not json')
    FakeSocket.last.say({ type: 'surprise' })
    FakeSocket.last.say({ type: 'snapshot', position: 'ten' })
    expect(live.loaded).toBe(false)
    FakeSocket.last.say({ type: 'snapshot', position: 1, machines: [null, {}, { id: 'x' }], jobs: 'none' })
    expect([...live.machines.keys()]).toEqual(['x'])
  })

  it('asks to continue from its position after a break and reports what it caught up', () => {
    const live = startLive()
    FakeSocket.last.accept()
    expect(FakeSocket.last.sent).toEqual([])
    FakeSocket.last.say(snapshot(10))
    FakeSocket.last.breakDown()
    vi.advanceTimersByTime(retryFirstMs)
    FakeSocket.last.accept()
    expect(FakeSocket.last.sent).toEqual([{ type: 'resume', position: 10 }])
    vi.advanceTimersByTime(800)
    FakeSocket.last.say({ type: 'delta', position: 422, machines: [], jobs: [] })
    expect(live.state).toBe('live')
    expect(live.caughtUp).toMatchObject({ events: 412, seconds: 0.8 })
  })

  it('takes a fresh snapshot even when its position is smaller, as after a restore', () => {
    const live = startLive()
    FakeSocket.last.say(snapshot(100, [machine('gone')]))
    FakeSocket.last.breakDown()
    vi.advanceTimersByTime(retryFirstMs)
    FakeSocket.last.say(snapshot(5, [machine('here')]))
    expect([...live.machines.keys()]).toEqual(['here'])
    expect(live.position).toBe(5)
    expect(live.caughtUp).toBeNull()
  })

  it('tries again with growing, bounded delays and a countdown', () => {
    const live = startLive()
    const delays = [500, 1000, 2000, 4000, 8000, retryMaxMs, retryMaxMs]
    for (const delay of delays) {
      const opened = FakeSocket.opened.length
      FakeSocket.last.breakDown()
      expect(live.state).toBe('reconnecting')
      expect(live.retryInS).toBe(Math.ceil(delay / 1000))
      vi.advanceTimersByTime(delay - 1)
      expect(FakeSocket.opened.length).toBe(opened)
      vi.advanceTimersByTime(1)
      expect(FakeSocket.opened.length).toBe(opened + 1)
    }
  })

  it('starts again with the short delay once it was connected', () => {
    startLive()
    for (const delay of [500, 1000]) {
      FakeSocket.last.breakDown()
      vi.advanceTimersByTime(delay)
    }
    FakeSocket.last.say(snapshot(1))
    const opened = FakeSocket.opened.length
    FakeSocket.last.breakDown()
    vi.advanceTimersByTime(retryFirstMs)
    expect(FakeSocket.opened.length).toBe(opened + 1)
  })

  it('does not wait for the countdown when told to try now', () => {
    const live = startLive()
    FakeSocket.last.breakDown()
    live.retryNow()
    expect(FakeSocket.opened.length).toBe(2)
    live.retryNow()
    expect(FakeSocket.opened.length).toBe(2)
  })

  it('gives up a connection that has gone silent', () => {
    startLive()
    FakeSocket.last.say(snapshot(1))
    const silent = FakeSocket.last
    vi.advanceTimersByTime(silenceMaxMs)
    expect(silent.closed).toBe(true)
    vi.advanceTimersByTime(retryFirstMs)
    expect(FakeSocket.last).not.toBe(silent)
  })

  it('ages everything when the link is quiet, and recovers with the next heartbeat', () => {
    const live = startLive()
    FakeSocket.last.say(snapshot(1, [machine('voron-2')]))
    const shown = () => live.isStale(live.machines.get('voron-2') ?? machine('x'))
    expect(shown()).toBe(false)
    vi.advanceTimersByTime(linkStaleMs + 500)
    expect(live.state).toBe('quiet')
    expect(shown()).toBe(true)
    FakeSocket.last.say({ type: 'heartbeat', position: 1, time: new Date().toISOString() })
    expect(live.state).toBe('live')
    expect(shown()).toBe(false)
  })

  it('marks a machine that reports nothing as stale while the link is live', () => {
    const live = startLive()
    FakeSocket.last.say(snapshot(1, [machine('voron-2')]))
    for (let ms = 0; ms <= machineStaleMs; ms += 3000) {
      vi.advanceTimersByTime(3000)
      FakeSocket.last.say({ type: 'heartbeat', position: 1, time: new Date().toISOString() })
    }
    expect(live.state).toBe('live')
    expect(live.isStale(live.machines.get('voron-2') ?? machine('x'))).toBe(true)
  })

  it('believes the hub when it calls a machine stale or disconnected', () => {
    const live = startLive()
    FakeSocket.last.say(snapshot(1))
    expect(live.isStale(machine('a', { stale: true }))).toBe(true)
    expect(live.isStale(machine('a', { connection: 'disconnected' }))).toBe(true)
    expect(live.isStale(machine('a', { updated_at: null }))).toBe(false)
  })

  it('counts ages by the clock of the hub', () => {
    const live = startLive()
    const hub = (ms: number) => new Date(Date.now() + 3_600_000 + ms).toISOString()
    FakeSocket.last.say(snapshot(1, [machine('a', { updated_at: hub(-2000) })]))
    FakeSocket.last.say({ type: 'heartbeat', position: 1, time: hub(0) })
    expect(live.ageMs(live.machines.get('a') ?? machine('x'))).toBe(2000)
  })
})
