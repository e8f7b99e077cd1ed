// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { noFilter } from '@/stores/jobs'
import { exportUrl, usualExport } from '../export'
import { computedSha256, sha256 } from '../sha256'

describe('SHA-256', () => {
  it('is that of the standard for every length around the ends of blocks', () => {
    for (const length of [0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000, 70_000]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 256)
      const wanted = createHash('sha256').update(bytes).digest('hex')
      expect(computedSha256(bytes.buffer), String(length)).toBe(wanted)
    }
  })

  it('is the same where the browser has its own', async () => {
    const { buffer } = new TextEncoder().encode('layer 1')
    expect(await sha256(buffer as ArrayBuffer)).toBe(computedSha256(buffer as ArrayBuffer))
  })
})

describe('the export', () => {
  it('takes the filter of the page and what spreadsheets of the language expect', () => {
    const filter = { ...noFilter, machine: 'voron-2', q: 'gear & axle' }
    expect(exportUrl(filter, usualExport('de'))).toBe(
      '/api/v1/jobs/export?format=csv&machine=voron-2&q=gear+%26+axle&separator=semicolon&decimal=comma&bom=true',
    )
    expect(exportUrl(noFilter, { ...usualExport('en'), excel: false })).toBe(
      '/api/v1/jobs/export?format=csv&separator=comma&decimal=point',
    )
  })

  it('leaves out of JSON Lines what only CSV knows', () => {
    expect(exportUrl(noFilter, { ...usualExport('de'), format: 'jsonl' })).toBe(
      '/api/v1/jobs/export?format=jsonl',
    )
  })
})
