import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import type { WebSocket } from 'ws'
import type { Node } from '../connection/node.ts'
import type { Meter } from '../ports/meter.ts'
import type { Transport } from '../connection/transport.ts'
import type { Framing } from '../stomp/framing.ts'
import { unacknowledged } from './send-queues.ts'

const PROTOCOLS = ['v12.stomp', 'v11.stomp', 'v10.stomp']
/** [S-04] What ws takes by itself too: an update may change that, and must not change the protocol. */
const LIMITS = { maxFragments: 16_384, maxPendingAutoPongs: 60 }
const TEXT = 0x81
const BINARY = 0x82

export interface WebSocketOptions {
  readonly node: Node
  readonly meter: Meter
  /** The largest WebSocket message taken, bytes; a larger one closes with 1009. */
  readonly maxPayload: number
  /** Whether a page of this Origin may connect to a node asked for as this Host. */
  readonly mayConnect: (origin: string, host: string) => boolean
}

const endpoint = async (app: FastifyInstance, options: WebSocketOptions): Promise<void> => {
  /** The answer that Node prepares for each request, until the request has become a WebSocket. */
  const answers = new WeakMap<IncomingMessage, ServerResponse>()
  // What ws found wrong it has answered with a Close frame. One listener for all of them.
  const onError = function (this: WebSocket, error: Error): void {
    if ('code' in error && String(error.code).startsWith('WS_ERR_')) options.meter.add('refused', 1, 'websocket')
    this.terminate()
  }
  await app.register(websocket, {
    options: {
      maxPayload: options.maxPayload,
      ...LIMITS,
      perMessageDeflate: false,
      clientTracking: false,
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
    preValidation: (request, reply, done) => {
      answers.set(request.raw, reply.raw)
      const { origin, host } = request.headers
      // Node insists on it in other requests only.
      if (host === undefined) {
        reply.code(400).send({ code: 'MISSING_HEADER', message: 'a handshake needs Host' })
      } else if (origin !== undefined && !options.mayConnect(origin, host)) {
        reply.code(403).send({ code: 'FORBIDDEN', message: 'this origin may not connect: see ORIGINS' })
      } else if (options.node.handshakes.full) options.node.handshakes.whenRoom(done)
      else done()
    },
    handler: async (_request, reply) => reply.code(426).header('upgrade', 'websocket').send(),
    wsHandler: (ws, request) => {
      const { raw, ip } = request
      // What is left of the request would stay with the socket as long as that is there: more than all of a connection.
      answers.get(raw)!.detachSocket(raw.socket)
      ws.removeAllListeners('error')
      ws.on('error', onError)
      accept(options.node, ws, raw.socket, ip)
    },
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

const accept = (node: Node, ws: WebSocket, socket: Socket, address: string): void => {
  socket.setNoDelay(true)
  const connection = node.accept(new WebSocketTransport(ws, socket, address))
  // Bytes are counted on the socket, because ws hands a message over only when it is whole.
  socket.on('data', (chunk: Buffer) => connection.heard(chunk.length))
  socket.on('drain', () => connection.drained())
  ws.on('message', (data: Buffer) => connection.receive(data))
  ws.on('close', () => node.closed(connection))
}

/**
 * Messages are written to the upgrade's own socket, framed already and as many at once as have gathered; ws, on the same
 * socket, keeps ping, pong and close. After its Close frame nothing may follow, so only while it is open.
 */
class WebSocketTransport implements Transport {
  readonly pings = true
  readonly framing = framing
  readonly address: string
  readonly #ws: WebSocket
  readonly #socket: Socket

  constructor(ws: WebSocket, socket: Socket, address: string) {
    this.#ws = ws
    this.#socket = socket
    this.address = address
  }

  get buffered(): number {
    return this.#socket.writableLength
  }

  get full(): boolean {
    return this.#socket.writableNeedDrain
  }

  unacknowledged(): Promise<number | undefined> {
    return unacknowledged(this.#socket)
  }

  write(bytes: Buffer): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#socket.write(bytes)
  }

  pause(): void {
    this.#ws.pause()
  }

  resume(): void {
    this.#ws.resume()
  }

  ping(): void {
    this.#ws.ping()
  }

  close(code: number): void {
    this.#ws.close(code)
  }

  destroy(): void {
    this.#ws.terminate()
  }
}

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
