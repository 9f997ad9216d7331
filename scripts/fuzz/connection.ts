import type { ErrorCode } from '../../server/errors.ts'
import { readClient, type Limits, type SentFrame, type Version } from './client-stream.ts'
import { Sent, type Room } from './room.ts'
import { ExpectedSubscription, type From, type Mode } from './subscription.ts'

export interface ModelLimits extends Limits {
  readonly subscriptions: number
  readonly transactions: number
  readonly transactionBytes: number
  readonly window: number
  readonly lastMax: number
}

/** A RECEIPT that has to come. */
export interface ExpectedReceipt {
  readonly receipt: string
  /** Of a SEND: its message-id goes with it. */
  readonly sent?: Sent
  /** Of a SUBSCRIBE with `after`. */
  readonly subscribed?: { readonly room: Room; readonly after: string }
  /** Of an UNSUBSCRIBE: nothing of this comes later. */
  readonly ended?: ExpectedSubscription
  /** Of DISCONNECT: it is the last. */
  readonly last?: true
}

/** Why the connection ends. */
export type Ending =
  | {
      readonly kind: 'error'
      readonly codes: ReadonlySet<ErrorCode>
      readonly receipt?: string
      readonly exact: boolean
    }
  | { readonly kind: 'disconnect' }

interface Transaction {
  readonly sends: Sent[]
  readonly acks: [ExpectedSubscription, number][]
  bytes: number
}

const MOST_OVERHEAD = 512
const RESERVED = new Set(
  (
    'destination subscription message-id content-length timestamp sender sender-name erased ack id receipt receipt-id ' +
    'transaction idempotency-key recovered first'
  ).split(' '),
)
const ROOM = /^\/topic\/([A-Za-z0-9._\-/:]{1,120})$/

/**
 * What PROTOCOL.md says that has to come of the bytes that one client sends: which RECEIPTs, which messages to which
 * subscriptions, or which ERROR. Where it leaves something open, `unsure` says so and the connection is given up.
 */
export class ExpectedConnection {
  readonly #limits: ModelLimits
  readonly #roomOf: (name: string) => Room
  #version: Version | undefined
  user = ''
  receipts: ExpectedReceipt[] = []
  ending: Ending | undefined
  /** What follows can go either way by the protocol. */
  unsure = false
  readonly subscriptions = new Map<string, ExpectedSubscription>()
  /** Those that were ended and may get something still. */
  endings: ExpectedSubscription[] = []
  /** Rooms in which something was done since `synced`. */
  readonly touched = new Set<Room>()
  queue = new Set<string>()
  readonly transactions = new Map<string, Transaction>()
  frames = 0
  #rest: Buffer = Buffer.alloc(0)
  #doubtful = false

  constructor(limits: ModelLimits, roomOf: (name: string) => Room) {
    this.#limits = limits
    this.#roomOf = roomOf
  }

  get version(): Version {
    return this.#version ?? '1.0'
  }

  get connected(): boolean {
    return this.#version !== undefined
  }

  /** A frame has begun and not come to its end. */
  get midFrame(): boolean {
    return this.#rest.length > 0
  }

