// SPDX-License-Identifier: Apache-2.0
// The parts of a job's page that show and change what people and slicers know of it.
import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Component } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import { job, machine } from '@/__tests__/fixtures'
import { i18n } from '@/i18n'
import { useLive } from '@/stores/live'
import { usePreferences } from '@/stores/preferences'
import { useSite } from '@/stores/site'
import JobEntry from '../JobEntry.vue'
import JobHistory from '../JobHistory.vue'
import JobPhotos from '../JobPhotos.vue'
import JobSliced from '../JobSliced.vue'

const plain = (text: string) => text.replace(/[\u00a0\u202f\s]+/g, ' ')
const blob = 'a'.repeat(64)

function render(component: Component, props: Record<string, unknown> = {}) {
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      { path: '/', component: { template: '<i />' } },
      { path: '/jobs/:id', name: 'job', component: { template: '<i />' } },
    ],
  })
  const shown = mount(component, { props, global: { plugins: [i18n, router] }, attachTo: document.body })
  return { shown, router }
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
  // jsdom has the element, but not its methods.
  HTMLDialogElement.prototype.showModal = vi.fn()
  HTMLDialogElement.prototype.close = vi.fn()
})

describe('earlier values', () => {
  it('are shown newest first in the words of the page, with who and why', () => {
    const { shown } = render(JobHistory, {
      changes: [
        {
          position: 7,
          at: '2026-11-21T12:00:00Z',
          actor: 'anna',
          field: 'verdict',
          before: 'unknown',
          after: 'good',
        },
        {
          position: 9,
          at: '2026-11-21T12:05:00Z',
          field: 'reason',
          before: 'warping',
          after: 'own words',
          reason: 'seen late',
        },
      ],
    })
    const rows = shown.findAll('[data-testid=change]').map((row) => plain(row.text()))
    expect(rows[0]).toMatch(/Reason.*Warped.*own words.*seen late/)
    expect(rows[1]).toMatch(/Verdict.*No verdict.*Good.*anna/)
  })

  it('are not mentioned where nothing was changed', () => {
    expect(render(JobHistory, { changes: [] }).shown.find('[data-testid=changes]').exists()).toBe(false)
  })
})

describe('photos', () => {
  const photo = { blob, content_type: 'image/png', caption: 'left side', added_at: '2026-11-21T12:00:00Z' }

  it('are shown with their captions and can be taken away', async () => {
    const removePhoto = vi.spyOn(useSite().client, 'removePhoto').mockResolvedValue(job('a.1'))
    const { shown } = render(JobPhotos, { job: { ...job('a.1'), photos: [photo] } })
    expect(shown.get('img').attributes()).toMatchObject({ src: `/api/v1/blobs/${blob}`, alt: 'left side' })
    await shown.get('[data-testid=remove-photo]').trigger('click')
    await flushPromises()
    expect(removePhoto).toHaveBeenCalledWith('a.1', blob)
    expect(shown.emitted('changed')).toHaveLength(1)
  })

  it('go to the hub with the caption', async () => {
    const addPhoto = vi.spyOn(useSite().client, 'addPhoto').mockResolvedValue(job('a.1'))
    const { shown } = render(JobPhotos, { job: { ...job('a.1'), photos: [] } })
    const file = new File(['bytes'], 'part.png', { type: 'image/png' })
    await shown.get('[data-testid=photo-caption]').setValue(' top ')
    const input = shown.get('[data-testid=photo-file]')
    Object.defineProperty(input.element, 'files', { value: [file] })
    await input.trigger('change')
    await flushPromises()
    expect(addPhoto).toHaveBeenCalledWith('a.1', file, 'top')
  })

  it('that are too large are refused before they are sent', async () => {
    const addPhoto = vi.spyOn(useSite().client, 'addPhoto')
    const { shown } = render(JobPhotos, { job: { ...job('a.1'), photos: [] } })
    const input = shown.get('[data-testid=photo-file]')
    Object.defineProperty(input.element, 'files', { value: [{ size: 11 * 1024 * 1024 }] })
    await input.trigger('change')
    await flushPromises()
    expect(addPhoto).not.toHaveBeenCalled()
    expect(shown.get('[role=alert]').text()).toContain('10 MiB')
  })
})

