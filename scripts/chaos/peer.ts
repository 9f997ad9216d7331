import { createConnection } from 'node:net'
import type { Target, TransportName } from '../../server/testkit/probe.ts'
import { WebSocket } from 'ws'
import { frameBytes, FrameReader } from './frames.ts'
import type { Frame } from './frames.ts'

export interface PeerEvents {
  frame(frame: Frame): void
  /** Comes exactly once, and nothing after it. */
  ended(): void
}

/** What a peer needs of a socket, whichever it is. */
interface Wire {
  write(bytes: Buffer): void
  /** Ends it without a word. */
  end(): void
  pause(paused: boolean): void
}

/** One connection of a client, light enough for hundreds of them: frames out, frames in, and cuts at any byte. */
export class Peer {
  /** When the other side was last heard of, as `performance.now()` tells time. */
  heard = performance.now()
  readonly #wire: Wire
  readonly #events: PeerEvents
  readonly #reader = new FrameReader()
  /** How many bytes are still taken. */
  #left = Infinity
  #over = false

  constructor(target: Target, transport: TransportName, events: PeerEvents) {
    this.#events = events
    const take = (bytes: Buffer): void => this.#take(bytes)
    const ended = (): void => this.#end()
    this.#wire = transport === 'tcp' ? tcpWire(target, take, ended) : webSocketWire(target, take, ended)
  }

  send(command: string, headers: Readonly<Record<string, string>>, body?: string): void {
    if (!this.#over) this.#wire.write(frameBytes(command, headers, body))
  }

  /** Writes only a part of a frame, and ends. */
  sendTorn(command: string, headers: Readonly<Record<string, string>>, body: string, share: number): void {
    const bytes = frameBytes(command, headers, body)
    if (!this.#over) this.#wire.write(bytes.subarray(0, Math.floor(bytes.length * share)))
    this.cut()
  }

  /** Takes so many bytes more, wherever in a frame that is, and ends. */
  cutAfter(bytes: number): void {
    this.#left = Math.min(this.#left, bytes)
  }

  cut(): void {
    this.#wire.end()
    this.#end()
  }

  /** Stops and starts reading. */
  pause(paused: boolean): void {
    if (!this.#over) this.#wire.pause(paused)
  }

  #take(bytes: Buffer): void {
    if (this.#over) return
    this.heard = performance.now()
    for (const frame of this.#reader.read(bytes.subarray(0, this.#left))) {
      this.#events.frame(frame)
      if (this.#over) return
    }
    this.#left -= bytes.length
    if (this.#left <= 0) this.cut()
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#events.ended()
  }
}

const tcpWire = ({ stompPort }: Target, take: (bytes: Buffer) => void, ended: () => void): Wire => {
  const socket = createConnection({ port: stompPort ?? 0, host: '127.0.0.1', noDelay: true })
  socket.on('data', take)
  socket.on('error', () => undefined)
  socket.on('close', ended)
  return {
    write: bytes => void socket.write(bytes),
    end: () => void socket.resetAndDestroy(),
    pause: paused => void (paused ? socket.pause() : socket.resume()),
  }
}

const webSocketWire = ({ port }: Target, take: (bytes: Buffer) => void, ended: () => void): Wire => {
  const socket = new WebSocket(`ws://localhost:${port}/ws`, ['v12.stomp'], { family: 4 })
  const early: Buffer[] = []
  socket.on('open', () => {
    for (const bytes of early) socket.send(bytes, { binary: true })
  })
  socket.on('message', (bytes: Buffer) => take(bytes))
  socket.on('error', () => undefined)
  socket.on('close', ended)
  return {
    write(bytes) {
      if (socket.readyState === WebSocket.CONNECTING) early.push(bytes)
      else if (socket.readyState === WebSocket.OPEN) socket.send(bytes, { binary: true })
    },
    end: () => socket.terminate(),
    pause: paused => (paused ? socket.pause() : socket.resume()),
  }
}
