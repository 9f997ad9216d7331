import { Client, type Endpoint } from './client.ts'
import { now, paced, type Times } from './clock.ts'
import { Template } from './frames.ts'

interface Stream {
  readonly template: Template
  readonly publisher: number
  readonly room: number
  sent: number
}

export interface PublishersOptions {
  readonly endpoint: Endpoint
  readonly destinations: readonly string[]
  readonly publishers: number
}

/** The streams of rooms: as many as there are publishers in one room, one a room where there are more rooms. */
const streamsIn = (rooms: number, publishers: number): number => Math.max(rooms, publishers)

/** The streams whose messages go to `room`. */
export const streamsOf = (room: number, rooms: number, publishers: number): number[] =>
  Array.from({ length: streamsIn(rooms, publishers) }, (_, stream) => stream).filter(stream => stream % rooms === room)

/** Connections that send at an even rate, in turn over their streams; what is due at once goes in one write each. */
export class Publishers {
  readonly #clients: readonly Client[]
  readonly #streams: readonly Stream[]
  #turn = 0

  private constructor(clients: readonly Client[], destinations: readonly string[]) {
    this.#clients = clients
    this.#streams = Array.from({ length: streamsIn(destinations.length, clients.length) }, (_, stream) => {
      const room = stream % destinations.length
      const template = new Template(stream, { destination: destinations[room]! }, clients[0]!.masking)
      return { template, room, publisher: stream % clients.length, sent: 0 }
    })
  }

  static async open({ endpoint, destinations, publishers }: PublishersOptions): Promise<Publishers> {
    const clients = await Promise.all(Array.from({ length: publishers }, () => Client.connect(endpoint)))
    for (const client of clients) {
      client.onEnd = error => {
        throw error
      }
    }
    return new Publishers(clients, destinations)
  }

  /** Messages sent so far. */
  readonly sent = {
    all: (): number => this.#streams.reduce((sum, { sent }) => sum + sent, 0),
    stream: (stream: number): number => this.#streams[stream]!.sent,
    room: (room: number): number =>
      this.#streams.reduce((sum, stream) => sum + (stream.room === room ? stream.sent : 0), 0),
  }

  /** Sends until the time is over or `enough` says so; resolves with how late it was. */
  async publish(perSecond: number, seconds: number, enough: () => boolean = () => false): Promise<Times> {
    return paced(perSecond, seconds, (count, first, step) => {
      this.#send(count, first, step)
      return !enough()
    })
  }

  /** Sends one message on every stream. */
  once(): void {
    this.#send(this.#streams.length, now(), 0)
  }

  #send(count: number, first: number, step: number): void {
    const { length } = this.#streams[0]!.template
    const room = Math.ceil(count / this.#clients.length + this.#streams.length) * (length + 8)
    const writes = this.#clients.map(() => ({ bytes: undefined as Buffer | undefined, at: 0 }))
    for (let i = 0; i < count; i++) {
      const stream = this.#streams[this.#turn]!
      this.#turn = (this.#turn + 1) % this.#streams.length
      const write = writes[stream.publisher]!
      write.bytes ??= Buffer.allocUnsafe(room)
      write.at = stream.template.write(write.bytes, write.at, stream.sent++, Math.floor(first + i * step))
    }
    for (const [i, { bytes, at }] of writes.entries()) if (bytes) this.#clients[i]!.write(bytes.subarray(0, at))
  }

  close(): void {
    for (const client of this.#clients) client.end()
  }
}
