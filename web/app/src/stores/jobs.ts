// SPDX-License-Identifier: Apache-2.0
// The pages of the job table under one filter, newest first, kept up to date by the live connection.
import { ref, shallowRef } from 'vue'
import { defineStore } from 'pinia'
import { Problem } from '@/api/client'
import type { Job, Outcome } from '@/api/types'
import type { Verdict } from '@/domain/verdict'
import { useSite } from './site'

export interface JobFilter {
  machine: string
  outcome: Outcome | ''
  verdict: Verdict | 'unknown' | ''
  q: string
}

export const pageSize = 50
export const noFilter: JobFilter = { machine: '', outcome: '', verdict: '', q: '' }

export const useJobs = defineStore('jobs', () => {
  const site = useSite()
  const filter = ref<JobFilter>({ ...noFilter })
  const items = shallowRef<readonly Job[]>([])
  const cursor = ref<string | null>(null)
  const loading = ref(false)
  const loaded = ref(false)
  const problem = ref<Problem | null>(null)
  let current: AbortController | null = null

  function load(next: JobFilter = filter.value): Promise<void> {
    filter.value = { ...next }
    return fetchPage(null)
  }

  function more(): Promise<void> {
    return cursor.value === null || loading.value ? Promise.resolve() : fetchPage(cursor.value)
  }

  async function fetchPage(from: string | null): Promise<void> {
    current?.abort()
    const mine = new AbortController()
    current = mine
    loading.value = true
    problem.value = null
    try {
      const page = await site.client.jobs(
        { ...filter.value, limit: pageSize, ...(from ? { cursor: from } : {}) },
        mine.signal,
      )
      if (current !== mine) return
      items.value = from ? joined(items.value, page.items) : page.items
      cursor.value = page.next_cursor || null
      loaded.value = true
    } catch (error) {
      if (current !== mine) return
      problem.value = error instanceof Problem ? error : new Problem(0, 'unexpected', String(error), null)
    } finally {
      if (current === mine) loading.value = false
    }
  }

  // Jobs that the hub reported as changed: rows are renewed in place, new ones join at their time, and those that no
  // longer match leave.
  function absorb(changed: readonly Job[]): void {
    if (!loaded.value || changed.length === 0) return
    const fresh = new Map(changed.map((job) => [job.id, job]))
    const next = items.value.map((job) => fresh.get(job.id) ?? job)
    const present = new Set(next.map((job) => job.id))
    const oldest = startOf(next[next.length - 1])
    for (const job of changed) {
      if (present.has(job.id) || (cursor.value !== null && startOf(job) < oldest)) continue
      next.push(job)
    }
    items.value = next.filter((job) => matches(job, filter.value, present.has(job.id))).sort(newestFirst)
  }

  function drop(removed: readonly string[]): void {
    if (items.value.some((job) => removed.includes(job.id))) {
      items.value = items.value.filter((job) => !removed.includes(job.id))
    }
  }

  return { filter, items, cursor, loading, loaded, problem, load, more, absorb, drop }
})

function joined(old: readonly Job[], added: Job[]): Job[] {
  const present = new Set(old.map((job) => job.id))
  return [...old, ...added.filter((job) => !present.has(job.id))]
}

function startOf(job: Job | undefined): number {
  const start = Date.parse(job?.started_at ?? '')
  return Number.isNaN(start) ? 0 : start
}

function newestFirst(a: Job, b: Job): number {
  return startOf(b) - startOf(a)
}

// `found`: the hub has found it by the text, which may stand where this page does not look, such as in its notes.
export function matches(job: Job, filter: JobFilter, found = false): boolean {
  if (filter.machine && job.machine !== filter.machine) return false
  if (filter.outcome && job.outcome !== filter.outcome) return false
  if (filter.verdict && (job.verdict ?? 'unknown') !== filter.verdict) return false
  if (!filter.q || found) return true
  const text = plain([job.filename, job.title, job.machine, ...(job.tags ?? [])].join(' '))
  return plain(filter.q)
    .trim()
    .split(' ')
    .every((word) => text.includes(` ${word}`))
}

// Words with a blank before each, in lower case and without accents, as the hub compares them.
function plain(text: string): string {
  const letters = text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()
  return ` ${letters.replace(/[^\p{L}\p{N}]+/gu, ' ').trim()}`
}
