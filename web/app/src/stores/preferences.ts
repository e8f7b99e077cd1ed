// SPDX-License-Identifier: Apache-2.0
// Language and theme of this browser, remembered where storage is allowed.
import { computed, ref, watchEffect } from 'vue'
import { defineStore } from 'pinia'
import { i18n, languages, preferredLanguage, type Language } from '@/i18n'
import { makeFormat } from '@/i18n/format'

export const themes = ['system', 'dark', 'light'] as const
export type Theme = (typeof themes)[number]

function stored<T extends string>(key: string, allowed: readonly T[]): T | null {
  try {
    const value = localStorage.getItem(key)
    return allowed.find((candidate) => candidate === value) ?? null
  } catch {
    return null
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    return
  }
}

// The region matters for times (14:05 or 2:05 PM): the browser's own variant of the chosen language is used.
export function localeOf(language: Language, wanted: readonly string[]): string {
  return wanted.find((tag) => tag.toLowerCase().split('-')[0] === language) ?? language
}

export const usePreferences = defineStore('preferences', () => {
  const language = ref<Language>(
    stored('millrace.language', languages) ?? preferredLanguage(navigator.languages),
  )
  const theme = ref<Theme>(stored('millrace.theme', themes) ?? 'system')
  const systemLight = matchMedia('(prefers-color-scheme: light)')
  const systemIsLight = ref(systemLight.matches)
  systemLight.addEventListener('change', (event) => (systemIsLight.value = event.matches))

  const shownTheme = computed(() =>
    theme.value === 'system' ? (systemIsLight.value ? 'light' : 'dark') : theme.value,
  )
  const format = computed(() => makeFormat(localeOf(language.value, navigator.languages)))

  watchEffect(() => {
    i18n.global.locale.value = language.value
    document.documentElement.lang = language.value
  })
  watchEffect(() => (document.documentElement.dataset['theme'] = shownTheme.value))

  function setLanguage(next: Language): void {
    language.value = next
    store('millrace.language', next)
  }

  function setTheme(next: Theme): void {
    theme.value = next
    store('millrace.theme', next)
  }

  return { language, theme, format, setLanguage, setTheme }
})
