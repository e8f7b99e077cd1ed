// SPDX-License-Identifier: Apache-2.0
// The temperatures of this session, for the small curves on the cards. Only what arrived while the page was open: a
// gap stays a gap.
import { shallowReactive } from 'vue'
import { defineStore } from 'pinia'
import type { Machine } from '@/api/types'
import { thermometers } from '@/domain/sensors'

export interface Sample {
  at: number
  value: number
}

export const windowMs = 10 * 60_000
const spacingMs = 900
export const samplesMax = 700

export const useSamples = defineStore('samples', () => {
  // By machine: the first thermometer, which is the nozzle where there is one.
  const series = shallowReactive(new Map<string, readonly Sample[]>())

  function observe(machine: Machine, now: number): void {
    if (machine.connection !== 'connected') return
    const value = thermometers(machine)[0]?.reading.value
    if (typeof value !== 'number') return
    const old = series.get(machine.id) ?? []
    const last = old[old.length - 1]
    if (last && now - last.at < spacingMs) return
    const kept = old.filter((sample) => now - sample.at <= windowMs).slice(-(samplesMax - 1))
    series.set(machine.id, [...kept, { at: now, value }])
  }

  return { series, observe }
})
