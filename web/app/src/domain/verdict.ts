// SPDX-License-Identifier: Apache-2.0
// Whether a print was any good: what only a person knows.
import type { Look } from './state'
import type { Maybe } from '@/api/types'

export const verdicts = ['good', 'rework', 'scrap'] as const
export type Verdict = (typeof verdicts)[number]

const tones: Record<Verdict, Look['tone']> = { good: 'done', rework: 'attention', scrap: 'fault' }

export function toneOfVerdict(verdict: Maybe<Verdict>): string {
  return verdict ? `tone-${tones[verdict]}` : 'tone-idle'
}

// Those of the hub's default list; others are shown as somebody wrote them.
const known = new Set([
  'adhesion',
  'warping',
  'stringing',
  'layer_shift',
  'clog',
  'runout',
  'power',
  'operator',
  'file',
  'hardware',
  'other',
])

export function knownReason(reason: Maybe<string>): string | null {
  return reason && known.has(reason) ? reason : null
}
