// SPDX-License-Identifier: Apache-2.0
// Reads from the HTTP interface. Every read carries the newest position that this browser has seen, so that an answer
// is never older than what is already on the page.
import { sha256 } from '@/domain/sha256'
import type {
  Alarm,
  ApiKey,
  Caller,
  Job,
  JobChanges,
  MadeApiKey,
  NewApiKey,
  NewJob,
  Outcome,
  Page,
  Site,
  StopOutcome,
} from './types'

// What went wrong, in the words of RFC 9457. `status` 0 means that no answer came at all.
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly detail: string | null

  constructor(status: number, code: string, title: string, detail: string | null) {
    super(title)
    this.status = status
    this.code = code
    this.detail = detail
  }
}

const commandWaitS = 10

export interface JobQuery {
  machine?: string
  outcome?: Outcome | ''
  verdict?: string
  q?: string
  cursor?: string
  limit?: number
}

export class Client {
  private readonly minPosition: () => number | null
  private readonly onRefused: () => void

  // `onRefused` is called when the hub wants a key.
  constructor(minPosition: () => number | null, onRefused: () => void = () => undefined) {
    this.minPosition = minPosition
    this.onRefused = onRefused
  }

  session(): Promise<Caller> {
    return this.get<Caller>('/api/v1/session')
  }

  async openSession(key: string): Promise<Caller> {
    const answer = await this.send('POST', '/api/v1/session', { key })
    return (await answer.json()) as Caller
  }

  async closeSession(): Promise<void> {
    await this.send('DELETE', '/api/v1/session')
  }

  site(signal?: AbortSignal): Promise<Site> {
    return this.get<Site>('/api/v1/site', signal)
  }

