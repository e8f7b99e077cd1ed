// SPDX-License-Identifier: Apache-2.0
// Serves a made-up shop to the development and the preview server, with the content security policy of the real one
// where the built page is previewed. Never part of the build.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Plugin } from 'vite'
import { WebSocketServer } from 'ws'
import { FixtureShop } from './fixture_shop'

const heartbeatMs = 2_000
const stepMs = 500

export function fixtureShop(): Plugin {
  return {
    name: 'fixture-shop',
    configureServer: (server) => attach(server.httpServer as Server | null, server.middlewares, false),
    configurePreviewServer: (server) => attach(server.httpServer as Server, server.middlewares, true),
  }
}

interface Middlewares {
  use(run: (request: IncomingMessage, response: ServerResponse, next: () => void) => void): unknown
}

function attach(server: Server | null, middlewares: Middlewares, policy: boolean): void {
  if (server === null) return
  const shop = new FixtureShop(Date.now())
  const sockets = new WebSocketServer({ noServer: true })
  setInterval(() => {
    const delta = shop.step(stepMs / 1000, Date.now())
    for (const client of sockets.clients) client.send(JSON.stringify(delta))
  }, stepMs).unref()
  setInterval(() => {
    const beat = { type: 'heartbeat', position: shop.position, time: new Date().toISOString() }
    for (const client of sockets.clients) client.send(JSON.stringify(beat))
  }, heartbeatMs).unref()
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (request.url !== '/api/v1/live') return
    sockets.handleUpgrade(request, socket, head, (client) => client.send(JSON.stringify(shop.snapshot())))
  })
  middlewares.use((request, response, next) => {
    if (policy) response.setHeader('Content-Security-Policy', "default-src 'self'")
    const url = new URL(request.url ?? '/', 'http://fixture')
    if (!url.pathname.startsWith('/api/')) return next()
    const { status, body } = shop.get(url)
    response.statusCode = status
    response.setHeader('Content-Type', status === 200 ? 'application/json' : 'application/problem+json')
    response.end(JSON.stringify(body))
  })
}
