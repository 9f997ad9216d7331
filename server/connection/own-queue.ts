import type { Subscribed } from '../frames/connection.ts'
import type { Meter } from '../ports/meter.ts'
import type { UserEvent } from '../ports/signals.ts'
import { encodeFrame } from '../stomp/encoder.ts'
import type { Version } from '../stomp/frame.ts'
import { lay, type Framing } from '../stomp/framing.ts'
import type { Outbox } from './outbox.ts'

/** What the queue uses of its connection. */
interface Owner {
  readonly session: string
  readonly version: Version
  readonly framing: Framing
  readonly outlet: Outbox
  readonly subscriptions: ReadonlyMap<string, Subscribed>
  /** Writes a frame that is never dropped. */
  answer(command: string, headers: Readonly<Record<string, string>>): void
}

/** The user's own queues of one connection, as far as it subscribed to them: what concerns the connection, and the user. */
export class OwnQueue {
  readonly #owner: Owner
  readonly #meter: Meter
  #told = 0

  constructor(owner: Owner, meter: Meter) {
    this.#owner = owner
    this.#meter = meter
  }

  /** Tells the queue `session`. */
  tellSession(type: string, headers: Readonly<Record<string, string>>): void {
    const { subscriptions } = this.#owner
    for (const [subscription, { destination }] of subscriptions) {
      if (destination !== '/user/queue/session') continue
      this.#owner.answer('MESSAGE', { subscription, destination, 'message-id': this.#nextId(), type, ...headers })
    }
  }

  /** Tells the queue `events`; `always`: also where the outlet has had enough. */
  tellEvent(event: UserEvent, always = false): void {
    for (const [key, { destination }] of this.#owner.subscriptions) {
      if (destination === '/user/queue/events') this.deliver(key, event, always)
    }
  }

  /** Hands an event to the subscription known by `key`; where the outlet has had enough not, unless `always`. */
  deliver(key: string, { type, body }: UserEvent, always = false): void {
    const { subscriptions, outlet, version, framing } = this.#owner
    const destination = subscriptions.get(key)?.destination
    if (destination === undefined) return
    if (!outlet.open && !always) return this.#meter.add('signalsDropped', 1, 'slow')
    const headers = Object.entries({
      'subscription': key,
      destination,
      'message-id': this.#nextId(),
      type,
      'content-type': 'application/json',
    })
    outlet.push(lay(framing, encodeFrame('MESSAGE', headers, Buffer.from(JSON.stringify(body)), version), true), 1)
  }

  #nextId(): string {
    return `${this.#owner.session}-${++this.#told}`
  }
}
