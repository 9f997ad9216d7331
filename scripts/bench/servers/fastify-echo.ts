/** Sends every message back: what connecting costs with @fastify/websocket alone. */
import websocket from '@fastify/websocket'
import fastify from 'fastify'
import type { AddressInfo } from 'node:net'

const app = fastify()
await app.register(websocket, { options: { perMessageDeflate: false } })
app.get('/ws', { websocket: true }, socket => {
  socket.on('message', (message: Buffer) => socket.send(message, { binary: false }))
  socket.on('error', () => {})
})
await app.listen({ host: '127.0.0.1', port: 0, backlog: 4096 })
const { port } = app.server.address() as AddressInfo
process.stdout.write(`${JSON.stringify({ msg: 'listening', port })}\n`)
process.on('SIGTERM', () => process.exit(0))