describe('what the slicer planned', () => {
  it('shows its picture, its numbers, each extruder, and finds settings', async () => {
    const { shown } = render(JobSliced, {
      sliced: {
        slicer_name: 'OrcaSlicer',
        slicer_version: '2.3.0',
        estimated_time: 5400,
        layer_height: 0.2,
        thumbnail: blob,
        thumbnail_type: 'image/png',
        extruders: [
          { filament_type: 'PLA', used_mm: 1200, filament_color: '#ff8800' },
          { filament_type: 'PETG', used_mm: 300 },
        ],
        settings: { wall_loops: '3', sparse_infill_density: '15%' },
      },
    })
    expect(shown.get('[data-testid=thumbnail]').attributes('src')).toBe(`/api/v1/blobs/${blob}`)
    expect(plain(shown.get('.plan').text())).toMatch(/OrcaSlicer 2\.3\.0.*1 h 30 min.*0\.20 mm/)
    expect(shown.findAll('tbody tr').map((row) => plain(row.text()))).toEqual(['0 PLA1.20 m', '1 PETG300 mm'])
    await shown.get('[data-testid=settings-search]').setValue('WALL')
    expect(shown.findAll('.settings dt').map((name) => name.text())).toEqual(['wall_loops'])
  })

  it('draws no picture that browsers do not know', () => {
    const { shown } = render(JobSliced, { sliced: { thumbnail: blob, thumbnail_type: 'image/qoi' } })
    expect(shown.find('img').exists()).toBe(false)
  })

  it('fetches long settings when somebody looks, and says when they are not there', async () => {
    const settings = vi.spyOn(useSite().client, 'settings').mockResolvedValue({ wall_loops: '3' })
    const { shown } = render(JobSliced, { sliced: { settings_blob: blob } })
    expect(settings).not.toHaveBeenCalled()
    const details = shown.get('[data-testid=settings]')
    ;(details.element as HTMLDetailsElement).open = true
    await details.trigger('toggle')
    await flushPromises()
    expect(settings).toHaveBeenCalledWith(blob)
    expect(shown.find('.settings dt').text()).toBe('wall_loops')
  })
})

describe('a print entered by hand', () => {
  it('is sent in UTC and then shown; an end before the start is refused', async () => {
    useLive().receive({ type: 'snapshot', position: 1, machines: [machine('voron-2')], jobs: [] })
    const enterJob = vi.spyOn(useSite().client, 'enterJob').mockResolvedValue('voron-2.m1')
    const { shown, router } = render(JobEntry)
    await shown.get('[data-testid=enter]').trigger('click')
    await shown.get('[data-testid=entry-file]').setValue('gear.gcode')
    await shown.get('[data-testid=entry-started]').setValue('2026-11-21T13:00:00')
    await shown.get('[data-testid=entry-ended]').setValue('2026-11-21T12:00:00')
    await shown.get('[data-testid=entry-form]').trigger('submit')
    expect(enterJob).not.toHaveBeenCalled()
    expect(shown.get('[role=alert]').text()).toContain('before')
    await shown.get('[data-testid=entry-ended]').setValue('2026-11-21T14:30:00')
    await shown.get('[data-testid=entry-form]').trigger('submit')
    await flushPromises()
    expect(enterJob).toHaveBeenCalledWith({
      machine: 'voron-2',
      outcome: 'completed',
      started_at: '2026-11-21T12:00:00.000Z',
      ended_at: '2026-11-21T13:30:00.000Z',
      filename: 'gear.gcode',
    })
    expect(router.currentRoute.value.params['id']).toBe('voron-2.m1')
  })
})