  receive(bytes: Buffer): void {
    if (this.ending) return
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    while (!this.ending) {
      const reading = readClient(this.#rest, this.#version, this.#limits)
      if (reading.kind === 'more') {
        this.#doubtful = reading.doubtful
        if (/^[\r\n]*$/.test(this.#rest.toString('latin1')))
          this.#rest = this.#rest.at(-1) === 13 ? Buffer.from('\r') : Buffer.alloc(0)
        break
      }
      this.frames++
      if (reading.kind === 'wrong') {
        const codes = new Set(reading.codes)
        if (!this.connected) codes.add('NOT_CONNECTED')
        this.ending = {
          kind: 'error',
          codes,
          exact: false,
          ...(reading.receipt === undefined ? {} : { receipt: reading.receipt }),
        }
        break
      }
      this.#rest = this.#rest.subarray(reading.size)
      this.#take(reading.frame)
    }
    if (this.ending) this.#rest = Buffer.alloc(0)
  }

  /** Whether what has begun is wrong already, so that the ERROR may come now or later. */
  get doubtful(): boolean {
    return this.#doubtful && this.#rest.length > 0
  }

  /** The client has gone: what has begun is nothing. */
  forgetRest(): void {
    this.#rest = Buffer.alloc(0)
  }

  /** Makes the connection one that has logged in. */
  login(version: Version, user: string): void {
    this.#version = version
    this.user = user
  }

  #take(frame: SentFrame): void {
    const receipt = frame.headers.get('receipt')
    const codes = new Set<ErrorCode>()
    if (!this.connected || frame.command === 'CONNECT' || frame.command === 'STOMP') codes.add('NOT_CONNECTED')
    if (this.version !== '1.2' && receipt?.includes('\r')) codes.add('BAD_HEADER')
    const answer = this.#handle(frame, codes)
    if (codes.size > 0) {
      // Before CONNECTED nobody is promised more than the code.
      const exact = this.connected && !receipt?.includes('\r')
      this.ending = { kind: 'error', codes, exact, ...(receipt === undefined ? {} : { receipt }) }
    } else if (answer === 'disconnect') {
      this.ending = { kind: 'disconnect' }
      if (receipt !== undefined) this.receipts.push({ receipt, last: true })
    } else if (receipt !== undefined) this.receipts.push({ receipt, ...answer })
  }

  /** Does what `frame` asks for; puts what is wrong with it into `codes` and then does nothing. */
  #handle(frame: SentFrame, codes: Set<ErrorCode>): Partial<ExpectedReceipt> | 'disconnect' {
    switch (frame.command) {
      case 'SEND':
        return this.#send(frame, codes)
      case 'SUBSCRIBE':
        return this.#subscribe(frame, codes)
      case 'UNSUBSCRIBE':
        return this.#unsubscribe(frame, codes)
      case 'ACK':
      case 'NACK':
        return this.#ack(frame, codes)
      case 'BEGIN':
      case 'COMMIT':
      case 'ABORT':
        return this.#transaction(frame, codes)
      case 'DISCONNECT':
        return codes.size === 0 ? 'disconnect' : {}
      default:
        return {}
    }
  }

  #send({ headers, body }: SentFrame, codes: Set<ErrorCode>): Partial<ExpectedReceipt> {
    const name = this.#room(headers, codes)
    const key = headers.get('idempotency-key')
    if (key !== undefined && (key === '' || [...key].length > 64)) codes.add('BAD_HEADER')
    const transaction = headers.get('transaction')
    const open = transaction === undefined ? undefined : this.transactions.get(transaction)
    if (transaction !== undefined && !open) codes.add('UNKNOWN_TRANSACTION')
    if (codes.size > 0 || name === undefined) return {}
    // White space around a name of ours does not make it another one.
    const kept = [...headers].filter(([header]) => !RESERVED.has(header.trim()))
    const sent = new Sent(this.#roomOf(name), this.user, kept, body, key)
    if (!open) {
      this.#append([sent])
      return { sent }
    }
    open.sends.push(sent)
    open.bytes += body.length
    this.#weigh(codes)
    return {}
  }

  /** [S-58]: bodies alone are over the limit, or with what else there is of a message they may be. */
  #weigh(codes: Set<ErrorCode>): void {
    let [least, most] = [0, 0]
    for (const { sends, acks, bytes } of this.transactions.values()) {
      least += bytes
      most += bytes + MOST_OVERHEAD * (sends.length + acks.length)
      for (const { headers } of sends) for (const header of headers) most += 2 * header.join('').length
    }
    if (least > this.#limits.transactionBytes) codes.add('FRAME_TOO_LARGE')
    else if (most > this.#limits.transactionBytes) this.unsure = true
  }

  #append(sends: readonly Sent[]): void {
    for (const [room, ofRoom] of Map.groupBy(sends, ({ room }) => room)) {
      this.touched.add(room)
      room.add(this, ofRoom)
      for (const subscription of this.subscriptions.values()) {
        // A repeat of a key may be of long ago.
        const fresh = ofRoom.find(({ key }) => key === undefined)
        if (fresh && subscription.options.room === room) subscription.ownNext ??= fresh
      }
    }
  }

  #room(headers: ReadonlyMap<string, string>, codes: Set<ErrorCode>): string | undefined {
    const destination = headers.get('destination')
    if (destination === undefined) codes.add('MISSING_HEADER')
    else if (!ROOM.test(destination)) codes.add('BAD_DESTINATION')
    else return ROOM.exec(destination)![1]
    return undefined
  }

