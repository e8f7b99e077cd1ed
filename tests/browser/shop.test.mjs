// SPDX-License-Identifier: Apache-2.0
// The page of a running Millrace with simulated machines, as a person with a mouse and one with a keyboard meet it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openShop, phone, picture, productUrl, violations, withPage } from './browser.mjs'

// A simulated print may take a while to begin and to end.
const progressWaitMs = Number(process.env.MILLRACE_PROGRESS_WAIT_S ?? 120) * 1000
const finishWaitMs = Number(process.env.MILLRACE_FINISH_WAIT_S ?? 300) * 1000
const slow = { timeout: progressWaitMs + finishWaitMs + 60_000 }

// Runs in the page: the shares of the printing machines by id, as the cards show them to assistive technology; with
// `before`, the ids whose share is greater than it was there. Null while there are none.
function advanced(before) {
  const ids = [...document.querySelectorAll('[data-testid=card]')]
    .filter((card) => card.querySelector('[data-state=printing]'))
    .map((card) => [card.dataset.id, card.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow')])
    .filter(([, share]) => share != null)
    .map(([id, share]) => [id, Number(share)])
  if (before === null) return ids.length > 0 ? Object.fromEntries(ids) : null
  const ahead = ids.filter(([id, share]) => id in before && share > before[id]).map(([id]) => id)
  return ahead.length > 0 ? ahead : null
}

describe('the page', () => {
  it('shows a print going on and its end in the table of jobs', slow, async () => {
    await withPage(async (page, trouble) => {
      await openShop(page)
      await page.locator('[data-testid=link][data-state=live]').waitFor()
      const wait = { timeout: progressWaitMs }
      const before = await (await page.waitForFunction(advanced, null, wait)).jsonValue()
      const moved = await (await page.waitForFunction(advanced, before, wait)).jsonValue()
      assert.ok(moved.length > 0)
      await page.goto(`${productUrl()}/jobs`)
      await page.locator('[data-testid=job]').first().waitFor()
      const running = await page
        .locator('[data-testid=job][data-outcome=running]')
        .evaluateAll((rows) => rows.map((row) => row.dataset.job))
      assert.ok(running.length > 0, 'a running job is in the table')
      // Of the jobs that run now, one must turn into a completed one without a reload.
      const finished = await page.waitForFunction(
        (ids) =>
          ids.find((id) =>
            [...document.querySelectorAll('[data-testid=job][data-outcome=completed]')].some(
              (row) => row.dataset.job === id,
            ),
          ),
        running,
        { timeout: finishWaitMs },
      )
      const id = await finished.jsonValue()
      const row = page.locator(`[data-testid=job][data-job="${id}"]`)
      assert.match(await row.innerText(), /Completed/)
      await picture(page, 'jobs')
      await row.locator('a').click()
      await page.locator('[data-testid=job-details][data-outcome=completed]').waitFor()
      await picture(page, 'job')
      assert.deepEqual(trouble, [])
    })
  })

  it('speaks English and German and remembers which', async () => {
    await withPage(async (page, trouble) => {
      await openShop(page)
      assert.equal(await page.getAttribute('html', 'lang'), 'en')
      await page.click('[data-language=de]')
      await page.getByRole('link', { name: 'Druckaufträge' }).waitFor()
      assert.equal(await page.getAttribute('html', 'lang'), 'de')
      await page.reload()
      await page.getByRole('link', { name: 'Druckaufträge' }).waitFor()
      await page.locator('[data-testid=card]').first().waitFor()
      await picture(page, 'shop-german')
      assert.deepEqual(trouble, [])
    })
    await withPage(
      async (page) => {
        await openShop(page)
        assert.equal(await page.getAttribute('html', 'lang'), 'de')
      },
      { locale: 'de-DE' },
    )
  })

  it('changes between dark, light and the theme of the system', async () => {
    await withPage(async (page, trouble) => {
      await openShop(page)
      const theme = () => page.getAttribute('html', 'data-theme')
      assert.equal(await theme(), 'dark')
      await picture(page, 'shop-dark')
      await page.click('[data-theme-choice=light]')
      assert.equal(await theme(), 'light')
      await page.reload()
      await page.locator('[data-testid=card]').first().waitFor()
      assert.equal(await theme(), 'light')
      await picture(page, 'shop-light')
      await page.click('[data-theme-choice=system]')
      assert.equal(await theme(), 'dark')
      await page.emulateMedia({ colorScheme: 'light' })
      await page.waitForFunction(() => document.documentElement.dataset.theme === 'light')
      assert.deepEqual(trouble, [])
    })
  })

  it('can be reached and used by keyboard alone', async () => {
    await withPage(async (page, trouble) => {
      await openShop(page)
      const reached = []
      for (let presses = 0; presses < 60; presses += 1) {
        await page.keyboard.press('Tab')
        const name = await page.evaluate(() => {
          const element = document.activeElement
          if (!element || element === document.body) return null
          const outline = getComputedStyle(element).outlineStyle
          const group = element.closest('[data-testid]')?.dataset.testid
          return {
            name: element.matches('.skip') ? 'skip' : (group ?? element.getAttribute('href')),
            outline,
          }
        })
        if (name === null) break
        assert.notEqual(name.outline, 'none', `${name.name} shows its focus`)
        reached.push(name.name)
      }
      assert.equal(reached[0], 'skip')
      for (const stop of ['/shop', '/jobs', 'language', 'theme', 'card']) {
        assert.ok(reached.includes(stop), `${stop} is in the tab order: ${reached.join(', ')}`)
      }
      await page.locator('[data-testid=card][tabindex="0"]').focus()
      const first = await page.evaluate(() => document.activeElement.dataset.id)
      await page.keyboard.press('ArrowRight')
      assert.notEqual(await page.evaluate(() => document.activeElement.dataset.id), first)
      await page.locator('nav a[href="/jobs"]').focus()
      await page.keyboard.press('Enter')
      await page.locator('[data-testid=job] a[tabindex="0"]').focus()
      await page.keyboard.press('Enter')
      await page.locator('[data-testid=job-details]').waitFor()
      assert.deepEqual(trouble, [])
    })
  })

  it('keeps the WCAG rules that a program can check, in both themes', async () => {
    await withPage(async (page, trouble) => {
      for (const theme of ['dark', 'light']) {
        await openShop(page)
        await page.click(`[data-theme-choice=${theme}]`)
        assert.deepEqual(await violations(page), [], `shop, ${theme}`)
        await page.goto(`${productUrl()}/jobs`)
        await page.locator('[data-testid=job]').first().waitFor()
        assert.deepEqual(await violations(page), [], `jobs, ${theme}`)
        await page.locator('[data-testid=job] a').first().click()
        await page.locator('[data-testid=job-details]').waitFor()
        assert.deepEqual(await violations(page), [], `job, ${theme}`)
      }
      assert.deepEqual(trouble, [])
    })
  })

  it('fits a phone without scrolling sideways', async () => {
    await withPage(
      async (page, trouble) => {
        await openShop(page)
        await picture(page, 'phone-shop')
        assert.ok(await fits(page), 'shop')
        await page.locator('nav a[href="/jobs"]').click()
        await page.locator('[data-testid=job]').first().waitFor()
        await picture(page, 'phone-jobs')
        assert.ok(await fits(page), 'jobs')
        assert.deepEqual(trouble, [])
      },
      { viewport: phone },
    )
  })

  it('says so when an address does not exist, and finds back', async () => {
    await withPage(async (page) => {
      await page.goto(`${productUrl()}/no/such/page`)
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.locator('main a[href="/shop"]').click()
      await page.locator('[data-testid=card]').first().waitFor()
    })
  })

  it('marks everything as old and counts down when the connection is lost, and heals by itself', async () => {
    await withPage(async (page) => {
      let broken = false
      const open = new Set()
      await page.routeWebSocket('**/api/v1/live', (socket) => {
        if (broken) return void socket.close()
        const server = socket.connectToServer()
        open.add({ socket, server })
      })
      await openShop(page)
      await page.locator('[data-testid=link][data-state=live]').waitFor()
      broken = true
      for (const { socket, server } of open) {
        await server.close()
        await socket.close()
      }
      await page.locator('[data-testid=link][data-state=reconnecting]').waitFor()
      await page.locator('[data-testid=link-notice]').waitFor()
      await page.waitForFunction(() =>
        [...document.querySelectorAll('[data-testid=card] article')].every(
          (card) => card.dataset.stale === 'true',
        ),
      )
      await picture(page, 'shop-lost')
      broken = false
      await page.locator('[data-testid=link][data-state=live]').waitFor({ timeout: 30_000 })
      await page.locator('[data-testid=link-notice]').waitFor({ state: 'detached' })
    })
  })

  // Last: a machine is out of reach until its print has ended.
  it('tells how old values are of a machine that nobody reaches', { timeout: 120_000 }, async () => {
    const { items } = await (await fetch(`${productUrl()}/api/v1/machines`)).json()
    const machine = items.find((found) => found.state === 'printing')
    await fetch(`${machine.moonraker_url}/sim/event?kind=network_lost_long`, { method: 'POST' })
    const card = `[data-testid=card][data-id="${machine.id}"]`
    for (const [locale, words] of [
      ['en-US', /values \d+\ss old/],
      ['de-DE', /Werte \d+\ss alt/],
    ]) {
      await withPage(
        async (page, trouble) => {
          await openShop(page)
          await page.locator(`${card} [data-testid=age]`, { hasText: words }).waitFor({ timeout: 40_000 })
          assert.match(await page.locator(`${card} dl`).textContent(), /old value|alter Wert/)
          for (const theme of ['dark', 'light']) {
            await page.click(`[data-theme-choice=${theme}]`)
            assert.deepEqual(await violations(page), [], theme)
            await page.locator(card).scrollIntoViewIfNeeded()
            await picture(page, `values-old-${locale.slice(0, 2)}-${theme}`)
          }
          await page.setViewportSize(phone)
          await page.locator(card).scrollIntoViewIfNeeded()
          await picture(page, `values-old-${locale.slice(0, 2)}-phone`)
          assert.ok(await fits(page))
          assert.deepEqual(trouble, [])
        },
        { locale },
      )
    }
  })
})

async function fits(page) {
  return page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)
}
