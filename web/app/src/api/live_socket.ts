// SPDX-License-Identifier: Apache-2.0
// The live connection to the hub: one WebSocket at a time, opened again for ever when it breaks. After a break it
// says which position it has seen last, so that the hub can continue there. A connection that has gone silent counts
// as broken: a half-open socket would otherwise show a frozen shop as a healthy one.
import { parseLive } from './parse_live'
import type { LiveMessage } from './types'

export const retryFirstMs = 500
export const retryMaxMs = 15_000
export const silenceMaxMs = 15_000

export type Link =
  | { phase: 'connecting' }
  | { phase: 'open'; since: number }
  | { phase: 'waiting'; retryAt: number; attempt: number }

export interface LiveSocketOptions {
  url: () => string
  // The position to continue from, null before the first snapshot.
  resume: () => { position: number; incarnation: string | null } | null
  onMessage: (message: LiveMessage) => void
  onLink: (link: Link) => void
  // Replaced in tests.
  open?: (url: string) => WebSocket
  random?: () => number
}

export class LiveSocket {
  private readonly options: LiveSocketOptions
  private socket: WebSocket | null = null
  private retry: ReturnType<typeof setTimeout> | null = null
  private silence: ReturnType<typeof setTimeout> | null = null
  private attempt = 0
  private stopped = true
  private isOpen = false

  constructor(options: LiveSocketOptions) {
    this.options = options
  }

  start(): void {
    if (!this.stopped) return
    this.stopped = false
    this.connect()
  }

  stop(): void {
    this.stopped = true
    this.clearTimers()
    this.drop()
  }

  // Tries at once instead of waiting for the countdown; does nothing while connected or connecting.
  retryNow(): void {
    if (this.stopped || this.retry === null) return
    this.connect()
  }

  private connect(): void {
    this.clearTimers()
    this.options.onLink({ phase: 'connecting' })
    const open = this.options.open ?? ((url: string) => new WebSocket(url))
    const socket = open(this.options.url())
    this.socket = socket
    this.armSilence()
    socket.onopen = () => {
      const resume = this.options.resume()
      if (resume === null) return
      const { position, incarnation } = resume
      socket.send(JSON.stringify({ type: 'resume', position, ...(incarnation ? { incarnation } : {}) }))
    }
    socket.onmessage = (event: MessageEvent) => this.receive(event)
    socket.onclose = () => this.lost()
  }

  private receive(event: MessageEvent): void {
    this.armSilence()
    const message = parseLive(event.data)
    if (message === null) return
    if (this.attempt > 0 || !this.isOpen) {
      this.attempt = 0
      this.isOpen = true
      this.options.onLink({ phase: 'open', since: Date.now() })
    }
    this.options.onMessage(message)
  }

  private lost(): void {
    this.drop()
    this.clearTimers()
    if (this.stopped) return
    // Half to all of the doubling delay: many browsers must not come back in the same instant.
    const ceiling = Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(this.attempt, 10))
    const delay = ceiling * (0.5 + 0.5 * (this.options.random ?? Math.random)())
    this.attempt += 1
    this.retry = setTimeout(() => this.connect(), delay)
    this.options.onLink({ phase: 'waiting', retryAt: Date.now() + delay, attempt: this.attempt })
  }

  private drop(): void {
    this.isOpen = false
    const socket = this.socket
    this.socket = null
    if (socket === null) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  private armSilence(): void {
    if (this.silence !== null) clearTimeout(this.silence)
    this.silence = setTimeout(() => this.lost(), silenceMaxMs)
  }

  private clearTimers(): void {
    if (this.retry !== null) clearTimeout(this.retry)
    if (this.silence !== null) clearTimeout(this.silence)
    this.retry = this.silence = null
  }
}
