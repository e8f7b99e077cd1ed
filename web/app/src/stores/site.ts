// SPDX-License-Identifier: Apache-2.0
import { ref } from 'vue'
import { defineStore } from 'pinia'
import { Client } from '@/api/client'
import type { Site } from '@/api/types'
import { useAccess } from './access'
import { useLive } from './live'

export const useSite = defineStore('site', () => {
  const live = useLive()
  const access = useAccess()
  const client = new Client(
    () => live.position,
    () => access.refused(),
  )
  const site = ref<Site | null>(null)

  // Leaves the last answer in place when none comes: the link state already says that the hub is away.
  async function load(): Promise<void> {
    try {
      site.value = await client.site()
    } catch {
      return
    }
  }

  return { site, load, client }
})
