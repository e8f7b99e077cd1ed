// SPDX-License-Identifier: Apache-2.0
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { job } from '@/__tests__/fixtures'
import { noFilter, useJobs } from '../jobs'
import { useLive } from '../live'

const at = (minute: number) => `2026-11-21T12:${String(minute).padStart(2, '0')}:00Z`
const calls: { url: string; headers: Record<string, string> }[] = []
let answers: { status: number; body: unknown }[] = []

beforeEach(() => {
  setActivePinia(createPinia())
  calls.length = 0
  answers = []
  vi.stubGlobal('fetch', (url: string, init: { headers: Record<string, string> }) => {
    calls.push({ url, headers: init.headers })
    const answer = answers.shift()
    if (!answer) return Promise.reject(new TypeError('refused'))
    return Promise.resolve(new Response(JSON.stringify(answer.body), { status: answer.status }))
  })
})
afterEach(() => vi.unstubAllGlobals())

const page = (items: unknown[], cursor: string | null = null) => ({
  status: 200,
  body: { items, next_cursor: cursor, total: null },
})

describe('job pages', () => {
  it('sends filter and newest seen position, and goes on by cursor without repeating a job', async () => {
    useLive().receive({ type: 'snapshot', position: 77, machines: [], jobs: [] })
    answers = [page([job('c'), job('b')], 'next'), page([job('b'), job('a')])]
    const jobs = useJobs()
    await jobs.load({ ...noFilter, machine: 'voron-2', outcome: 'failed', q: 'a b' })
    expect(calls[0]?.url).toBe('/api/v1/jobs?machine=voron-2&outcome=failed&q=a+b&limit=50')
    expect(calls[0]?.headers['Millrace-Min-Position']).toBe('77')
    await jobs.more()
    expect(calls[1]?.url).toContain('cursor=next')
    expect(jobs.items.map((item) => item.id)).toEqual(['c', 'b', 'a'])
    await jobs.more()
    expect(calls.length).toBe(2)
  })

  it('keeps the rows and names the problem when the hub answers with one', async () => {
    const jobs = useJobs()
    answers = [page([job('a')]), { status: 503, body: { code: 'view_behind', title: 'Behind', detail: 'x' } }]
    await jobs.load()
    await jobs.load()
    expect(jobs.items.length).toBe(1)
    expect(jobs.problem).toMatchObject({ status: 503, code: 'view_behind', detail: 'x' })
    await jobs.load()
    expect(jobs.problem).toMatchObject({ status: 0, code: 'unreachable' })
  })

  it('takes over live changes: renews rows, adds new ones on top, drops those that no longer match', async () => {
    const jobs = useJobs()
    answers = [
      page([
        job('b', { outcome: 'running', started_at: at(2) }),
        job('a', { outcome: 'running', started_at: at(1) }),
      ]),
    ]
    await jobs.load({ ...noFilter, outcome: 'running' })
    jobs.absorb([
      job('c', { outcome: 'running', started_at: at(3) }),
      job('b', { outcome: 'running', started_at: at(2), progress: 0.5 }),
      job('a', { outcome: 'completed', started_at: at(1) }),
    ])
    expect(jobs.items.map((item) => [item.id, item.progress])).toEqual([
      ['c', undefined],
      ['b', 0.5],
    ])
  })

  it('leaves older jobs to the pages that are not loaded yet', async () => {
    const jobs = useJobs()
    answers = [page([job('b', { started_at: at(5) })], 'next')]
    await jobs.load()
    jobs.absorb([job('old', { started_at: at(1) })])
    expect(jobs.items.map((item) => item.id)).toEqual(['b'])
  })

  it('drops rows that turned out to be another job', async () => {
    const jobs = useJobs()
    answers = [page([job('b', { started_at: at(5) }), job('a', { started_at: at(1) })])]
    await jobs.load()
    jobs.drop(['b', 'unknown'])
    expect(jobs.items.map((item) => item.id)).toEqual(['a'])
  })
})
