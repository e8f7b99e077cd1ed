// SPDX-License-Identifier: Apache-2.0
// SHA-256 as FIPS 180-4 has it. Browsers offer theirs only to pages that came over https or from this very computer,
// and a shop's page often comes over plain http from another one.
const constants = new Uint32Array(64)
const initial = new Uint32Array(8)

// The first 32 bits of the fractions of the square and cube roots of the first primes.
function fillTables(): void {
  const fraction = (root: number) => ((root - Math.floor(root)) * 2 ** 32) >>> 0
  const primes: number[] = []
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  primes.forEach((prime, i) => {
    constants[i] = fraction(Math.cbrt(prime))
    if (i < 8) initial[i] = fraction(Math.sqrt(prime))
  })
}

// The message, a one bit, zeros, and its length in bits at the end of the last block of 64 bytes.
function padded(bytes: Uint8Array): DataView {
  const view = new DataView(new ArrayBuffer(((bytes.length + 8) >> 6) * 64 + 64))
  new Uint8Array(view.buffer).set(bytes)
  view.setUint8(bytes.length, 0x80)
  view.setUint32(view.byteLength - 8, Math.floor(bytes.length / 2 ** 29))
  view.setUint32(view.byteLength - 4, (bytes.length << 3) >>> 0)
  return view
}

const at = (list: Uint32Array, i: number) => list[i] ?? 0
const rotated = (x: number, by: number) => (x >>> by) | (x << (32 - by))

function addBlock(state: Uint32Array, view: DataView, begin: number, words: Uint32Array): void {
  for (let i = 0; i < 16; i += 1) words[i] = view.getUint32(begin + 4 * i)
  for (let i = 16; i < 64; i += 1) {
    const x = at(words, i - 15)
    const y = at(words, i - 2)
    const s0 = rotated(x, 7) ^ rotated(x, 18) ^ (x >>> 3)
    const s1 = rotated(y, 17) ^ rotated(y, 19) ^ (y >>> 10)
    words[i] = at(words, i - 16) + s0 + at(words, i - 7) + s1
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  for (let i = 0; i < 64; i += 1) {
    const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + at(constants, i) + at(words, i)) | 0
    const t2 = ((rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  ;[a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] = at(state, i) + value))
}

const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')

export function computedSha256(buffer: ArrayBuffer): string {
  if (constants[0] === 0) fillTables()
  const view = padded(new Uint8Array(buffer))
  const state = initial.slice()
  const words = new Uint32Array(64)
  for (let begin = 0; begin < view.byteLength; begin += 64) addBlock(state, view, begin, words)
  const result = new DataView(new ArrayBuffer(32))
  state.forEach((value, i) => result.setUint32(4 * i, value))
  return hex(new Uint8Array(result.buffer))
}

export async function sha256(buffer: ArrayBuffer): Promise<string> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined
  return subtle ? hex(new Uint8Array(await subtle.digest('SHA-256', buffer))) : computedSha256(buffer)
}
