// SPDX-License-Identifier: Apache-2.0
import { createI18n } from 'vue-i18n'
import de from './de.json'
import en from './en.json'

export const languages = ['en', 'de'] as const
export type Language = (typeof languages)[number]

// The first language of the browser that this page speaks; English otherwise.
export function preferredLanguage(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    const found = languages.find((language) => tag.toLowerCase().split('-')[0] === language)
    if (found) return found
  }
  return 'en'
}

export const i18n = createI18n({
  legacy: false,
  locale: 'en' as Language,
  fallbackLocale: 'en',
  messages: { en, de },
})
