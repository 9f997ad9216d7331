import type { Frame } from './frames.ts'
import { Inbox } from './inbox.ts'
import type { Peer } from './peer.ts'
import { Session, sign } from './session.ts'
import type { Token, World } from './session.ts'

/** `client` acknowledges every few messages for all before, `client-individual` each by itself. */
type AckMode = 'auto' | 'client' | 'client-individual'
export interface SubscriberOptions {
  readonly world: World
  readonly name: string
  readonly room: string
  readonly ack: AckMode
  /** Stops reading for a while now and then. */
  readonly sluggish: boolean
  /** How long its tokens last, ms. Absent: longer than the run. */
  readonly lifetime?: () => number
}

const WINDOW = 20
const LONG = 86_400_000

/** A client that comes back with `after` to any node, whenever and for whatever reason its connection ends. */
export class Subscriber {
  readonly inbox: Inbox
  readonly #options: SubscriberOptions
  readonly #session: Session
  #token: Token | undefined
  /** A token that had ended before it was tried once more. */
  #ended: Token | undefined
  /** What this connection has not acknowledged yet, the oldest first. */
  #unacknowledged: string[] = []
  #peer: Peer | undefined
  /** Resolves when it is subscribed for the first time. */
  readonly subscribed: Promise<void>
  readonly #subscribed: () => void

  constructor(options: SubscriberOptions) {
    this.#options = options
    this.inbox = new Inbox(options.world, options.name, options.room)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.subscribed = promise
    this.#subscribed = resolve
    this.#session = new Session(options.world, {
      token: () => this.#nextToken(),
      connected: (peer, token) => this.#connected(peer, token),
      frame: frame => this.#frame(frame),
      lost: () => void (this.#peer = undefined),
    })
  }

  /** Ends the connection somewhere in what comes next. */
  cutAfter(bytes: number): void {
    this.#peer?.cutAfter(bytes)
  }

  async stop(): Promise<void> {
    await this.#session.stop()
  }

  /** Now and then a token that has ended is tried once more: it must be refused. */
  async #nextToken(): Promise<Token> {
    const { name, room, lifetime, world } = this.#options
    if (lifetime && this.#token && this.#token.expires < Date.now() && world.random.chance(0.5)) {
      this.#ended = this.#token
      this.#token = undefined
      return this.#ended
    }
    // Before it has anything it could not come back to where it was.
    const lasts = this.inbox.last === undefined ? LONG : (lifetime?.() ?? LONG)
    return sign({ sub: name, rooms: { read: [room] } }, Date.now() + lasts)
  }

  #connected(peer: Peer, token: Token): void {
    const { room, ack, sluggish, world, name } = this.#options
    if (token === this.#ended) world.ledger.broke('forbidden', `${name} was let in with a token that had ended`)
    this.#peer = peer
    this.#token = token
    this.inbox.expires = token.expires
    this.#unacknowledged = []
    const resuming = this.inbox.last === undefined ? {} : { after: this.inbox.last }
    const window = ack === 'auto' ? {} : { window: String(WINDOW) }
    const headers = { id: 'sub-0', destination: `/topic/${room}`, ack, receipt: 'subscribed', ...window, ...resuming }
    peer.send('SUBSCRIBE', headers)
    if (this.inbox.last !== undefined) world.tally.add('resumed')
    if (sluggish) this.#doze(peer)
  }

  #doze(peer: Peer): void {
    const { random } = this.#options.world
    if (peer !== this.#peer) return
    peer.pause(true)
    setTimeout(
      () => {
        peer.pause(false)
        setTimeout(() => this.#doze(peer), random.integer(1_000, 10_000))
      },
      random.integer(100, 1_000),
    )
  }

  #frame({ command, headers, body }: Frame): void {
    if (command === 'MESSAGE') {
      this.inbox.receive(headers, body)
      if (this.#options.ack !== 'auto') this.#acknowledge(headers.get('ack') ?? '')
    } else if (command === 'RECEIPT') {
      this.inbox.recovered(headers)
      this.#subscribed()
    }
  }

  #acknowledge(id: string): void {
    const { name, ack, world } = this.#options
    this.#unacknowledged.push(id)
    const { length } = this.#unacknowledged
    if (length > WINDOW)
      world.ledger.broke('window', `${name} was given ${length} messages that it has not acknowledged`)
    if (ack === 'client' && length < world.random.integer(1, WINDOW)) return
    this.#peer?.send('ACK', { id })
    this.#unacknowledged = []
  }
}
