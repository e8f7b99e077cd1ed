// SPDX-License-Identifier: Apache-2.0
import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { nextTick, type Component } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import { job, machine, printing } from '@/__tests__/fixtures'
import { i18n } from '@/i18n'
import { useLive } from '@/stores/live'
import { usePreferences } from '@/stores/preferences'
import type { Job, Machine } from '@/api/types'
import JobTable from '../JobTable.vue'
import JobVerdict from '../JobVerdict.vue'
import MachineCard from '../MachineCard.vue'
import MachineGrid from '../MachineGrid.vue'
import NeedsYou from '../NeedsYou.vue'

const plain = (text: string) => text.replace(/[\u00a0\u202f\s]+/g, ' ')

function render(component: Component, props: Record<string, unknown> = {}) {
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [{ path: '/jobs/:id', name: 'job', component: { template: '<i />' } }],
  })
  return mount(component, { props, global: { plugins: [i18n, router] }, attachTo: document.body })
}

function receive(machines: Machine[], jobs: Job[] = []) {
  useLive().receive({ type: 'snapshot', position: 1, machines, jobs })
}

beforeEach(() => {
  vi.stubGlobal('matchMedia', () => ({
    matches: false,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
  }))
  document.body.innerHTML = ''
  localStorage.clear()
  setActivePinia(createPinia())
  usePreferences().setLanguage('en')
})

describe('machine card', () => {
  it('shows a machine of which nothing but the id is known, without a single number', () => {
    const card = render(MachineCard, { machine: { id: 'bare' } })
    const text = plain(card.text())
    expect(text).toContain('bare')
    expect(text).toContain('State not known')
    expect(text).toContain('nothing heard yet')
    expect(text).not.toMatch(/\d/)
  })

  it('shows a job without progress as not known instead of nothing done', () => {
    const card = render(MachineCard, { machine: machine('a', { state: 'printing', job: { id: 'a.1' } }) })
    expect(card.get('[data-testid=progress]').text()).toBe('\u2013')
    expect(card.get('[role=progressbar]').attributes('aria-valuenow')).toBeUndefined()
    expect(card.text()).toContain('file name not known')
  })

  it('shows state as word and shape, progress, and temperatures with their targets', () => {
    const card = render(MachineCard, {
      machine: {
        ...printing('a', 0.42, 900),
        temperatures: { extruder: { value: 214.4, target: 215 }, heater_bed: { value: 60, target: 0 } },
      },
    })
    expect(card.get('[data-testid=state]').text()).toBe('Printing')
    expect(card.find('[data-testid=state] svg').exists()).toBe(true)
    expect(card.get('[data-testid=progress]').text()).toBe('42%')
    expect(plain(card.get('dl').text())).toMatch(/nozzle ?214 \/ 215° ?bed ?60°/)
  })

  it('marks old data and gives no end for it', async () => {
    const old = new Date(Date.now() - 120_000).toISOString()
    const card = render(MachineCard, { machine: { ...printing('a', 0.5, 900), updated_at: old } })
    await nextTick()
    expect(card.attributes('data-stale')).toBe('true')
    expect(plain(card.text())).toContain('2 min old')
    expect(card.text()).not.toContain('≈')
  })

  it('tells how old values are that nobody confirms any more, and which, and nothing while they hold', () => {
    const heard = { recorded_at: new Date(Date.now() - 4_000).toISOString(), stale: false }
    const confirmed_at = new Date(Date.now() - 34_500).toISOString()
    const card = (stale: boolean) =>
      render(MachineCard, {
        machine: machine('a', {
          ...heard,
          values: { confirmed_at, stale: stale ? ['sensor', 'fan'] : [] },
          temperatures: { extruder: { value: 214, stale }, 'temperature_sensor cellar': { value: 14 } },
          fans: { fan: { speed: 0.3, stale } },
        }),
      })
    expect(plain(card(false).get('[data-testid=age]').text())).toBe('4 s old')
    expect(card(false).text()).not.toContain('old value')
    const old = card(true)
    expect(plain(old.get('[data-testid=age]').text())).toBe('values 34 s old')
    expect(old.get('[data-testid=age]').attributes('title')).toContain('UTC')
    expect(plain(old.get('dl').text())).toMatch(/nozzle ?214°, old value ?cellar ?14°$/)
    expect(plain(old.get('footer').text())).toContain('fan 30%, old value')
  })

  it('says how many files wait in the queue, and nothing when none does', () => {
    const card = (total: number) => render(MachineCard, { machine: machine('a', { queue: { total } }) })
    expect(plain(card(2).get('[data-testid=queued]').text())).toBe('2 queued')
    expect(card(0).find('[data-testid=queued]').exists()).toBe(false)
  })

  it('shows hostile names as text', () => {
    const name = '<img src=x onerror=alert(1)>'
    const card = render(MachineCard, { machine: machine('a', { name, job: { id: 'a.1', filename: name } }) })
    expect(card.find('img').exists()).toBe(false)
    expect(card.text()).toContain(name)
  })
})

