import { createConnection, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { Random } from './random.ts'

/**
 * What a network can do to what passes through it. TCP shows no lost packet, only their effects: `slow` is the delay of
 * those that had to be sent again, `lossy` the connections that break where too many are lost, `dark` a path on which
 * nothing arrives, in both directions or only on the way back.
 */
export type Trouble =
  | { readonly is: 'clear' }
  | { readonly is: 'slow'; readonly ms: number }
  | { readonly is: 'lossy'; readonly chance: number }
  | { readonly is: 'dark'; readonly way: 'both' | 'back' }
  | { readonly is: 'refusing' }

const CLEAR: Trouble = { is: 'clear' }

/** Breaks a connection. One that was ended on this side cannot be reset: Node would never be done with it. */
const reset = (socket: Socket): void => void (socket.writableEnded ? socket.destroy() : socket.resetAndDestroy())

/** One direction of one connection: what comes from `source` goes on to `sink`, in order, when its time has come. */
class Lane {
  readonly #source: Socket
  readonly #sink: Socket
  #waiting: { readonly at: number; readonly chunk: Buffer }[] = []
  #timer: NodeJS.Timeout | undefined
  #ended = false

  constructor(source: Socket, sink: Socket, pass: (chunk: Buffer) => number | 'cut') {
    this.#source = source
    this.#sink = sink
    source.on('data', (chunk: Buffer) => {
      const wait = pass(chunk)
      if (wait === 'cut') return reset(source)
      this.#waiting.push({ at: performance.now() + wait, chunk })
      this.#move()
    })
    source.on('end', () => {
      this.#ended = true
      this.#move()
    })
    source.on('close', () => clearTimeout(this.#timer))
  }

  /** A dark lane takes nothing from its source: what was sent by then arrives when it is lit again, as in a network. */
  darken(dark: boolean): void {
    if (dark) this.#source.pause()
    else this.#source.resume()
  }

  #move(): void {
    clearTimeout(this.#timer)
    const now = performance.now()
    while (this.#waiting[0] && this.#waiting[0].at <= now) this.#sink.write(this.#waiting.shift()!.chunk)
    const [next] = this.#waiting
    if (next) this.#timer = setTimeout(() => this.#move(), next.at - now)
    else if (this.#ended) this.#sink.end()
  }
}

/** The way from one node to one server behind it: a port of its own, and whatever trouble there is on it. */
export class Path {
  readonly name: string
  readonly port: number
  readonly #lanes = new Map<Socket, { readonly there: Lane; readonly back: Lane }>()
  readonly #close: () => Promise<void>
  #trouble: Trouble = CLEAR

  private constructor(name: string, port: number, close: () => Promise<void>) {
    this.name = name
    this.port = port
    this.#close = close
  }

  /** Opens a way to `target`, a port of this machine. `random` decides what a lossy path breaks. */
  static async open(name: string, target: number, random: Random): Promise<Path> {
    const server = createServer({ allowHalfOpen: true })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const path = new Path(name, (server.address() as AddressInfo).port, async () => {
      server.close()
      path.cut()
    })
    server.on('connection', client => path.#carry(client, target, random))
    return path
  }

  get trouble(): Trouble {
    return this.#trouble
  }

  set trouble(trouble: Trouble) {
    this.#trouble = trouble
    if (trouble.is === 'refusing') this.cut()
    for (const { there, back } of this.#lanes.values()) this.#light(there, back)
  }

  /** Breaks every connection that is on it. */
  cut(): void {
    for (const client of this.#lanes.keys()) reset(client)
  }

  async close(): Promise<void> {
    await this.#close()
  }

  #light(there: Lane, back: Lane): void {
    const dark = this.#trouble.is === 'dark' ? this.#trouble.way : undefined
    there.darken(dark === 'both')
    back.darken(dark !== undefined)
  }

  #carry(client: Socket, target: number, random: Random): void {
    client.on('error', () => undefined)
    if (this.#trouble.is === 'refusing') return void client.resetAndDestroy()
    const server = createConnection({ port: target, host: '127.0.0.1', allowHalfOpen: true })
    server.on('error', () => undefined)
    for (const socket of [client, server]) socket.setNoDelay(true)
    const pass = (): number | 'cut' => {
      if (this.#trouble.is === 'lossy' && random.chance(this.#trouble.chance)) return 'cut'
      return this.#trouble.is === 'slow' ? this.#trouble.ms * (0.5 + random.next()) : 0
    }
    const lanes = { there: new Lane(client, server, pass), back: new Lane(server, client, pass) }
    this.#lanes.set(client, lanes)
    this.#light(lanes.there, lanes.back)
    client.on('close', () => {
      this.#lanes.delete(client)
      server.destroy()
    })
    server.on('close', () => client.destroy())
  }
}
