/** Sends every message back: what connecting costs with @fastify/websocket alone. */
import websocket from '@fastify/websocket'
import fastify from 'fastify'
import { announce } from './listening.ts'

const app = fastify()
await app.register(websocket, { options: { perMessageDeflate: false } })
app.get('/ws', { websocket: true }, socket => {
  socket.on('message', (message: Buffer) => socket.send(message, { binary: false }))
  socket.on('error', () => {})
})
await app.listen({ host: '127.0.0.1', port: 0, backlog: 4096 })
announce(app.server)
process.on('SIGTERM', () => process.exit(0))
