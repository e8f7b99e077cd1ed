// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest'
import { makeFormat, missing, utc } from '../format'

// Intl uses narrow and non-breaking spaces, which differ between versions of its data.
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ')
const en = makeFormat('en-US')
const de = makeFormat('de-DE')
const noon = Date.parse('2026-11-21T13:05:00Z')

describe('formatting', () => {
  it('writes numbers and shares as each language does', () => {
    expect(en.number(1234.56, 1)).toBe('1,234.6')
    expect(de.number(1234.56, 1)).toBe('1.234,6')
    expect(en.percent(0.825)).toBe('82%')
    expect(plain(de.percent(0.825))).toBe('82 %')
  })

  it('never rounds an unfinished print up to all of it', () => {
    expect(en.percent(0.999)).toBe('99%')
    expect(en.percent(1)).toBe('100%')
    expect(en.percent(0.29)).toBe('29%')
  })

  it('writes durations with the two largest units', () => {
    expect([0, 45, 60, 3599, 3600, 8000, 200_000].map((s) => plain(en.duration(s)))).toEqual([
      '0 s',
      '45 s',
      '1 min',
      '1 h',
      '1 h',
      '2 h 13 min',
      '2 d 7 h',
    ])
    expect(plain(de.age(0.2))).toBe('0,2 s')
    expect(plain(en.age(0.2))).toBe('0.2 s')
    expect(plain(en.age(75))).toBe('1 min')
  })

  it('writes filament in the unit that fits', () => {
    expect(plain(en.filament(813.2))).toBe('813 mm')
    expect(plain(de.filament(18_813))).toBe('18,81 m')
    expect(plain(en.temperature(214.37, 1))).toBe('214.4 °C')
  })

  it('names the day only when it is not today', () => {
    expect(plain(en.when(noon, noon))).toBe('2:05 PM')
    expect(de.when(noon, noon)).toBe('14:05')
    expect(plain(de.when(noon, noon + 86_400_000))).toMatch(/^21\. Nov\.?, 14:05$/)
    expect(plain(en.when(noon, noon + 86_400_000 * 90))).toContain('2026')
    expect(utc(noon)).toBe('2026-11-21 13:05:00 UTC')
  })

  it('shows a dash, never a zero, for what is not there', () => {
    for (const value of [null, undefined, Number.NaN]) {
      expect([
        en.number(value),
        en.percent(value),
        en.duration(value),
        en.age(value),
        en.filament(value),
      ]).toEqual(Array(5).fill(missing))
    }
  })
})
