// SPDX-License-Identifier: Apache-2.0
import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import { holdMs } from '@/composables/use_hold'
import { i18n } from '@/i18n'
import { usePreferences } from '@/stores/preferences'
import { useStops } from '@/stores/stops'
import StopButton from '../StopButton.vue'
import StopReports from '../StopReports.vue'

let asked: (string | null)[] = []

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('matchMedia', () => ({
    matches: false,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
  }))
  localStorage.clear()
  setActivePinia(createPinia())
  usePreferences().setLanguage('en')
  asked = []
  vi.spyOn(useStops(), 'stop').mockImplementation((machine) => {
    asked.push(machine)
    return Promise.resolve()
  })
})
afterEach(() => void vi.useRealTimers())

function button(machine?: string) {
  const global = { plugins: [i18n] }
  const made = machine
    ? mount(StopButton, { props: { machine, name: machine }, global })
    : mount(StopButton, { global })
  return made.get('button')
}

// `detail` is 0 for a press that came from no pointer.
async function click(stop: { element: Element }, detail: number): Promise<void> {
  stop.element.dispatchEvent(new MouseEvent('click', { detail, bubbles: true }))
  await nextTick()
}

const touch = { button: 0, pointerType: 'touch' }
const mouse = { button: 0, pointerType: 'mouse' }

describe('stop button of a machine', () => {
  it('stops at once by mouse and by keyboard', async () => {
    const stop = button('a')
    await stop.trigger('pointerdown', mouse)
    await stop.trigger('pointerup', mouse)
    await click(stop, 1)
    expect(asked).toEqual(['a'])
    await stop.trigger('keydown', { key: 'Enter' })
    await click(stop, 0)
    expect(asked).toEqual(['a', 'a'])
  })

  it('has to be held by touch, and stops once', async () => {
    const stop = button('a')
    await stop.trigger('pointerdown', touch)
    vi.advanceTimersByTime(holdMs - 50)
    await stop.trigger('pointerup', touch)
    await click(stop, 1)
    expect(asked).toEqual([])
    expect(stop.element.parentElement?.textContent).toContain('Hold to stop')
    await stop.trigger('pointerdown', touch)
    vi.advanceTimersByTime(holdMs)
    await stop.trigger('pointerup', touch)
    await click(stop, 1)
    expect(asked).toEqual(['a'])
  })

  it('lets go when the finger leaves it', async () => {
    const stop = button('a')
    await stop.trigger('pointerdown', touch)
    await stop.trigger('pointerleave', touch)
    vi.advanceTimersByTime(2 * holdMs)
    expect(asked).toEqual([])
  })
})

describe('stop button of every machine', () => {
  it('has to be held, by mouse and by keyboard too', async () => {
    const stop = button()
    await stop.trigger('pointerdown', mouse)
    await stop.trigger('pointerup', mouse)
    await click(stop, 1)
    await stop.trigger('keydown', { key: 'Enter' })
    await stop.trigger('keyup', { key: 'Enter' })
    expect(asked).toEqual([])
    await stop.trigger('pointerdown', mouse)
    vi.advanceTimersByTime(holdMs)
    await stop.trigger('pointerup', mouse)
    await click(stop, 1)
    expect(asked).toEqual([null])
    await stop.trigger('keydown', { key: ' ' })
    vi.advanceTimersByTime(holdMs)
    await stop.trigger('keyup', { key: ' ' })
    expect(asked).toEqual([null, null])
  })
})

describe('the keys that stop every machine', () => {
  const press = (init: KeyboardEventInit = {}) =>
    window.dispatchEvent(
      new KeyboardEvent('keydown', { code: 'Period', key: ':', ctrlKey: true, shiftKey: true, ...init }),
    )

  it('have to be pressed twice within a second', async () => {
    const reports = mount(StopReports, { global: { plugins: [i18n] } })
    press()
    await nextTick()
    expect(reports.text()).toContain('once more')
    vi.advanceTimersByTime(1100)
    press()
    press({ repeat: true })
    press({ shiftKey: false })
    expect(asked).toEqual([])
    press()
    expect(asked).toEqual([null])
    reports.unmount()
    press()
    press()
    expect(asked).toEqual([null])
  })
})
