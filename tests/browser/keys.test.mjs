// SPDX-License-Identifier: Apache-2.0
// Keys: the first one closes the hub without locking out whoever made it; what others may is chosen here.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { openShop, picture, productUrl, violations, withPage } from './browser.mjs'

it(
  'makes the first key and others, shows each once, changes and revokes them',
  { timeout: 180_000 },
  async () => {
    let readers = ''
    await withPage(async (page, trouble) => {
      await openShop(page)
      await page.locator('nav a[href="/keys"]').click()
      await page.locator('[data-testid=no-keys]').waitFor()
      await picture(page, 'keys-none')
      assert.deepEqual(await violations(page), [])
      await page.click('[data-testid=make-key]')
      await page.fill('[data-testid=key-name]', 'Anna')
      await picture(page, 'keys-first')
      assert.deepEqual(await violations(page), [])
      await page.click('[data-testid=key-make-now]')
      const first = await page.locator('[data-testid=key-text]').innerText()
      assert.match(first, /^mr_.{43}$/)
      await page.locator('[data-testid=key]').waitFor()
      assert.equal((await fetch(`${productUrl()}/api/v1/machines`)).status, 401)
      assert.equal(
        (await fetch(`${productUrl()}/api/v1/machines`, { headers: { 'X-API-Key': first } })).status,
        200,
      )
      await page.locator('[data-testid=link][data-state=live]').waitFor()

      await page.click('[data-testid=make-key]')
      await page.fill('[data-testid=key-name]', 'Panel in the cellar')
      await page.click('[data-testid=key-make-now]')
      await page.getByText('Key of Panel in the cellar').waitFor()
      readers = await page.locator('[data-testid=key-text]').innerText()
      await picture(page, 'keys')
      assert.deepEqual(await violations(page), [])
      const row = page.locator('[data-testid=key]', { hasText: 'Panel in the cellar' })
      await row.locator('[data-testid=rotate]').click()
      await row.locator('[data-testid=rotate]').click()
      await page.waitForFunction(
        (old) => document.querySelector('[data-testid=key-text]')?.innerText !== old,
        readers,
      )
      const rotated = await page.locator('[data-testid=key-text]').innerText()
      assert.equal(
        (await fetch(`${productUrl()}/api/v1/machines`, { headers: { 'X-API-Key': readers } })).status,
        401,
      )
      readers = rotated
      await page.click('[data-testid=key-kept]')
      assert.ok(!(await page.content()).includes(rotated), 'the text is gone')
      assert.deepEqual(
        trouble.filter((each) => !each.includes('401')),
        [],
      )
    })
    await withPage(async (page) => {
      await page.goto(`${productUrl()}/shop`)
      await page.locator('[data-testid=key-entry]').waitFor()
      await picture(page, 'key-entry')
      assert.deepEqual(await violations(page), [])
      await page.fill('#key', readers)
      await page.keyboard.press('Enter')
      await page.locator('[data-testid=card]').first().waitFor()
      assert.equal(
        await page.locator('nav a[href="/keys"]').count(),
        0,
        'who may only read is not shown the keys',
      )
      // Any key may stop.
      const stop = page.locator('[data-testid=card] [data-testid=stop]').first()
      await stop.click()
      await page.locator('[data-testid=stop-reports] [data-phase=confirmed]').waitFor()
    })
  },
)
