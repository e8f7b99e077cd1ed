// SPDX-License-Identifier: Apache-2.0
// Starts headless Chromium on a page of Millrace and keeps a record of everything that must not happen there: console
// errors, violations of the content security policy, and requests to other hosts.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const require = createRequire(new URL('../../web/app/package.json', import.meta.url))
const { chromium } = require('playwright-core')

export const desktop = { width: 1440, height: 900 }
export const phone = { width: 390, height: 844 }

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export function productUrl() {
  const url = process.env.MILLRACE_URL
  if (!url) throw new Error('MILLRACE_URL must name a running Millrace, for example http://127.0.0.1:8080')
  return url.replace(/\/$/, '')
}

// Calls `use(page, trouble)` in a browser of its own with an empty profile, and removes both afterwards. `trouble` is
// the list of what went wrong so far, one sentence each.
export async function withPage(
  use,
  { viewport = desktop, locale = 'en-US', colorScheme = 'dark', hasTouch = false } = {},
) {
  const profile = mkdtempSync(join(tmpdir(), 'millrace-browser-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    args: flags,
    viewport,
    locale,
    colorScheme,
    hasTouch,
  })
  try {
    const page = context.pages()[0] ?? (await context.newPage())
    const trouble = []
    watch(page, new URL(productUrl()).host, trouble)
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) =>
        console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI}`),
      )
    })
    return await use(page, trouble)
  } finally {
    await context.close()
    rmSync(profile, { recursive: true, force: true })
  }
}

function watch(page, host, trouble) {
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()))
      trouble.push(`console ${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => trouble.push(`uncaught: ${error.message}`))
  page.on('requestfailed', (request) => {
    const reason = request.failure()?.errorText ?? ''
    if (!reason.includes('ERR_ABORTED')) trouble.push(`request failed: ${request.url()} ${reason}`)
  })
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (['http:', 'https:', 'ws:', 'wss:'].includes(url.protocol) && url.host !== host) {
      trouble.push(`request to another host: ${request.url()}`)
    }
  })
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== host) trouble.push(`socket to another host: ${socket.url()}`)
  })
}

export async function openShop(page) {
  await page.goto(`${productUrl()}/shop`)
  await page.locator('[data-testid=card]').first().waitFor({ timeout: 30_000 })
}

// Saves a picture if MILLRACE_SCREENSHOTS names a folder.
export async function picture(page, name) {
  const folder = process.env.MILLRACE_SCREENSHOTS
  if (!folder) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' })
}

// Short descriptions of what axe finds against the rules of WCAG; empty is good.
export async function violations(page) {
  await page.evaluate(() =>
    Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => null))),
  )
  await page.evaluate(require('axe-core').source)
  const result = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }),
  )
  return result.violations.map(
    (found) => `${found.id}: ${found.nodes.map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`,
  )
}
