// SPDX-License-Identifier: Apache-2.0
import { computed, ref, watch, type ComputedRef } from 'vue'

// Keeps the order of a list still while somebody points at it or has the focus in it: a card must not slip away under
// the hand that reaches for it. Items that appear meanwhile join at the end, items that vanish leave at once.
export function useHeldOrder<T extends { id: string }>(wanted: () => T[]) {
  const pointed = ref(false)
  const focused = ref(false)
  const held = computed(() => pointed.value || focused.value)
  const order = ref<string[]>([])

  watch(
    [wanted, held],
    ([items, isHeld]) => {
      const ids = items.map((item) => item.id)
      if (!isHeld) {
        order.value = ids
        return
      }
      const present = new Set(ids)
      const kept = order.value.filter((id) => present.has(id))
      order.value = [...kept, ...ids.filter((id) => !kept.includes(id))]
    },
    { immediate: true },
  )

  const items: ComputedRef<T[]> = computed(() => {
    const byId = new Map(wanted().map((item) => [item.id, item]))
    return order.value.flatMap((id) => byId.get(id) ?? [])
  })
  return { items, pointed, focused }
}
