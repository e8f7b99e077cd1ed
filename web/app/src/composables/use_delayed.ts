// SPDX-License-Identifier: Apache-2.0
import { onScopeDispose, ref, watch, type Ref } from 'vue'

export const skeletonDelayMs = 200

// True once `wanted` has been true for `delayMs` without a break: a placeholder that flashes up for an instant is
// worse than none.
export function useDelayed(wanted: () => boolean, delayMs = skeletonDelayMs): Ref<boolean> {
  const shown = ref(false)
  let timer: ReturnType<typeof setTimeout> | undefined
  watch(
    wanted,
    (now) => {
      clearTimeout(timer)
      if (now) timer = setTimeout(() => (shown.value = true), delayMs)
      else shown.value = false
    },
    { immediate: true },
  )
  onScopeDispose(() => clearTimeout(timer))
  return shown
}