  async jobs(query: JobQuery, signal?: AbortSignal): Promise<Page<Job>> {
    const search = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== '') search.set(name, String(value))
    }
    const page = await this.get<Partial<Page<Job>>>(`/api/v1/jobs?${search}`, signal)
    return { ...page, items: Array.isArray(page.items) ? page.items : [] }
  }

  job(id: string, signal?: AbortSignal): Promise<Job> {
    return this.get<Job>(`/api/v1/jobs/${encodeURIComponent(id)}`, signal)
  }

  async changeJob(id: string, changes: JobChanges): Promise<Job> {
    const answer = await this.send('PATCH', `/api/v1/jobs/${encodeURIComponent(id)}`, changes)
    // Recorded, but not shown yet: the read waits for it.
    return answer.status === 202 ? this.job(id) : ((await answer.json()) as Job)
  }

  async hideJob(id: string): Promise<void> {
    await this.send('DELETE', `/api/v1/jobs/${encodeURIComponent(id)}`)
  }

  async restoreJob(id: string): Promise<void> {
    await this.send('POST', `/api/v1/jobs/${encodeURIComponent(id)}/restore`)
  }

  async enterJob(job: NewJob): Promise<string> {
    const answer = await this.send('POST', '/api/v1/jobs', job)
    if (answer.status !== 202) return ((await answer.json()) as Job).id
    // Recorded, but not shown yet: the address is that of the start to the microsecond.
    return `${job.machine}.m${Date.parse(job.started_at) * 1000}`
  }

  // The bytes go first, under their own name, so that the job never refers to what is not there.
  async addPhoto(id: string, picture: Blob, caption: string): Promise<Job> {
    const bytes = await picture.arrayBuffer()
    const blob = await sha256(bytes)
    await this.send('PUT', `/api/v1/blobs/${blob}`, bytes)
    const answer = await this.send('POST', `/api/v1/jobs/${encodeURIComponent(id)}/photos`, { blob, caption })
    return answer.status === 202 ? this.job(id) : ((await answer.json()) as Job)
  }

  async removePhoto(id: string, blob: string): Promise<Job> {
    await this.send('DELETE', `/api/v1/jobs/${encodeURIComponent(id)}/photos/${blob}`)
    return this.job(id)
  }

  // Settings that are too many for the answer about a job lie beside it.
  settings(blob: string): Promise<Record<string, unknown>> {
    return this.get<Record<string, unknown>>(`/api/v1/blobs/${blob}`)
  }

  async reasons(): Promise<string[]> {
    const answer = await this.get<{ reasons?: unknown }>('/api/v1/jobs/reasons')
    return Array.isArray(answer.reasons) ? answer.reasons.filter((each) => typeof each === 'string') : []
  }

  async alarms(signal?: AbortSignal): Promise<Page<Alarm>> {
    const page = await this.get<Partial<Page<Alarm>>>('/api/v1/safety/alarms?limit=500', signal)
    return { ...page, items: Array.isArray(page.items) ? page.items : [] }
  }

  async actOnAlarm(ref: string, verb: 'acknowledge' | 'shelve' | 'unshelve', body: object): Promise<void> {
    await this.send('POST', `/api/v1/safety/alarms/${encodeURIComponent(ref)}/${verb}`, body)
  }

  // What became of it at each machine; null is all of them. A stop that was not confirmed is an outcome, not a Problem.
  async emergencyStop(machine: string | null): Promise<StopOutcome[]> {
    const of = machine === null ? '' : `/machines/${encodeURIComponent(machine)}`
    const answer = await this.fetched('POST', `/api/v1${of}/emergency_stop`)
    const body: unknown = await answer.json().catch(() => null)
    const told = outcomesOf(body)
    if (told.length === 0) throw this.problem(answer.status, body)
    return told
  }

  // Waits for its end; a command that was refused, failed or is not known to be done is a Problem.
  async command(machine: string, command: string, args: object = {}): Promise<void> {
    const path = `/api/v1/machines/${encodeURIComponent(machine)}/commands?wait=${commandWaitS}`
    const answer = await this.send('POST', path, { command, args })
    if (answer.status === 202) throw new Problem(202, 'still_under_way', 'Still under way', null)
  }

  async keys(signal?: AbortSignal): Promise<ApiKey[]> {
    const page = await this.get<Partial<Page<ApiKey>>>('/api/v1/keys', signal)
    return Array.isArray(page.items) ? page.items : []
  }

  async makeKey(key: NewApiKey): Promise<MadeApiKey> {
    return (await (await this.send('POST', '/api/v1/keys', key)).json()) as MadeApiKey
  }

  async rotateKey(id: string): Promise<MadeApiKey> {
    const answer = await this.send('POST', `/api/v1/keys/${encodeURIComponent(id)}/rotate`)
    return (await answer.json()) as MadeApiKey
  }

  async revokeKey(id: string): Promise<void> {
    await this.send('DELETE', `/api/v1/keys/${encodeURIComponent(id)}`)
  }

  private async send(method: string, path: string, body?: unknown): Promise<Response> {
    const response = await this.fetched(method, path, body)
    if (!response.ok) throw this.problem(response.status, await response.json().catch(() => null))
    return response
  }

  private async fetched(method: string, path: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = { Accept: 'application/json' }
    let content: BodyInit | null = null
    if (body instanceof ArrayBuffer) {
      headers['Content-Type'] = 'application/octet-stream'
      content = body
    } else if (body !== undefined) {
      headers['Content-Type'] = 'application/json'
      content = JSON.stringify(body)
    }
    try {
      return await fetch(path, { method, headers, body: content })
    } catch {
      throw new Problem(0, 'unreachable', 'No answer', null)
    }
  }

  private async get<T>(path: string, signal?: AbortSignal): Promise<T> {
    const headers: Record<string, string> = { Accept: 'application/json' }
    const position = this.minPosition()
    if (position !== null) headers['Millrace-Min-Position'] = String(position)
    let response: Response
    try {
      response = await fetch(path, { headers, signal: signal ?? null })
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') throw error
      throw new Problem(0, 'unreachable', 'No answer', null)
    }
    const body: unknown = await response.json().catch(() => null)
    if (!response.ok) throw this.problem(response.status, body)
    if (typeof body !== 'object' || body === null) {
      throw new Problem(response.status, 'not_json', 'The answer is not JSON', null)
    }
    return body as T
  }

  private problem(status: number, body: unknown): Problem {
    if (status === 401) this.onRefused()
    return problemOf(status, body)
  }
}

// The answer about one machine has its fields itself, the one about all of them a list.
function outcomesOf(body: unknown): StopOutcome[] {
  const list = (body as { machines?: unknown } | null)?.machines
  const all: unknown[] = Array.isArray(list) ? list : [body]
  return all.filter(
    (each): each is StopOutcome =>
      typeof (each as StopOutcome | null)?.machine === 'string' &&
      typeof (each as StopOutcome).confirmed === 'boolean',
  )
}

function problemOf(status: number, body: unknown): Problem {
  const fields = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const text = (name: string) => (typeof fields[name] === 'string' ? (fields[name] as string) : null)
  return new Problem(
    status,
    text('code') ?? `http_${status}`,
    text('title') ?? `HTTP ${status}`,
    text('detail'),
  )
}
