// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest'
import { job, machine, printing } from '@/__tests__/fixtures'
import { causeOfMachine, causeOfText } from '../cause'
import { expectedEnd } from '../eta'
import { inOrder } from '../order'
import { fans, thermometers } from '../sensors'
import { sparkPaths } from '../spark'
import { effectiveState, isProducing, jobLook, needsYou } from '../state'
import { startedToday } from '../today'

describe('order', () => {
  it('puts who needs a person first, then what ends next, idle, offline', () => {
    const shop = [
      machine('idle-10'),
      machine('idle-9'),
      machine('away', { connection: 'disconnected', state: 'printing' }),
      printing('late', 0.2, 4000),
      printing('soon', 0.9, 4000),
      printing('just-begun', 0.001, 5),
      machine('stopped', { state: 'shutdown' }),
      machine('waiting', { state: 'paused' }),
    ]
    expect(inOrder(shop).map(({ id }) => id)).toEqual([
      'stopped',
      'waiting',
      'soon',
      'late',
      'just-begun',
      'idle-9',
      'idle-10',
      'away',
    ])
  })
})

describe('expected end', () => {
  it('is the rule of three over what was printed', () => {
    const updated = '2026-11-21T12:00:00Z'
    const end = expectedEnd({ ...printing('a', 0.75, 3000), updated_at: updated })
    expect(end).toBe(Date.parse(updated) + 1_000_000)
  })

  it('is not guessed from too little, from nothing, or for a machine that is not printing', () => {
    expect(expectedEnd(printing('a', 0.01, 3000))).toBeNull()
    expect(expectedEnd(printing('a', 0.5, 10))).toBeNull()
    expect(expectedEnd({ ...printing('a', 0.5, 3000), updated_at: null })).toBeNull()
    expect(expectedEnd({ ...printing('a', 0.5, 3000), job: null })).toBeNull()
    expect(expectedEnd({ ...printing('a', 0.5, 3000), state: 'paused' })).toBeNull()
    expect(expectedEnd({ ...printing('a', 0.5, 3000), stale: true })).toBeNull()
  })
})

describe('state', () => {
  it('is offline for a machine that cannot be seen, whatever it said last', () => {
    const lost = machine('a', { connection: 'disconnected', state: 'printing' })
    expect(effectiveState(lost)).toBe('offline')
    expect(isProducing(lost)).toBe(false)
    expect(needsYou(lost)).toBe(true)
    expect(effectiveState(machine('a', { connection: 'klipper_away' }))).toBe('klipper_away')
  })

  it('is unknown for a word that this page does not know', () => {
    expect(effectiveState(machine('a', { state: 'dancing' as never }))).toBe('unknown')
    expect(effectiveState({ id: 'a' })).toBe('unknown')
  })
})

describe('job', () => {
  it('is paused while its pause lasts, and what came of it afterwards', () => {
    expect(jobLook(job('a', { outcome: 'running', paused: true })).word).toBe('state.paused')
    expect(jobLook(job('a', { outcome: 'running', paused: false })).word).toBe('outcome.running')
    expect(jobLook(job('a', { outcome: 'cancelled', paused: true })).word).toBe('outcome.cancelled')
  })
})

describe('cause', () => {
  it("is read from Klipper's own words", () => {
    expect(causeOfText("MCU 'mcu' shutdown: Timer too close")).toBe('timing')
    expect(causeOfText('something new')).toBeNull()
    const stopped = machine('a', {
      state: 'shutdown',
      state_text: 'Heater extruder not heating at expected rate',
    })
    expect(causeOfMachine(stopped)).toBe('cause.heater_fault')
  })

  it('falls back to a general sentence', () => {
    expect(causeOfMachine(machine('a', { state: 'error', state_text: 'something new' }))).toBe(
      'cause.klipper_error',
    )
    expect(causeOfMachine(machine('a', { state: 'paused' }))).toBe('need.paused')
    expect(causeOfMachine(machine('a', { state: 'paused', job: { pause_cause: 'filament_runout' } }))).toBe(
      'cause.filament_runout',
    )
  })
})

describe('sensors', () => {
  it('come as nozzles, bed, rest; those without a reading are left out', () => {
    const warm = machine('a', {
      temperatures: {
        'temperature_sensor chamber_air': { value: 41 },
        heater_bed: { value: 60 },
        extruder1: { value: 200 },
        extruder: { value: 210 },
        broken: null,
        empty: { value: null },
      },
    })
    expect(thermometers(warm).map(({ label }) => label.key ?? label.text)).toEqual([
      'nozzle',
      'nozzle_n',
      'bed',
      'chamber air',
    ])
    expect(thermometers({ id: 'a' })).toEqual([])
  })

  it('list the part fan first', () => {
    const windy = machine('a', {
      fans: { 'fan_generic box': { speed: 1 }, fan: { speed: 0.5, rpm: 900 }, off: null },
    })
    expect(fans(windy).map(({ text }) => text)).toEqual(['fan', 'box'])
  })
})

describe('curve', () => {
  it('is interrupted where nothing was heard', () => {
    const samples = [0, 5_000, 10_000, 60_000, 65_000].map((at) => ({ at, value: 200 }))
    expect(sparkPaths(samples, 64, 26)?.line.match(/M/g)?.length).toBe(2)
    expect(sparkPaths(samples.slice(0, 1), 64, 26)).toBeNull()
  })
})

describe('today', () => {
  const dayStart = Date.parse('2026-11-21T00:00:00Z')
  const today = (n: number) =>
    Array.from({ length: n }, (_, i) => job(`t${i}`, { started_at: '2026-11-21T08:00:00Z' }))

  it('counts jobs when the known ones reach back to yesterday', () => {
    const jobs = [...today(60), job('y', { started_at: '2026-11-20T08:00:00Z' })]
    expect(startedToday(jobs, dayStart)).toEqual({ started: 60, completed: 60 })
    expect(startedToday(today(3), dayStart)).toEqual({ started: 3, completed: 3 })
  })

  it('says nothing when there may be more than are known', () => {
    expect(startedToday(today(50), dayStart)).toBeNull()
  })
})
