// SPDX-License-Identifier: Apache-2.0
import { ref } from 'vue'
import { Problem } from '@/api/client'

// One change after the other; what went wrong with the last one.
export function useSaving() {
  const saving = ref(false)
  const problem = ref<Problem | null>(null)

  // Whether it was done; false also while another change is on its way.
  async function save(change: () => Promise<void>): Promise<boolean> {
    if (saving.value) return false
    saving.value = true
    problem.value = null
    try {
      await change()
      return true
    } catch (error) {
      problem.value = error instanceof Problem ? error : new Problem(0, 'unexpected', String(error), null)
      return false
    } finally {
      saving.value = false
    }
  }

  return { saving, problem, save }
}
