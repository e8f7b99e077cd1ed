// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import { fixtureShop } from './dev/fixture_plugin'

// With MILLRACE_URL the development server passes /api on to a running Millrace; without it a made-up shop answers.
const upstream = process.env['MILLRACE_URL']
const proxy = upstream ? { '/api': { target: upstream, ws: true, changeOrigin: true } } : undefined

export default defineConfig({
  plugins: [vue(), ...(upstream ? [] : [fixtureShop()])],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  server: { host: '127.0.0.1', proxy },
  preview: { host: '127.0.0.1', proxy },
  build: {
    target: 'es2022',
    // The content security policy allows no data: addresses, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  test: {
    environment: 'jsdom',
    include: ['src/**/__tests__/*.test.ts'],
    env: { TZ: 'Europe/Berlin' },
  },
})
