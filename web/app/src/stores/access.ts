// SPDX-License-Identifier: Apache-2.0
// Whether this browser is let in: without keys this computer is, else a session is opened by entering a key once. The
// key itself is never kept here; the session is a cookie that no script can read.
import { computed, ref } from 'vue'
import { defineStore } from 'pinia'
import { Client, Problem } from '@/api/client'
import type { Caller } from '@/api/types'

// A page that only listens to the live feed asks for nothing, and its session would end for being idle.
export const renewMs = 10 * 60_000

export const useAccess = defineStore('access', () => {
  const client = new Client(() => null)
  const caller = ref<Caller | null>(null)
  // A key has to be entered before anything is shown.
  const needed = ref(false)
  const bySession = computed(() => caller.value?.how === 'session')
  let ticker: ReturnType<typeof setInterval> | null = null

  // Asks who this browser is; leaves everything as it is when nobody answers.
  async function look(): Promise<void> {
    try {
      caller.value = await client.session()
      needed.value = false
    } catch (error) {
      if (error instanceof Problem && error.status === 401) refused()
    }
  }

  function refused(): void {
    caller.value = null
    needed.value = true
  }

  // Throws the Problem when the key is not taken.
  async function enter(key: string): Promise<void> {
    caller.value = await client.openSession(key)
    needed.value = false
  }

  async function leave(): Promise<void> {
    try {
      await client.closeSession()
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) return
    }
    refused()
  }

  function start(): void {
    ticker ??= setInterval(() => {
      if (bySession.value) void look()
    }, renewMs)
  }

  function stop(): void {
    if (ticker !== null) clearInterval(ticker)
    ticker = null
  }

  return { caller, needed, bySession, look, refused, enter, leave, start, stop }
})
