// SPDX-License-Identifier: Apache-2.0
import type { Sample } from '@/stores/samples'

const gapMs = 20_000
const rangeMinC = 6
// Shorter than this there is no curve yet, only a stroke.
const spanMinMs = 10_000

// Paths of a small curve in a box of `width` by `height`; null until there are a few seconds of samples. The range is never smaller than a
// few degrees, so that the noise of a steady heater looks steady.
export function sparkPaths(samples: readonly Sample[], width: number, height: number) {
  const first = samples[0]
  const last = samples[samples.length - 1]
  if (!first || !last || last.at - first.at < spanMinMs) return null
  const values = samples.map((sample) => sample.value)
  const low = Math.min(...values)
  const high = Math.max(...values)
  const range = Math.max(rangeMinC, high - low)
  const base = (low + high) / 2 - range / 2
  const span = last.at - first.at
  const pad = 3
  const x = (at: number) => width - pad - ((last.at - at) / span) * (width - 2 * pad)
  const y = (value: number) => height - pad - ((value - base) / range) * (height - 2 * pad)

  let line = ''
  samples.forEach((sample, index) => {
    const before = samples[index - 1]
    const starts = !before || sample.at - before.at > gapMs
    line += `${starts ? 'M' : 'L'}${x(sample.at).toFixed(1)} ${y(sample.value).toFixed(1)}`
  })
  return { line, x: x(last.at), y: y(last.value) }
}
