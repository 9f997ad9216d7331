import type { Socket } from 'node:net'
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { Node } from '../connection/node.ts'
import type { Transport } from '../connection/transport.ts'
import type { Framing } from '../stomp/framing.ts'
import { unacknowledged } from './send-queues.ts'

const PROTOCOLS = ['v12.stomp', 'v11.stomp', 'v10.stomp']
const TEXT = 0x81
const BINARY = 0x82

export interface WebSocketOptions {
  readonly node: Node
  /** The largest WebSocket message taken, bytes; a larger one closes with 1009. */
  readonly maxPayload: number
  /** Whether a page of this Origin may connect to a node asked for as this Host. */
  readonly mayConnect: (origin: string, host: string) => boolean
}

const endpoint = async (app: FastifyInstance, options: WebSocketOptions): Promise<void> => {
  await app.register(websocket, {
    options: {
      maxPayload: options.maxPayload,
      perMessageDeflate: false,
      handleProtocols: offered => PROTOCOLS.find(protocol => offered.has(protocol)) ?? false,
    },
    // The node drains its connections itself.
    preClose: done => done(),
    // What a client does wrong, or that it has gone, is no error of this node: those have a code.
    errorHandler: (error, ws, request) => {
      if (!('code' in error)) request.log.error({ err: error }, 'a WebSocket could not be served')
      ws.terminate()
    },
  })
  app.route({
    method: 'GET',
    url: '/ws',
    preValidation: async (request, reply) => {
      const { origin, host } = request.headers
      // Node insists on it in other requests only.
      if (host === undefined) return reply.code(400).send({ code: 'MISSING_HEADER', message: 'a handshake needs Host' })
      if (origin !== undefined && !options.mayConnect(origin, host)) {
        await reply.code(403).send({ code: 'FORBIDDEN', message: 'this origin may not connect: see ORIGINS' })
      }
    },
    handler: async (_request, reply) => reply.code(426).header('upgrade', 'websocket').send(),
    wsHandler: (ws, request) => accept(options.node, ws, request),
  })
}

const routes = async (app: FastifyInstance, options: WebSocketOptions): Promise<void> => {
  // The socket of a request for an upgrade is nobody's once it was answered otherwise, by whatever route.
  app.addHook('onResponse', async ({ raw }) => {
    if ('upgrade' in raw && raw.upgrade === true) raw.socket.destroy()
  })
  await app.register(endpoint, options)
}

/** STOMP over WebSocket at `/ws`. To be registered before every other route: they can be asked for an upgrade too. */
export const webSocketRoutes = Object.assign(routes, { [Symbol.for('skip-override')]: true })

const accept = (node: Node, ws: WebSocket, request: FastifyRequest): void => {
  const { socket } = request.raw
  socket.setNoDelay(true)
  const connection = node.accept(transportOf(ws, socket, request.ip))
  // Bytes are counted on the socket, because ws hands a message over only when it is whole.
  socket.on('data', (chunk: Buffer) => connection.heard(chunk.length))
  socket.on('drain', () => connection.drained())
  ws.on('message', (data: Buffer) => connection.receive(data))
  // What ws found wrong it answers itself with a Close frame; `close` follows.
  ws.on('error', () => {})
  ws.on('close', () => node.closed(connection))
}

/**
 * Messages are written to the upgrade's own socket, framed already and as many at once as have gathered; ws, on the same
 * socket, keeps ping, pong and close. After its Close frame nothing may follow, so only while it is open.
 */
const transportOf = (ws: WebSocket, socket: Socket, address: string): Transport => ({
  pings: true,
  address,
  framing,
  get buffered() {
    return socket.writableLength
  },
  get full() {
    return socket.writableNeedDrain
  },
  unacknowledged: () => unacknowledged(socket),
  write: bytes => {
    if (ws.readyState === ws.OPEN) socket.write(bytes)
  },
  pause: () => ws.pause(),
  resume: () => ws.resume(),
  ping: () => ws.ping(),
  close: code => ws.close(code),
  destroy: () => ws.terminate(),
})

/** A server's WebSocket frame header (RFC 6455, 5.2): final, not masked, length in 7, 16 or 64 bits. */
export const framing: Framing = {
  overhead: length => (length < 126 ? 2 : length < 65_536 ? 4 : 10),
  write: (target, at, length, text) => {
    target[at] = text ? TEXT : BINARY
    if (length < 126) {
      target[at + 1] = length
      return at + 2
    }
    if (length < 65_536) {
      target[at + 1] = 126
      target.writeUInt16BE(length, at + 2)
      return at + 4
    }
    target[at + 1] = 127
    target.writeBigUInt64BE(BigInt(length), at + 2)
    return at + 10
  },
}
