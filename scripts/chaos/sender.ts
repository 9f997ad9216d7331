import type { Frame } from './frames.ts'
import { ATTEMPT, bodyOf, placeIn } from './message.ts'
import type { Place } from './message.ts'
import type { Peer } from './peer.ts'
import { Session, sign } from './session.ts'
import type { World } from './session.ts'

/**
 * `keyed`: with receipts and idempotency keys, repeated on any node until a RECEIPT has come.
 * `receipted`: with receipts; what is not acknowledged when the connection ends is given up.
 * `bare`: neither.
 */
export type SenderKind = 'keyed' | 'receipted' | 'bare'
export interface SenderOptions {
  readonly world: World
  readonly name: string
  readonly kind: SenderKind
  readonly room: string
  /** How many may wait for their receipts at a time. */
  readonly atOnce: number
  /** ms between two messages, once it has begun. */
  readonly every: number
}
interface Waiting {
  readonly said: (place: Place) => void
  since: number
}

const NEVER = 8_640_000_000_000_000

export class Sender {
  readonly name: string
  readonly #options: SenderOptions
  readonly #index: number
  readonly #session: Session
  #timer: NodeJS.Timeout | undefined
  /** What waits for its receipt, the oldest first. */
  readonly #open = new Map<number, Waiting>()
  #n = 0
  #attempt = 0
  /** How long it waits for a receipt on this connection, ms. */
  #patience = 0
  #idle: (() => void) | undefined

  constructor(options: SenderOptions) {
    const { world, name, room } = options
    this.#options = options
    this.name = name
    this.#index = world.ledger.enter({ name, barred: false })
    this.#session = new Session(world, {
      token: () => sign({ sub: name, rooms: { send: [room] } }, NEVER),
      connected: peer => this.#connected(peer),
      frame: frame => this.#frame(frame),
      lost: () => this.#lost(),
    })
  }

  begin(): void {
    const { world, every } = this.#options
    this.#timer = setInterval(() => this.#tick(), every * (0.5 + world.random.next()))
  }

  /** Sends the next message; resolves when it is acknowledged, and not at all where it is given up. */
  say(): Promise<Place> {
    return new Promise(said => this.#add(said))
  }

  /** Ends the connection: in the middle of a frame, where it has one. */
  tear(share: number): void {
    const { room } = this.#options
    const body = bodyOf({ sender: this.#index, n: this.#n + 1 })
    this.#session.peer?.sendTorn(
      'SEND',
      { 'destination': `/topic/${room}`, 'content-length': String(body.length) },
      body,
      share,
    )
  }

  /** Sends nothing new, and resolves when nothing waits for a receipt any more. */
  async finish(): Promise<void> {
    clearInterval(this.#timer)
    if (this.#open.size > 0) await new Promise<void>(resolve => (this.#idle = resolve))
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#session.stop()
  }

  #tick(): void {
    const { atOnce } = this.#options
    const { peer } = this.#session
    if (!peer) return
    const [oldest] = this.#open.values()
    // A node that hangs says nothing: somewhere else somebody may answer, and sooner than this one does.
    if (oldest && performance.now() - oldest.since > this.#patience) return peer.cut()
    if (this.#open.size < atOnce) this.#add(() => undefined)
  }

  #add(said: (place: Place) => void): void {
    const n = ++this.#n
    if (this.#options.kind !== 'bare') this.#open.set(n, { said, since: performance.now() })
    this.#options.world.tally.add('sent')
    if (this.#session.peer) this.#put(this.#session.peer, n)
  }

  #put(peer: Peer, n: number): void {
    const { room, kind } = this.#options
    const headers = { destination: `/topic/${room}`, [ATTEMPT]: String(this.#attempt) }
    const receipt = kind === 'bare' ? {} : { receipt: String(n) }
    const key = kind === 'keyed' ? { 'idempotency-key': `${this.#index}-${n}` } : {}
    peer.send('SEND', { ...headers, ...receipt, ...key }, bodyOf({ sender: this.#index, n }))
  }

  #connected(peer: Peer): void {
    this.#attempt++
    this.#patience = this.#options.world.random.integer(3_000, 12_000)
    for (const [n, waiting] of this.#open) {
      waiting.since = performance.now()
      this.#options.world.tally.add('repeated')
      this.#put(peer, n)
    }
  }

  #frame(frame: Frame): void {
    if (frame.command !== 'RECEIPT') return
    const n = Number(frame.headers.get('receipt-id'))
    const waiting = this.#open.get(n)
    if (!waiting)
      return this.#options.world.ledger.broke('wrong', `${this.name} got a RECEIPT that it did not ask for: ${n}`)
    const place = placeIn(frame.headers)
    this.#options.world.ledger.acknowledged(this.#options.room, place, {
      sender: this.#index,
      n,
      attempt: this.#attempt,
    })
    this.#settle(n)
    waiting.said(place)
  }

  #lost(): void {
    if (this.#options.kind === 'keyed') return
    for (const n of this.#open.keys()) this.#settle(n)
  }

  #settle(n: number): void {
    this.#open.delete(n)
    if (this.#open.size === 0) this.#idle?.()
  }
}
