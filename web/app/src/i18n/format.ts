// SPDX-License-Identifier: Apache-2.0
// Numbers, times and durations as people of a language write them. Unit symbols (s, min, h, d, m, mm) are the same in
// both languages; everything else comes from Intl. A value that is not there is a dash, never a zero.
import type { Maybe } from '@/api/types'

export const missing = '\u2013'
const space = '\u00a0'

function isNumber(value: Maybe<number>): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

export function instant(iso: Maybe<string>): number | null {
  const time = Date.parse(iso ?? '')
  return Number.isNaN(time) ? null : time
}

export function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

export interface Format {
  number(value: Maybe<number>, digits?: number): string
  percent(share: Maybe<number>): string
  temperature(value: Maybe<number>, digits?: number): string
  duration(seconds: Maybe<number>): string
  age(seconds: Maybe<number>): string
  filament(mm: Maybe<number>): string
  clock(ms: number): string
  // The day is named unless it is today.
  when(ms: number, now: number): string
  full(ms: number): string
}

export function makeFormat(locale: string): Format {
  const cache = new Map<number, Intl.NumberFormat>()
  const fixed = (digits: number) => {
    let format = cache.get(digits)
    if (!format) {
      format = new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })
      cache.set(digits, format)
    }
    return format
  }
  const percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 })
  const time = new Intl.DateTimeFormat(locale, { timeStyle: 'short' })
  const day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' })
  const dayOfYear = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' })
  const full = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'medium' })
  const unit = (value: number, symbol: string, digits = 0) =>
    `${fixed(digits).format(value)}${space}${symbol}`

  const duration = (seconds: Maybe<number>): string => {
    if (!isNumber(seconds) || seconds < 0) return missing
    if (seconds < 59.5) return unit(seconds, 's')
    const minutes = Math.round(seconds / 60)
    if (minutes < 60) return unit(minutes, 'min')
    const hours = Math.floor(minutes / 60)
    const rest = minutes % 60
    if (hours < 48) return rest ? `${unit(hours, 'h')} ${unit(rest, 'min')}` : unit(hours, 'h')
    const restHours = hours % 24
    return restHours ? `${unit(Math.floor(hours / 24), 'd')} ${unit(restHours, 'h')}` : unit(hours / 24, 'd')
  }

  return {
    number: (value, digits = 0) => (isNumber(value) ? fixed(digits).format(value) : missing),
    percent: (share) => (isNumber(share) ? percent.format(Math.floor(share * 100 + 1e-9) / 100) : missing),
    temperature: (value, digits = 0) => (isNumber(value) ? unit(value, '°C', digits) : missing),
    duration,
    age: (seconds) => {
      if (!isNumber(seconds)) return missing
      const positive = Math.max(0, seconds)
      return positive < 9.95 ? unit(positive, 's', 1) : duration(positive)
    },
    filament: (mm) => {
      if (!isNumber(mm)) return missing
      return mm < 1000 ? unit(mm, 'mm') : unit(mm / 1000, 'm', mm < 100_000 ? 2 : 1)
    },
    clock: (ms) => time.format(ms),
    when: (ms, now) => {
      const date = new Date(ms)
      const today = new Date(now)
      if (date.toDateString() === today.toDateString()) return time.format(ms)
      return date.getFullYear() === today.getFullYear()
        ? `${day.format(ms)}, ${time.format(ms)}`
        : dayOfYear.format(ms)
    },
    full: (ms) => full.format(ms),
  }
}
