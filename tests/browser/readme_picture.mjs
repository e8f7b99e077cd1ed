// SPDX-License-Identifier: Apache-2.0
// Takes the picture for the README: the shop of a running Millrace in the dark theme.
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openShop, withPage } from './browser.mjs'

const target = process.argv[2] ?? fileURLToPath(new URL('../../docs/img/shop.png', import.meta.url))
const settleMs = Number(process.env.MILLRACE_SETTLE_S ?? 20) * 1000

await withPage(async (page) => {
  await openShop(page)
  // Long enough for the small temperature curves to have something to show.
  await page.waitForTimeout(settleMs)
  mkdirSync(dirname(target), { recursive: true })
  await page.screenshot({ path: target, animations: 'disabled' })
})
console.log(target)