  #subscribe({ headers }: SentFrame, codes: Set<ErrorCode>): Partial<ExpectedReceipt> {
    const destination = headers.get('destination')
    const queue = destination === '/user/queue/session'
    const name = queue ? undefined : this.#room(headers, codes)
    const id = headers.get('id')
    if (id === undefined && this.version !== '1.0') codes.add('MISSING_HEADER')
    if (this.version !== '1.2' && id?.includes('\r')) codes.add('BAD_HEADER')
    const key = id ?? destination ?? ''
    if (this.subscriptions.has(key) || this.queue.has(key)) codes.add('DUPLICATE_SUBSCRIPTION')
    if (this.subscriptions.size + this.queue.size >= this.#limits.subscriptions) codes.add('TOO_MANY_SUBSCRIPTIONS')
    const mode = headers.get('ack') ?? 'auto'
    if (!/^(auto|client|client-individual)$/.test(mode) || (queue && mode !== 'auto')) codes.add('BAD_HEADER')
    const window = wholeNumber(headers.get('window'), 100_000)
    const last = wholeNumber(headers.get('last'), this.#limits.lastMax)
    const after = headers.get('after')
    if (!queue && (window === 'wrong' || (last === 'wrong' && after === undefined))) codes.add('BAD_HEADER')
    if (codes.size > 0) return {}
    if (queue) {
      this.queue.add(key)
      return {}
    }
    const room = this.#roomOf(name!)
    if (!room.watched) this.unsure = true
    const from: From = after !== undefined ? { after } : typeof last === 'number' ? { last } : { now: true }
    const receipt = headers.has('receipt')
    // Whose messages of this id come next is open where no RECEIPT says that the earlier one has ended.
    const unclear = (earlier: ExpectedSubscription): boolean =>
      !earlier.ended && earlier.options.id === id && !this.receipts.some(({ ended }) => ended === earlier)
    if (this.endings.some(unclear)) this.unsure = true
    const seats = typeof window === 'number' ? window : this.#limits.window
    const options = { id, version: this.version, room, mode: mode as Mode, window: seats, from, receipt }
    this.subscriptions.set(key, new ExpectedSubscription(options))
    this.touched.add(room)
    return after === undefined ? {} : { subscribed: { room, after } }
  }

  #unsubscribe({ headers }: SentFrame, codes: Set<ErrorCode>): Partial<ExpectedReceipt> {
    const id = headers.get('id')
    const destination = headers.get('destination')
    let key = id
    if (id === undefined && this.version === '1.0' && destination !== undefined) {
      // It stands for a subscription's id, and for the subscription; with several of them it is open which.
      const same = [...this.subscriptions].filter(([, { options }]) => options.room.destination === destination)
      const exact = this.subscriptions.has(destination) || this.queue.has(destination)
      if (!exact && same.length > 1) this.unsure = true
      key = exact ? destination : (same[0]?.[0] ?? destination)
    }
    if (key === undefined) codes.add('MISSING_HEADER')
    else if (!this.subscriptions.has(key) && !this.queue.has(key)) codes.add('UNKNOWN_SUBSCRIPTION')
    if (codes.size > 0 || key === undefined) return {}
    const subscription = this.subscriptions.get(key)
    this.subscriptions.delete(key)
    this.queue.delete(key)
    if (!subscription) return {}
    subscription.ending = true
    this.touched.add(subscription.options.room)
    this.endings.push(subscription)
    return { ended: subscription }
  }

  #ack({ headers }: SentFrame, codes: Set<ErrorCode>): Partial<ExpectedReceipt> {
    const transaction = headers.get('transaction')
    const open = transaction === undefined ? undefined : this.transactions.get(transaction)
    if (transaction !== undefined && !open) codes.add('UNKNOWN_TRANSACTION')
    const target = this.#target(headers, codes)
    if (codes.size > 0 || target === undefined) return {}
    if (open) {
      open.acks.push(target)
      this.#weigh(codes)
    } else target[0].acknowledge(target[1])
    return {}
  }

  /** [S-51], [S-54] */
  #target(headers: ReadonlyMap<string, string>, codes: Set<ErrorCode>): [ExpectedSubscription, number] | undefined {
    const needed =
      this.version === '1.2' ? ['id'] : this.version === '1.1' ? ['message-id', 'subscription'] : ['message-id']
    if (needed.some(name => !headers.has(name))) {
      codes.add('MISSING_HEADER')
      return undefined
    }
    const [, message, named] =
      this.version === '1.2'
        ? (/^([^@]*)@([^]*)$/.exec(headers.get('id')!) ?? [])
        : ['', headers.get('message-id')!, headers.get('subscription')]
    const found: [ExpectedSubscription, number][] = []
    for (const [key, subscription] of this.subscriptions) {
      const index = subscription.options.room.indexOf.get(message ?? '')
      const holds = index === undefined ? false : subscription.holds(index)
      const meant = named === undefined ? this.version === '1.0' : key === named
      // An id that is empty and none at all look the same in an ack header.
      if (meant && holds === undefined) this.unsure = true
      if (meant && holds === true) found.push([subscription, index!])
    }
    if (found.length === 0) codes.add('UNKNOWN_ACK')
    if (found.length > 1) this.unsure = true
    return found[0]
  }

  #transaction({ command, headers }: SentFrame, codes: Set<ErrorCode>): Partial<ExpectedReceipt> {
    const name = headers.get('transaction')
    if (name === undefined) {
      codes.add('MISSING_HEADER')
      return {}
    }
    const transaction = this.transactions.get(name)
    if (command === 'BEGIN') {
      if (transaction) codes.add('DUPLICATE_TRANSACTION')
      if (this.transactions.size >= this.#limits.transactions) codes.add('TOO_MANY_TRANSACTIONS')
      if (codes.size === 0) this.transactions.set(name, { sends: [], acks: [], bytes: 0 })
      return {}
    }
    if (!transaction) codes.add('UNKNOWN_TRANSACTION')
    if (codes.size > 0 || !transaction) return {}
    this.transactions.delete(name)
    if (command === 'ABORT') return {}
    for (const [subscription, index] of transaction.acks) {
      if (!subscription.ending) subscription.acknowledge(index)
    }
    this.#append(transaction.sends)
    return {}
  }
}

const wholeNumber = (text: string | undefined, most: number): number | 'wrong' | undefined => {
  if (text === undefined) return undefined
  return /^\d{1,9}$/.test(text) && Number(text) >= 1 && Number(text) <= most ? Number(text) : 'wrong'
}
