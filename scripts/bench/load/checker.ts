import { headerOf, type OnMessage } from './client.ts'
import { isWhole, readBody } from './frames.ts'

/** What must not be. `lost` to `misrouted` in messages of one connection; `damaged`: not the bytes that were sent. */
export interface Faults {
  lost: number
  repeated: number
  reordered: number
  misrouted: number
  damaged: number
}
export const noFaults = (): Faults => ({ lost: 0, repeated: 0, reordered: 0, misrouted: 0, damaged: 0 })
export const addFaults = (sum: Faults, more: Faults): Faults => {
  for (const name of Object.keys(sum) as (keyof Faults)[]) sum[name] += more[name]
  return sum
}

interface Stream {
  next: number
  readonly missing: Set<number>
}

export interface CheckerOptions {
  readonly destination: string
  readonly subscription: string
  /** The streams whose messages belong here. */
  readonly streams: Iterable<number>
  /** Ids have to be `…-<number>` with growing numbers, and the same for all subscribers. */
  readonly ids: boolean
  /** µs from when a message was due until it was here. */
  readonly onLatency: (microseconds: number) => void
}

/** Looks at every message of one subscription: its headers, its place in its stream, its bytes. */
export class Checker {
  faults: Faults = noFaults()
  messages = 0
  /** Stands for all ids and what they were the ids of, in order: the same for subscribers that saw the same. */
  order = 0
  /** The newest message's id. */
  newest = ''
  readonly #options: CheckerOptions
  readonly #streams: ReadonlyMap<number, Stream>
  #id = -1

  constructor(options: CheckerOptions) {
    this.#options = options
    this.#streams = new Map(Array.from(options.streams, stream => [stream, { next: 0, missing: new Set<number>() }]))
  }

  readonly take: OnMessage = (head, buffer, bodyAt, bodyEnd) => {
    const { faults } = this
    this.messages++
    if (!isWhole(buffer, bodyAt, bodyEnd)) return void faults.damaged++
    const { destination, subscription, onLatency, ids } = this.#options
    const { stream, number, time } = readBody(buffer, bodyAt)
    onLatency(performance.now() * 1000 - time)
    const known = this.#streams.get(stream)
    const here = headerOf(head, 'destination') === destination && headerOf(head, 'subscription') === subscription
    if (!known || !here) return void faults.misrouted++
    this.#place(known, number)
    if (ids) this.#identify(head, stream, number)
  }

  /** Begins anew: of each stream `sent` messages are over. */
  begin(sent: (stream: number) => number): void {
    this.messages = this.order = 0
    this.faults = noFaults()
    for (const [stream, state] of this.#streams) {
      state.next = sent(stream)
      state.missing.clear()
    }
  }

  /** To be called when nothing more can come: what has not come of the `sent` messages of each stream is lost. */
  countLost(sent: (stream: number) => number): void {
    for (const [stream, state] of this.#streams) {
      this.faults.lost += state.missing.size + sent(stream) - state.next
      state.missing.clear()
      state.next = sent(stream)
    }
  }

  #place(stream: Stream, number: number): void {
    if (number === stream.next) stream.next++
    else if (number > stream.next) {
      for (; stream.next < number; stream.next++) stream.missing.add(stream.next)
      stream.next++
    } else if (stream.missing.delete(number)) this.faults.reordered++
    else this.faults.repeated++
  }

  #identify(head: string, stream: number, number: number): void {
    const text = headerOf(head, 'message-id') ?? ''
    this.newest = text
    const id = Number(text.slice(text.lastIndexOf('-') + 1))
    if (!(id > this.#id)) this.faults.reordered++
    this.#id = id
    this.order = (Math.imul(this.order, 31) + Math.imul(id, 0x9e3779b1) + Math.imul(stream, 0x85ebca6b) + number) | 0
  }
}
