import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Node } from '../connection/node.ts'
import type { Transport } from '../connection/transport.ts'
import { bare } from '../stomp/framing.ts'
import { unacknowledged } from './send-queues.ts'

/** How long the system waits before it asks a silent peer whether it is still there, ms. */
const KEEP_ALIVE_MS = 60_000
/** How long the handshake of TLS may take, ms: until then nothing else counts the connection. */
const HANDSHAKE_MS = 10_000

/** A server of plain STOMP over TCP, or over TLS with a certificate and its key in PEM. */
export const tcpServer = (node: Node, tls?: { readonly cert: Buffer; readonly key: Buffer }): Server => {
  // Who has sent everything and shut down that side may still wait for the RECEIPTs.
  const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
  const serve = (socket: Socket): void => accept(node, socket)
  return tls
    ? createTlsServer({ ...tls, ...options, handshakeTimeout: HANDSHAKE_MS }, serve)
    : createServer(options, serve)
}

const accept = (node: Node, socket: Socket): void => {
  const connection = node.accept(new TcpTransport(socket))
  socket.on('data', chunk => {
    connection.heard(chunk.length)
    connection.receive(chunk)
  })
  socket.on('end', () => connection.heardLast())
  socket.on('drain', () => connection.drained())
  // A reset by the peer is no more than its end; `close` follows.
  socket.on('error', () => {})
  socket.on('close', () => node.closed(connection))
}

class TcpTransport implements Transport {
  readonly pings = false
  readonly framing = bare
  readonly address: string
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
    this.address = String(socket.remoteAddress)
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
    if (this.#socket.writable) this.#socket.write(bytes)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  ping(): void {}

  close(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
