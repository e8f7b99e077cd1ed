// SPDX-License-Identifier: Apache-2.0
import { computed, ref } from 'vue'

const steps: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }

// One tab stop for a whole group: Tab enters at the last used item, arrows, Home and End move within. `selector` finds
// the items in the group's element; each carries its id in data-id.
export function useRoving(ids: () => string[], selector: string) {
  const last = ref<string | null>(null)
  const active = computed(() => {
    const all = ids()
    return last.value !== null && all.includes(last.value) ? last.value : (all[0] ?? null)
  })

  function onKeydown(event: KeyboardEvent): void {
    const group = event.currentTarget as HTMLElement
    const items = [...group.querySelectorAll<HTMLElement>(selector)]
    const from = items.findIndex((item) => item.contains(document.activeElement))
    if (from < 0 || event.altKey || event.ctrlKey || event.metaKey) return
    const to = target(event.key, from, items.length)
    if (to === null) return
    event.preventDefault()
    items[to]?.focus()
  }

  function onFocusin(event: FocusEvent): void {
    const item = (event.target as HTMLElement).closest<HTMLElement>('[data-id]')
    if (item?.dataset['id']) last.value = item.dataset['id']
  }

  return { active, onKeydown, onFocusin }
}

function target(key: string, from: number, count: number): number | null {
  if (key === 'Home') return 0
  if (key === 'End') return count - 1
  const step = steps[key]
  return step === undefined ? null : Math.min(count - 1, Math.max(0, from + step))
}
