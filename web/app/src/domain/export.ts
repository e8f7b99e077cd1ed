// SPDX-License-Identifier: Apache-2.0
// The address under which the hub streams the jobs of a filter as a file.
import type { JobFilter } from '@/stores/jobs'

export const separators = ['comma', 'semicolon', 'tab'] as const
export const decimals = ['point', 'comma'] as const

export interface ExportChoice {
  format: 'csv' | 'jsonl'
  separator: (typeof separators)[number]
  decimal: (typeof decimals)[number]
  // Excel takes a file for UTF-8 only with a mark at its beginning.
  excel: boolean
}

// What the spreadsheets of a language expect.
export function usualExport(language: string): ExportChoice {
  return language === 'de'
    ? { format: 'csv', separator: 'semicolon', decimal: 'comma', excel: true }
    : { format: 'csv', separator: 'comma', decimal: 'point', excel: true }
}

export function exportUrl(filter: JobFilter, choice: ExportChoice): string {
  const search = new URLSearchParams({ format: choice.format })
  for (const [name, value] of Object.entries(filter)) if (value !== '') search.set(name, value)
  if (choice.format === 'csv') {
    search.set('separator', choice.separator)
    search.set('decimal', choice.decimal)
    if (choice.excel) search.set('bom', 'true')
  }
  return `/api/v1/jobs/export?${search}`
}
