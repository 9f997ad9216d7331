import { Checker, addFaults, noFaults, type Faults } from './checker.ts'
import { Client, type Endpoint } from './client.ts'
import type { Latencies } from './clock.ts'

/** How many connections are looked at frame by frame. */
const CHECKED = 20
const AT_ONCE = 100

export interface AudienceOptions {
  readonly endpoint: Endpoint
  readonly destinations: readonly string[]
  /** In each room. */
  readonly subscribers: number
  readonly streamsOf: (room: number) => Iterable<number>
  readonly latencies: Latencies
  /** A server that gives no receipts: see `Audience.heard`. */
  readonly receipts: boolean
  /** All connections are looked at frame by frame, and ids may be anything. */
  readonly foreign: boolean
}

interface Listener {
  readonly client: Client
  readonly room: number
  readonly checker: Checker | undefined
}

/** Everyone who listens, spread evenly over the rooms; some of them look at every frame, the others count. */
export class Audience {
  readonly #listeners: Listener[] = []

  static async open(options: AudienceOptions): Promise<Audience> {
    const { destinations, subscribers } = options
    const audience = new Audience()
    const total = destinations.length * subscribers
    for (let from = 0; from < total; from += AT_ONCE) {
      const count = Math.min(AT_ONCE, total - from)
      await Promise.all(Array.from({ length: count }, (_, i) => audience.#join(from + i, total, options)))
    }
    return audience
  }

  async #join(index: number, total: number, options: AudienceOptions): Promise<void> {
    const { endpoint, destinations, streamsOf, latencies, foreign, receipts } = options
    const room = index % destinations.length
    const destination = destinations[room]!
    const client = await Client.connect(endpoint)
    client.onEnd = error => {
      throw error
    }
    const every = Math.max(1, Math.floor(total / CHECKED))
    // The last to subscribe is the last to be served: it is one of those that are looked at.
    const looked = foreign || !client.masking || (total - 1 - index) % every === 0
    const subscription = 'sub-0'
    const headers = { id: subscription, destination, ack: 'auto' }
    let checker: Checker | undefined
    if (looked) {
      const streams = streamsOf(room)
      checker = new Checker({ destination, subscription, streams, ids: !foreign, onLatency: latencies.add })
      client.onMessage = checker.take
    }
    if (receipts) await client.request('SUBSCRIBE', headers)
    else client.send('SUBSCRIBE', headers)
    client.bytes = 0
    client.counting = !looked
    this.#listeners.push({ client, room, checker })
  }

  get size(): number {
    return this.#listeners.length
  }

  /** Messages that have come to all of them together. */
  get messages(): number {
    let messages = 0
    for (const { client, checker } of this.#listeners) messages += checker?.messages ?? client.counted
    return messages
  }

  /** Bytes that have come to all of them together, with what frames them. */
  get bytes(): number {
    let bytes = 0
    for (const { client } of this.#listeners) bytes += client.bytes
    return bytes
  }

  /** The id of the newest message that came to one of those that are looked at. */
  get newestId(): string {
    return this.#listeners.find(({ checker }) => checker)?.checker?.newest ?? ''
  }

  /** Whether everyone has had at least one message. */
  get heard(): boolean {
    return this.#listeners.every(({ client, checker }) => (checker?.messages ?? client.counted) > 0)
  }

  /** Everything that is wrong, when nothing more is to come. `sent`: how many of each stream, and in each room. */
  faults(sent: { stream: (stream: number) => number; room: (room: number) => number }): Faults {
    const sum = noFaults()
    const [orders, bytes] = [new Map<number, number>(), new Map<number, number>()]
    for (const { client, room, checker } of this.#listeners) {
      if (checker) {
        checker.countLost(sent.stream)
        addFaults(sum, checker.faults)
        if ((orders.get(room) ?? checker.order) !== checker.order) sum.reordered++
        orders.set(room, checker.order)
      } else {
        const surplus = client.counted - sent.room(room)
        if (surplus > 0) sum.repeated += surplus
        else sum.lost -= surplus
        if ((bytes.get(room) ?? client.bytes) !== client.bytes) sum.damaged++
        bytes.set(room, client.bytes)
      }
    }
    return sum
  }

  /** Begins anew after `sent` of each stream, where everyone is looked at frame by frame. */
  forget(sent: { stream: (stream: number) => number }): void {
    for (const { client, checker } of this.#listeners) {
      checker?.begin(sent.stream)
      client.bytes = 0
    }
  }

  close(): void {
    for (const { client } of this.#listeners) client.end()
  }
}
