// SPDX-License-Identifier: Apache-2.0
// Emergency stops asked for on this page, and what became of each. A stop counts as done only once the machine has
// confirmed it; whatever else happens is told as not confirmed.
import { ref } from 'vue'
import { defineStore } from 'pinia'
import { Problem } from '@/api/client'
import type { StopOutcome } from '@/api/types'
import { useSite } from './site'

export interface StopReport {
  id: number
  // null: every machine.
  machine: string | null
  phase: 'under_way' | 'confirmed' | 'not_confirmed'
  machines: StopOutcome[]
  // Why there is no outcome of any machine.
  problem: Problem | null
}

export const useStops = defineStore('stops', () => {
  const site = useSite()
  const reports = ref<StopReport[]>([])
  let last = 0

  async function stop(machine: string | null): Promise<void> {
    const id = ++last
    tell({ id, machine, phase: 'under_way', machines: [], problem: null })
    try {
      const machines = await site.client.emergencyStop(machine)
      const confirmed = machines.every((each) => each.confirmed)
      tell({ id, machine, phase: confirmed ? 'confirmed' : 'not_confirmed', machines, problem: null })
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, 'unexpected', String(error), null)
      tell({ id, machine, phase: 'not_confirmed', machines: [], problem })
    }
  }

  // The newest of each machine, the last one asked for first.
  function tell(report: StopReport): void {
    const others = reports.value.filter((each) => each.machine !== report.machine)
    const known = reports.value.find((each) => each.machine === report.machine)
    if (known && known.id > report.id) return
    reports.value = [report, ...others]
  }

  function dismiss(id: number): void {
    reports.value = reports.value.filter((each) => each.id !== id)
  }

  return { reports, stop, dismiss }
})
