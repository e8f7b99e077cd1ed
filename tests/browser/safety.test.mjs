// SPDX-License-Identifier: Apache-2.0
// Emergency stop and its reset, from the page to the simulated machines and back.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openShop, phone, picture, productUrl, violations, withPage } from './browser.mjs'

const card = (page, id) => page.locator(`[data-testid=card][data-id="${id}"]`)
const report = (page, phase) => page.locator(`[data-testid=stop-reports] [data-phase=${phase}]`)

// A machine that waits, so that the prints of the shop go on.
async function idleMachine(page) {
  const found = page.locator('[data-testid=card]:has([data-state=ready])').first()
  await found.waitFor({ timeout: 60_000 })
  return found.getAttribute('data-id')
}

async function machine(id) {
  return (await fetch(`${productUrl()}/api/v1/machines/${id}`)).json()
}

describe('emergency stop', () => {
  it(
    'stops a machine with one click, says that it did, and gives it free again',
    { timeout: 180_000 },
    async () => {
      await withPage(async (page, trouble) => {
        await openShop(page)
        const id = await idleMachine(page)
        await card(page, id).locator('[data-testid=stop]').click()
        await report(page, 'confirmed').waitFor()
        await card(page, id).locator('[data-testid=latch]').waitFor({ timeout: 15_000 })
        await picture(page, 'stop-confirmed')
        assert.deepEqual(await violations(page), [])
        assert.equal((await machine(id)).emergency.latched, true)
        await page.click('[data-testid=stop-dismiss]')
        await card(page, id).locator('[data-testid=reset]').click()
        await page.fill('dialog[open] [data-testid=reset-reason]', 'looked at it')
        await picture(page, 'stop-reset')
        assert.deepEqual(await violations(page), [])
        await page.click('dialog[open] [data-testid=reset-now]')
        await card(page, id).locator('[data-testid=latch]').waitFor({ state: 'detached', timeout: 30_000 })
        // The demo may give it something to print at once.
        await card(page, id)
          .locator('[data-state=ready], [data-state=printing]')
          .first()
          .waitFor({ timeout: 60_000 })
        assert.equal((await machine(id)).emergency.latched, false)
        assert.deepEqual(trouble, [])
      })
    },
  )

  it('stops nothing by a tap on a phone, and the machine when held', { timeout: 120_000 }, async () => {
    await withPage(
      async (page, trouble) => {
        await openShop(page)
        const id = await idleMachine(page)
        const stop = card(page, id).locator('[data-testid=stop]')
        await stop.scrollIntoViewIfNeeded()
        await stop.tap()
        await card(page, id).getByText('Hold to stop').waitFor()
        await picture(page, 'phone-stop-hold')
        assert.equal((await machine(id)).emergency.latched, false)
        const finger = { pointerType: 'touch', button: 0, bubbles: true }
        await stop.dispatchEvent('pointerdown', finger)
        await report(page, 'confirmed').waitFor({ timeout: 15_000 })
        await stop.dispatchEvent('pointerup', finger)
        await card(page, id).locator('[data-testid=latch]').waitFor({ timeout: 15_000 })
        await page.evaluate(() => scrollTo(0, 0))
        await picture(page, 'phone-stopped')
        assert.deepEqual(trouble, [])
      },
      { viewport: phone, hasTouch: true },
    )
  })

  it('says NOT CONFIRMED, large, when the hub does not answer', { timeout: 120_000 }, async () => {
    await withPage(async (page) => {
      await openShop(page)
      await page.route('**/emergency_stop', (route) => route.abort('connectionrefused'))
      await card(page, await idleMachine(page))
        .locator('[data-testid=stop]')
        .click()
      await report(page, 'not_confirmed').waitFor()
      await picture(page, 'stop-not-confirmed')
      assert.match(await report(page, 'not_confirmed').innerText(), /NOT CONFIRMED/)
      assert.deepEqual(await violations(page), [])
    })
  })

  it('stops every machine by the keys, from any page', { timeout: 120_000 }, async () => {
    await withPage(async (page, trouble) => {
      await page.goto(`${productUrl()}/jobs`)
      await page.locator('[data-testid=job]').first().waitFor()
      await page.keyboard.press('Control+Shift+Period')
      await page.getByText('once more').waitFor()
      await page.keyboard.press('Control+Shift+Period')
      await report(page, 'confirmed').waitFor({ timeout: 15_000 })
      await openShop(page)
      await page.waitForFunction(
        () =>
          document.querySelectorAll('[data-testid=latch]').length ===
          document.querySelectorAll('[data-testid=card]').length,
        null,
        { timeout: 15_000 },
      )
      await picture(page, 'stop-all')
      assert.deepEqual(trouble, [])
    })
  })
})

describe('alarms', () => {
  it('of a stopped shop are listed, and can be acknowledged', { timeout: 120_000 }, async () => {
    await withPage(async (page, trouble) => {
      await page.goto(`${productUrl()}/alarms`)
      const active = page.locator('li[data-state=active]')
      await active.first().waitFor({ timeout: 60_000 })
      await picture(page, 'alarms')
      assert.match(await page.title(), /Alarms/)
      assert.deepEqual(await violations(page), [])
      await active.first().getByRole('button', { name: 'Acknowledge' }).click()
      await page.locator('li[data-state=acknowledged]').first().waitFor()
      assert.deepEqual(trouble, [])
    })
  })
})
