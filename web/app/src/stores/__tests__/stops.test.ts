// SPDX-License-Identifier: Apache-2.0
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { useStops } from '../stops'

type Answer = { status: number; body: unknown } | 'none'
const answers: Answer[] = []
const asked: string[] = []

beforeEach(() => {
  answers.length = asked.length = 0
  setActivePinia(createPinia())
  vi.stubGlobal('fetch', (path: string, init: RequestInit = {}) => {
    asked.push(`${init.method} ${path}`)
    const next = answers.shift() ?? 'none'
    if (next === 'none') return Promise.reject(new TypeError('refused'))
    return Promise.resolve(new Response(JSON.stringify(next.body), { status: next.status }))
  })
})

describe('emergency stops', () => {
  it('are confirmed only when the machine has confirmed', async () => {
    answers.push({ status: 200, body: { machine: 'a b', confirmed: true, machine_said: 'ok' } })
    const stops = useStops()
    const done = stops.stop('a b')
    expect(stops.reports[0]?.phase).toBe('under_way')
    await done
    expect(stops.reports[0]?.phase).toBe('confirmed')
    expect(asked).toEqual(['POST /api/v1/machines/a%20b/emergency_stop'])
  })

  it('name each machine that did not confirm', async () => {
    const machines = [
      { machine: 'a', confirmed: true, machine_said: 'ok' },
      { machine: 'b', confirmed: false, machine_said: 'no route to host' },
    ]
    answers.push({ status: 502, body: { code: 'not_confirmed', confirmed: false, machines } })
    const stops = useStops()
    await stops.stop(null)
    expect(asked).toEqual(['POST /api/v1/emergency_stop'])
    expect(stops.reports[0]).toMatchObject({ phase: 'not_confirmed', machines, problem: null })
  })

  it.each<[string, Answer, string]>([
    ['nobody answers', 'none', 'unreachable'],
    ['the hub knows no address', { status: 404, body: { code: 'machine_not_found' } }, 'machine_not_found'],
    ['the session has ended', { status: 401, body: { code: 'session_ended' } }, 'session_ended'],
    ['the answer is something else', { status: 200, body: {} }, 'http_200'],
  ])('are not confirmed when %s', async (_, answer, code) => {
    answers.push(answer)
    const stops = useStops()
    await stops.stop('a')
    expect(stops.reports[0]).toMatchObject({ phase: 'not_confirmed', problem: { code } })
  })

  it('are shown once for each machine, the newest, until somebody closes them', async () => {
    const stops = useStops()
    await stops.stop('a')
    await stops.stop('b')
    answers.push({ status: 200, body: { machine: 'a', confirmed: true } })
    await stops.stop('a')
    expect(stops.reports.map((each) => [each.machine, each.phase])).toEqual([
      ['a', 'confirmed'],
      ['b', 'not_confirmed'],
    ])
    stops.dismiss(stops.reports[0]?.id ?? 0)
    expect(stops.reports.map((each) => each.machine)).toEqual(['b'])
  })
})
