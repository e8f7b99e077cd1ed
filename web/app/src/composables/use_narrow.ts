// SPDX-License-Identifier: Apache-2.0
import { onScopeDispose, ref, type Ref } from 'vue'

// Whether the window is as narrow as a phone; the same width as in the style sheets.
export function useNarrow(): Ref<boolean> {
  const query = matchMedia('(max-width: 720px)')
  const narrow = ref(query.matches)
  const update = (event: MediaQueryListEvent) => (narrow.value = event.matches)
  query.addEventListener('change', update)
  onScopeDispose(() => query.removeEventListener('change', update))
  return narrow
}