describe('machine grid', () => {
  it('keeps its order while it is pointed at and sorts when the pointer leaves', async () => {
    receive([printing('a', 0.9, 3000), printing('b', 0.5, 3000)])
    const grid = render(MachineGrid)
    const ids = () => grid.findAll('[data-testid=card]').map((card) => card.attributes('data-id'))
    expect(ids()).toEqual(['a', 'b'])
    const pointer = (type: string) => {
      const event = new Event(type) as Event & { pointerType: string }
      event.pointerType = 'mouse'
      grid.element.dispatchEvent(event)
    }
    pointer('pointerenter')
    useLive().receive({
      type: 'delta',
      position: 2,
      machines: [machine('b', { state: 'error' })],
      jobs: [],
      removedJobs: [],
    })
    await nextTick()
    expect(ids()).toEqual(['a', 'b'])
    pointer('pointerleave')
    await nextTick()
    expect(ids()).toEqual(['b', 'a'])
  })

  it('is one tab stop and moves by arrow keys', async () => {
    receive([machine('a'), machine('b'), machine('c')])
    const grid = render(MachineGrid)
    const cards = () => grid.findAll<HTMLElement>('[data-testid=card]')
    expect(cards().map((card) => card.attributes('tabindex'))).toEqual(['0', '-1', '-1'])
    cards()[0]?.element.focus()
    await grid.trigger('keydown', { key: 'ArrowRight' })
    expect(document.activeElement).toBe(cards()[1]?.element)
    expect(cards().map((card) => card.attributes('tabindex'))).toEqual(['-1', '0', '-1'])
    await grid.trigger('keydown', { key: 'End' })
    expect(document.activeElement).toBe(cards()[2]?.element)
  })
})

describe('needs you', () => {
  it("shows Klipper's words as they came and says in both languages what they mean", async () => {
    const text = "MCU 'mcu' shutdown: Timer too close\nThis often indicates ..."
    const strip = render(NeedsYou, { machines: [machine('a', { state: 'shutdown', state_text: text })] })
    expect(strip.get('pre').element.textContent).toBe(text)
    expect(strip.text()).toContain('could not keep up')
    usePreferences().setLanguage('de')
    await nextTick()
    expect(strip.text()).toContain('kam mit der Steuerplatine nicht mit')
    expect(strip.get('pre').element.textContent).toBe(text)
  })
})

describe('job table', () => {
  it('shows a job of which nothing but the id is known with dashes', () => {
    const table = render(JobTable, { jobs: [{ id: 'a.1' }] })
    const cells = table.findAll('tbody td').map((cell) => cell.text())
    expect(cells).toEqual(['Outcome not known', '', 'file name not known', '–', '–', '–', '–', '–', ''])
  })

  it('names machine, outcome and cause in the chosen language', async () => {
    receive([machine('voron-2', { name: 'Voron 2' })])
    usePreferences().setLanguage('de')
    const failed = job('a', {
      outcome: 'failed',
      cause: 'mcu_lost',
      total_duration: 8000,
      filament_used: 18_813,
    })
    const table = render(JobTable, { jobs: [failed] })
    await nextTick()
    const text = plain(table.get('tbody').text())
    for (const part of ['Fehlgeschlagen', 'Voron 2', 'Steuerplatine verloren', '2 h 13 min', '18,81 m']) {
      expect(text).toContain(part)
    }
  })

  it('shows a cause that it does not know as the hub calls it', () => {
    const table = render(JobTable, { jobs: [job('a', { cause: 'gremlins_inside' })] })
    expect(table.text()).toContain('gremlins inside')
  })
})

describe('verdict', () => {
  const sent: { method: string; url: string; body: unknown }[] = []
  function hub(answer: { status: number; body: unknown }) {
    sent.length = 0
    vi.stubGlobal('fetch', (url: string, init: { method?: string; body?: string }) => {
      if (!init.method) return Promise.resolve(new Response('{"reasons":["clog","wet filament"]}'))
      sent.push({ method: init.method, url, body: JSON.parse(init.body ?? 'null') })
      return Promise.resolve(new Response(JSON.stringify(answer.body), { status: answer.status }))
    })
  }

  it('is saved by one choice and told to the page', async () => {
    hub({ status: 200, body: job('a.1', { verdict: 'scrap' }) })
    const panel = render(JobVerdict, { job: job('a.1') })
    await panel.get('input[value=scrap]').trigger('change')
    await vi.waitFor(() => expect(panel.emitted('changed')?.[0]).toEqual([job('a.1', { verdict: 'scrap' })]))
    expect(sent).toEqual([{ method: 'PATCH', url: '/api/v1/jobs/a.1', body: { verdict: 'scrap' } }])
    expect(panel.get('[role=status]').text()).toBe('Saved')
  })

  it('offers reasons in words, known ones translated, and keeps one that is no longer offered', async () => {
    hub({ status: 200, body: job('a.1') })
    const panel = render(JobVerdict, { job: job('a.1', { verdict: 'rework', reason: 'old one' }) })
    await vi.waitFor(() => expect(panel.findAll('option').length).toBe(4))
    const words = panel.findAll('option').map((option) => option.text())
    expect(words).toEqual(['no reason given', 'Nozzle clogged', 'wet filament', 'old one'])
  })

  it('sends notes and tags together, each tag once, and says when that failed', async () => {
    hub({ status: 400, body: { code: 'invalid_field', title: 'Bad Request', detail: 'too long' } })
    const panel = render(JobVerdict, { job: job('a.1') })
    expect(panel.get('[type=submit]').attributes('disabled')).toBeDefined()
    await panel.get('[data-testid=tags]').setValue(' red, order 7 ,red')
    await panel.get('[data-testid=notes]').setValue('cracked')
    await panel.get('form').trigger('submit')
    await vi.waitFor(() => expect(panel.get('[role=alert]').text()).toBe('Not saved: too long'))
    expect(sent[0]?.body).toEqual({ notes: 'cracked', tags: ['red', 'order 7'] })
  })
})
