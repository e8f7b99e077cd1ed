// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import de from '../de.json'
import en from '../en.json'
import { preferredLanguage } from '..'

type Tree = { [key: string]: string | Tree }

function leaves(tree: Tree, path = ''): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === 'string' ? [[path + key, value] as [string, string]] : leaves(value, `${path}${key}.`),
  )
}

const english = new Map(leaves(en))
const german = new Map(leaves(de))
const root = join(__dirname, '../..')
const source = readdirSync(root, { recursive: true })
  .map(String)
  .filter((path) => /\.(vue|ts)$/.test(path) && !path.includes('__tests__'))
  .map((path) => readFileSync(join(root, path), 'utf8'))
  .join('\n')
const placeholders = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort()

describe('messages', () => {
  it('have the same keys in both languages', () => {
    expect([...german.keys()].sort()).toEqual([...english.keys()].sort())
  })

  it('are never empty and use the same placeholders and plural forms', () => {
    for (const [key, text] of english) {
      const other = german.get(key) ?? ''
      expect(other.trim(), key).not.toBe('')
      expect(placeholders(other), key).toEqual(placeholders(text))
      expect(other.split(' | ').length, key).toBe(text.split(' | ').length)
    }
  })

  it('are all used', () => {
    const prefixes = [...source.matchAll(/`([a-z_]+(?:\.[a-z_]+)*\.)\$\{/g)].map(
      (match) => match[1] as string,
    )
    const unused = [...english.keys()].filter(
      (key) =>
        !source.includes(`'${key}'`) &&
        !source.includes(`"${key}"`) &&
        !prefixes.some((p) => key.startsWith(p)),
    )
    expect(unused).toEqual([])
  })

  it('exist for every key that the page asks for', () => {
    const asked = [...source.matchAll(/\bt\(\s*'([^']+)'|keypath="([^"]+)"/g)].map(
      (match) => match[1] ?? match[2],
    )
    expect(asked.length).toBeGreaterThan(50)
    expect(asked.filter((key) => !english.has(key as string))).toEqual([])
  })

  it('follow the first language of the browser that is spoken here', () => {
    expect(preferredLanguage(['fr-FR', 'de-AT', 'en'])).toBe('de')
    expect(preferredLanguage(['en-GB', 'de'])).toBe('en')
    expect(preferredLanguage(['fr'])).toBe('en')
  })
})
