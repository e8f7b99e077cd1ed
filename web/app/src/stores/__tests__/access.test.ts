// SPDX-License-Identifier: Apache-2.0
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { renewMs, useAccess } from '../access'
import { useSite } from '../site'

const answers: { status: number; body: unknown }[] = []
const asked: { method: string; path: string; body: unknown }[] = []

function answer(status: number, body: unknown = {}): void {
  answers.push({ status, body })
}

beforeEach(() => {
  vi.useFakeTimers()
  answers.length = asked.length = 0
  setActivePinia(createPinia())
  vi.stubGlobal('fetch', (path: string, init: RequestInit = {}) => {
    asked.push({ method: init.method ?? 'GET', path, body: init.body ?? null })
    const next = answers.shift() ?? { status: 500, body: {} }
    const body = next.status === 204 ? null : JSON.stringify(next.body)
    return Promise.resolve(new Response(body, { status: next.status }))
  })
})
afterEach(() => {
  useAccess().stop()
  vi.useRealTimers()
})

const session = { how: 'session', actor: 'Anna', key_id: 'key-1', scopes: ['read'], machines: null }

describe('access', () => {
  it('asks for a key once the hub wants one, wherever that shows', async () => {
    answer(401, { code: 'key_missing' })
    await useSite().load()
    expect(useAccess().needed).toBe(true)
  })

  it('does not ask for one when the hub is away', async () => {
    answer(503, { code: 'overloaded' })
    await useAccess().look()
    expect(useAccess().needed).toBe(false)
  })

  it('opens a session with a key and keeps the key nowhere', async () => {
    const access = useAccess()
    access.refused()
    answer(201, session)
    await access.enter('mr_secret')
    expect(access.needed).toBe(false)
    expect(access.bySession).toBe(true)
    expect(asked[0]).toEqual({ method: 'POST', path: '/api/v1/session', body: '{"key":"mr_secret"}' })
    expect(JSON.stringify(access.$state) + JSON.stringify(localStorage)).not.toContain('mr_secret')
  })

  it('stays where it is when the key is not taken', async () => {
    const access = useAccess()
    access.refused()
    answer(401, { code: 'key_invalid', detail: 'no' })
    await expect(access.enter('mr_wrong')).rejects.toMatchObject({ code: 'key_invalid' })
    expect(access.needed).toBe(true)
  })

  it('asks again after leaving, also when the session was over already', async () => {
    const access = useAccess()
    for (const status of [204, 401]) {
      answer(201, session)
      await access.enter('mr_secret')
      answer(status)
      await access.leave()
      expect(access.needed).toBe(true)
      expect(access.caller).toBeNull()
    }
  })

  it('keeps a session alive on a page that only listens, and nothing else', async () => {
    const access = useAccess()
    access.start()
    await vi.advanceTimersByTimeAsync(renewMs)
    expect(asked).toHaveLength(0)
    answer(201, session)
    await access.enter('mr_secret')
    answer(200, session)
    await vi.advanceTimersByTimeAsync(renewMs)
    expect(asked).toHaveLength(2)
    expect(asked[1]?.path).toBe('/api/v1/session')
  })
})
