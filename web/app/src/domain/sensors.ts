// SPDX-License-Identifier: Apache-2.0
import type { Machine, Maybe, Temperature } from '@/api/types'

export interface Thermometer {
  name: string
  label: { key: 'nozzle' | 'nozzle_n' | 'bed' | null; text: string; n: number }
  reading: Temperature
}

// Klipper calls its thermometers "extruder", "extruder1", "heater_bed", "temperature_sensor chamber", ...; people
// call them nozzle, nozzle 2, bed, chamber.
export function labelOf(name: string): Thermometer['label'] {
  const extruder = /^extruder(\d*)$/.exec(name)
  if (extruder) {
    const index = Number(extruder[1] || 0)
    return { key: index === 0 ? 'nozzle' : 'nozzle_n', text: name, n: index + 1 }
  }
  if (name === 'heater_bed') return { key: 'bed', text: name, n: 0 }
  return { key: null, text: plainName(name), n: 0 }
}

export function plainName(name: string): string {
  return name.slice(name.indexOf(' ') + 1).replaceAll('_', ' ')
}

function rank(name: string): number {
  if (name.startsWith('extruder')) return 0
  return name === 'heater_bed' ? 1 : 2
}

// Nozzles first, then the bed, then the rest by name. Thermometers without a reading are left out.
export function thermometers(machine: Machine): Thermometer[] {
  return Object.entries(machine.temperatures ?? {})
    .filter((entry): entry is [string, Temperature] => hasValue(entry[1]))
    .sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b, undefined, { numeric: true }))
    .map(([name, reading]) => ({ name, label: labelOf(name), reading }))
}

function hasValue(reading: Maybe<Temperature>): boolean {
  return typeof reading?.value === 'number'
}

export interface FanSpeed {
  name: string
  text: string
  speed: number
  rpm: number | null
  stale: boolean
}

// The part cooling fan ("fan") first.
export function fans(machine: Machine): FanSpeed[] {
  const list: FanSpeed[] = []
  for (const [name, fan] of Object.entries(machine.fans ?? {})) {
    if (typeof fan?.speed !== 'number') continue
    list.push({
      name,
      text: plainName(name),
      speed: fan.speed,
      rpm: fan.rpm ?? null,
      stale: fan.stale ?? false,
    })
  }
  return list.sort(
    (a, b) => Number(b.name === 'fan') - Number(a.name === 'fan') || a.name.localeCompare(b.name),
  )
}
