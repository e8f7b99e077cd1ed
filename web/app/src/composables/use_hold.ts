// SPDX-License-Identifier: Apache-2.0
import { onScopeDispose, ref } from 'vue'

export const holdMs = 700
export const hintMs = 2500

// A button that must not be pressed by accident: by touch it has to be held, by mouse and keyboard a press is enough
// unless `always`. `done` is called once per press. A screen reader's press counts as the keyboard's.
export function useHold(done: () => void, always: () => boolean) {
  const holding = ref(false)
  const hint = ref(false)
  let pointer = ''
  let timer: ReturnType<typeof setTimeout> | null = null
  let hintTimer: ReturnType<typeof setTimeout> | null = null

  const mustHold = () => always() || (pointer !== '' && pointer !== 'mouse')

  function begin(): void {
    if (holding.value) return
    holding.value = true
    timer = setTimeout(() => {
      release(false)
      navigator.vibrate?.(60)
      done()
    }, holdMs)
  }

  function release(early: boolean): void {
    if (!holding.value) return
    holding.value = false
    if (timer !== null) clearTimeout(timer)
    if (early) showHint()
  }

  function showHint(): void {
    hint.value = true
    if (hintTimer !== null) clearTimeout(hintTimer)
    hintTimer = setTimeout(() => (hint.value = false), hintMs)
  }

  const on = {
    pointerdown(event: PointerEvent): void {
      if (event.button !== 0) return
      pointer = event.pointerType
      if (mustHold()) begin()
    },
    pointerup: () => release(true),
    pointerleave: () => release(true),
    pointercancel: () => release(true),
    blur: () => release(true),
    keydown(event: KeyboardEvent): void {
      pointer = ''
      if (!['Enter', ' '].includes(event.key) || !always()) return
      event.preventDefault()
      if (!event.repeat) begin()
    },
    keyup(event: KeyboardEvent): void {
      if (['Enter', ' '].includes(event.key)) release(true)
    },
    // A finger that rests long opens a menu otherwise.
    contextmenu: (event: Event) => event.preventDefault(),
    click(event: MouseEvent): void {
      event.stopPropagation()
      if (!mustHold()) done()
      else if (event.detail === 0) showHint()
      pointer = ''
    },
  }

  onScopeDispose(() => {
    if (timer !== null) clearTimeout(timer)
    if (hintTimer !== null) clearTimeout(hintTimer)
  })

  return { holding, hint, on }
}
