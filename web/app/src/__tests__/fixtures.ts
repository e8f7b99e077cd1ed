// SPDX-License-Identifier: Apache-2.0
// Verbs for the tests: a WebSocket that the test plays itself, and short ways to make machines and jobs.
import type { Job, Machine } from '@/api/types'

export class FakeSocket {
  static opened: FakeSocket[] = []
  onopen: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: (() => void) | null = null
  sent: unknown[] = []
  closed = false
  readonly url: string

  constructor(url: string) {
    this.url = url
    FakeSocket.opened.push(this)
  }

  static get last(): FakeSocket {
    const socket = FakeSocket.opened.at(-1)
    if (!socket) throw new Error('no socket was opened')
    return socket
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }

  close(): void {
    this.closed = true
  }

  accept(): void {
    this.onopen?.()
  }

  say(message: unknown): void {
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) })
  }

  breakDown(): void {
    this.onclose?.()
  }
}

export function machine(id: string, fields: Partial<Machine> = {}): Machine {
  return {
    id,
    name: id,
    connection: 'connected',
    state: 'ready',
    updated_at: new Date().toISOString(),
    ...fields,
  }
}

export function printing(id: string, progress: number, printDuration: number): Machine {
  return machine(id, {
    state: 'printing',
    progress,
    job: {
      id: `${id}.1`,
      filename: 'part.gcode',
      outcome: 'running',
      progress,
      print_duration: printDuration,
    },
  })
}

export function job(id: string, fields: Partial<Job> = {}): Job {
  return { id, machine: 'voron-2', filename: 'part.gcode', outcome: 'completed', ...fields }
}
