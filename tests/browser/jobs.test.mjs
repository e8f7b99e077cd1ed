// SPDX-License-Identifier: Apache-2.0
// What people say of jobs on the page of a running Millrace: verdicts, prints entered by hand, photos, exports.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { deflateSync } from 'node:zlib'
import { phone, picture, productUrl, violations, withPage } from './browser.mjs'

const slow = { timeout: 180_000 }

// A file name that no other job has, so that the tests may run again and again on one shop.
const newName = () => `by hand ${Date.now()}.gcode`

// Enters a print on the page and stays on its own one.
async function enterJob(page, filename) {
  await page.goto(`${productUrl()}/jobs`)
  await page.click('[data-testid=enter]')
  await page.locator('[data-testid=entry-machine] option').first().waitFor({ state: 'attached' })
  await page.fill('[data-testid=entry-file]', filename)
  const start = new Date(Date.now() - 3 * 3_600_000)
  const local = (time) => new Date(time - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
  await page.fill('[data-testid=entry-started]', local(start))
  await page.fill('[data-testid=entry-ended]', local(new Date(start.getTime() + 3_600_000)))
  await picture(page, 'enter')
  await page.locator('[data-testid=entry-form] [type=submit]').click()
  await page.locator('[data-testid=job-details]').waitFor()
  await page.getByRole('heading', { level: 1, name: filename }).waitFor()
}

function crc32(bytes) {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ~crc >>> 0
}

// A picture of one colour, another one for each `shade`.
function png(shade, side = 96) {
  const chunk = (type, content) => {
    const body = Buffer.concat([Buffer.from(type), content])
    const whole = Buffer.alloc(body.length + 8)
    whole.writeUInt32BE(content.length)
    body.copy(whole, 4)
    whole.writeUInt32BE(crc32(body), body.length + 4)
    return whole
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(side)
  head.writeUInt32BE(side, 4)
  head.set([8, 2, 0, 0, 0], 8)
  const line = Buffer.concat([Buffer.from([0]), Buffer.alloc(side * 3, shade)])
  const lines = deflateSync(Buffer.concat(Array(side).fill(line)))
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', lines), chunk('IEND', Buffer.alloc(0))])
}

describe('what people say of jobs', () => {
  it('keeps a verdict with its reason over a reload, and shows the earlier one', slow, async () => {
    await withPage(async (page, trouble) => {
      await enterJob(page, newName())
      const panel = (verdict) => page.locator(`[data-testid=verdict-panel][data-verdict=${verdict}]`)
      await page.locator('input[name=verdict][value=good]').check()
      await panel('good').waitFor()
      await page.locator('input[name=verdict][value=scrap]').check()
      await panel('scrap').waitFor()
      await page.selectOption('[data-testid=reason]', 'warping')
      await page.locator('[data-testid=change]').nth(1).waitFor()
      await page.reload()
      await panel('scrap').waitFor()
      assert.equal(await page.inputValue('[data-testid=reason]'), 'warping')
      const changes = await page
        .locator('[data-testid=change]')
        .evaluateAll((rows) =>
          rows.map((row) =>
            ['before', 'after'].map((part) => row.querySelector(`[data-testid=${part}]`).textContent),
          ),
        )
      assert.ok(
        changes.some(([before, after]) => before === 'Good' && after === 'Scrap'),
        JSON.stringify(changes),
      )
      await picture(page, 'job-verdict')
      assert.deepEqual(trouble, [])
    })
  })

  it('adds photos to a print, shows them after a reload, and takes them away', slow, async () => {
    await withPage(async (page, trouble) => {
      await enterJob(page, newName())
      await page.fill('[data-testid=photo-caption]', 'left side')
      const file = { name: 'part.png', mimeType: 'image/png', buffer: png(Date.now() % 256) }
      await page.setInputFiles('[data-testid=photo-file]', file)
      await page.locator('[data-testid=photos][data-count="1"]').waitFor()
      await page.reload()
      const drawn = page.locator('[data-testid=photo] img')
      await drawn.scrollIntoViewIfNeeded()
      await page.waitForFunction(() => document.querySelector('[data-testid=photo] img')?.naturalWidth === 96)
      assert.equal(await drawn.getAttribute('alt'), 'left side')
      await picture(page, 'job-photo')
      await page.click('[data-testid=remove-photo]')
      await page.locator('[data-testid=photos][data-count="0"]').waitFor()
      await page.setInputFiles('[data-testid=photo-file]', {
        name: 'note.png',
        mimeType: 'image/png',
        buffer: Buffer.from('no picture'),
      })
      await page.locator('[data-testid=photos] [role=alert]').waitFor()
      // The refusal itself is an error line of the browser.
      assert.deepEqual(
        trouble.filter((line) => !line.includes('415')),
        [],
      )
    })
  })

  it('exports what the filter shows, as the chosen kind of file', slow, async () => {
    await withPage(
      async (page, trouble) => {
        const name = newName()
        await enterJob(page, name)
        await page.goto(`${productUrl()}/jobs?q=${encodeURIComponent(name)}`)
        await page.locator('[data-testid=job]').first().waitFor()
        await page.click('[data-testid=export]')
        await picture(page, 'export')
        const downloaded = async () => {
          const [download] = await Promise.all([
            page.waitForEvent('download'),
            page.click('[data-testid=export-download]'),
          ])
          return readFileSync(await download.path(), 'utf8')
        }
        const csv = await downloaded()
        assert.equal(csv.charCodeAt(0), 0xfeff)
        const lines = csv.trim().split('\r\n')
        assert.equal(lines.length, 2, csv)
        assert.ok(lines[0].includes('id;machine;filename'))
        assert.ok(lines[1].includes(name))
        assert.ok(lines[1].includes(';3600;'))
        await page.click('[data-testid=export]')
        await page.selectOption('[data-testid=export-format]', 'jsonl')
        const job = JSON.parse(await downloaded())
        assert.equal(job.filename, name)
        assert.deepEqual(trouble, [])
      },
      { locale: 'de-DE' },
    )
  })

  it('keeps the WCAG rules and fits a phone, in both themes and all of its dialogs', slow, async () => {
    for (const colorScheme of ['dark', 'light']) {
      await withPage(
        async (page, trouble) => {
          await enterJob(page, newName())
          await page.locator('input[name=verdict][value=good]').check()
          await page.locator('[data-testid=changes]').waitFor()
          assert.deepEqual(await violations(page), [], `job, ${colorScheme}`)
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth))
          await picture(page, `phone-job-${colorScheme}`)
          await page.goto(`${productUrl()}/jobs`)
          for (const dialog of ['enter', 'export']) {
            await page.click(`[data-testid=${dialog}]`)
            assert.deepEqual(await violations(page), [], `${dialog}, ${colorScheme}`)
            await picture(page, `phone-${dialog}-${colorScheme}`)
            await page.keyboard.press('Escape')
          }
          assert.deepEqual(trouble, [])
        },
        { viewport: phone, colorScheme },
      )
    }
  })
})
