import type { Frame } from './frames.ts'
import type { Delivered } from './ledger.ts'
import { placeIn, readBody } from './message.ts'
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
  readonly delivered: Delivered
  readonly #options: SubscriberOptions
  readonly #session: Session
  /** The message-id of the newest message that it has. */
  #last: string | undefined
  #offset = -1
  #token: Token | undefined
  /** A token that had ended before it was tried once more. */
  #ended: Token | undefined
  /** What this connection has not acknowledged yet, the oldest first. */
  #unacknowledged: string[] = []
  #peer: Peer | undefined
  /** Resolves when it is subscribed for the first time. */
  readonly subscribed: Promise<void>
  readonly #subscribed: () => void
  #wanted: { readonly offset: number; readonly reached: () => void } | undefined

  constructor(options: SubscriberOptions) {
    this.#options = options
    this.delivered = { name: options.name, room: options.room, from: 0, list: [] }
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

  /** Where it is: the offset of its newest message; -1: none. */
  get offset(): number {
    return this.#offset
  }

  /** Resolves when it has the message at `offset`, and so all before. */
  async reach(offset: number): Promise<void> {
    if (this.#offset < offset) await new Promise<void>(reached => (this.#wanted = { offset, reached }))
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
    const lasts = this.#last === undefined ? LONG : (lifetime?.() ?? LONG)
    return sign({ sub: name, rooms: { read: [room] } }, Date.now() + lasts)
  }

  #connected(peer: Peer, token: Token): void {
    const { room, ack, sluggish, world, name } = this.#options
    if (token === this.#ended) world.ledger.broke('forbidden', `${name} was let in with a token that had ended`)
    this.#peer = peer
    this.#token = token
    this.#unacknowledged = []
    const resuming = this.#last === undefined ? {} : { after: this.#last }
    const window = ack === 'auto' ? {} : { window: String(WINDOW) }
    const headers = { id: 'sub-0', destination: `/topic/${room}`, ack, receipt: 'subscribed', ...window, ...resuming }
    peer.send('SUBSCRIBE', headers)
    if (this.#last !== undefined) world.tally.add('resumed')
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
      random.integer(200, 3_000),
    )
  }

  #frame(frame: Frame): void {
    if (frame.command === 'MESSAGE') return this.#message(frame)
    if (frame.command !== 'RECEIPT') return
    this.#recovered(frame)
    this.#subscribed()
  }

  /** In a run nothing is ever removed from a room, so there is always a way to go on. */
  #recovered({ headers }: Frame): void {
    const { world, name, room } = this.#options
    if (headers.get('recovered') !== 'false') return
    world.ledger.broke(
      'gap',
      `${name} was told that ${room} after ${this.#offset} cannot be had, only from ${headers.get('first')}`,
    )
  }

  #message(frame: Frame): void {
    const { name, room, world } = this.#options
    const { ledger } = world
    const { epoch, offset } = placeIn(frame)
    const sent = readBody(frame.body)
    ledger.sameLife(room, epoch, `a MESSAGE to ${name}`)
    this.#recovered(frame)
    world.tally.add('delivered')
    if (frame.headers.get('destination') !== `/topic/${room}`) {
      ledger.broke('forbidden', `${name} was given ${frame.headers.get('destination')}, and asked for ${room}`)
    }
    const time = Number(frame.headers.get('timestamp'))
    if (this.#token && time > this.#token.expires) {
      ledger.broke(
        'forbidden',
        `${name} was given ${room} ${offset}, sent ${time - this.#token.expires} ms after its token had ended`,
      )
    }
    if (!sent) return ledger.broke('wrong', `${name} was given ${room} ${offset}, which is nothing that was sent`)
    if (offset === this.#offset) ledger.broke('twice', `${name} was given ${room} ${offset} twice`)
    else if (offset < this.#offset)
      ledger.broke('disorder', `${name} was given ${room} ${offset} after ${this.#offset}`)
    else this.#take(offset, frame, sent)
  }

  #take(offset: number, { headers }: Frame, sent: { sender: number; n: number }): void {
    this.delivered.list.push({ offset, ...sent })
    this.#offset = offset
    this.#last = headers.get('message-id')
    if (this.#options.ack !== 'auto') this.#acknowledge(headers.get('ack') ?? '')
    if (!this.#wanted || offset < this.#wanted.offset) return
    this.#wanted.reached()
    this.#wanted = undefined
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
