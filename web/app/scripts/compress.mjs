// SPDX-License-Identifier: Apache-2.0
// Writes a .gz beside every text file of the build, so that the edge never compresses while it serves.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { constants, gzipSync } from 'node:zlib'

const root = fileURLToPath(new URL('../dist', import.meta.url))
const text = /\.(html|js|css|svg|json|webmanifest|txt)$/

for (const entry of readdirSync(root, { recursive: true })) {
  const path = join(root, String(entry))
  if (!text.test(path)) continue
  writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: constants.Z_BEST_COMPRESSION }))
}
