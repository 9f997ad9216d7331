import { fail, type HoofbeatError, toHoofbeatError } from '../errors.ts'
import { parseDestination } from '../fanout/destination.ts'
import type { Connection as FrameConnection, FrameHandler, Login, Outcome, Subscribed } from '../frames/connection.ts'
import { echoed } from '../frames/headers.ts'
import { connected, connecting, left } from '../frames/index.ts'
import { leave } from '../frames/leave.ts'
import { Transactions } from '../frames/transactions.ts'
import type { Identity } from '../ports/access.ts'
import type { Logger } from '../ports/logger.ts'
import type { RoomId } from '../ports/room-log.ts'
import { encodeFrame, encodeHeader } from '../stomp/encoder.ts'
import { EMPTY, type Frame, type Version } from '../stomp/frame.ts'
import { lay } from '../stomp/framing.ts'
import { Parser } from '../stomp/parser.ts'
import { closeCode, errorFrame } from './answers.ts'
import { Deadline } from './deadline.ts'
import { Expiry } from './expiry.ts'
import { SKIPPED } from './lanes.ts'
import type { NodeParts } from './node.ts'
import { Outbox } from './outbox.ts'
import { OwnQueue } from './own-queue.ts'
import type { Rates } from './quotas.ts'
import { Throttle } from './throttle.ts'
import { Timeouts } from './timeouts.ts'
import type { Transport } from './transport.ts'
import { UnderWay } from './under-way.ts'

/** How long a connection that ends may take to read what was written. */
const CLOSE_MS = 5000

/** After DISCONNECT or ERROR whatever still arrives is dropped. */
const closing: FrameHandler = () => ({})

/** One STOMP connection: bytes in, frames to their handlers, answers and messages out, until it ends. */
export class Connection implements FrameConnection {
  readonly around: NodeParts
  readonly session: string
  readonly framing
  readonly address: string
  readonly outlet: Outbox
  readonly subscriptions = new Map<string, Subscribed>()
  readonly transactions: Transactions
  readonly own: OwnQueue
  /** Before it is agreed, answers are written as every version reads them. */
  version: Version = '1.0'
  readonly #transport: Transport
  readonly #parser: Parser
  readonly #timeouts: Timeouts
  readonly #logger: Logger
  #identity: Identity | undefined
  #rates: Rates | undefined
  #state: FrameHandler = connecting
  /** CONNECT is being checked: later frames are in a version that is not known yet. */
  #authenticating = false
  /** ERROR or DISCONNECT's RECEIPT has been written, and nothing is after it. */
  #over = false
  #draining = false
  /** Nothing more will be received. */
  #silent = false
  #gone = false
  #paused = false
  /** `#isDeaf` is told when that is over. */
  #answersWait = false
  #received = 0
  readonly #underWay: UnderWay
  readonly #advance = (): void => this.#read()
  readonly #throttle: Throttle
  readonly #expiry = new Expiry(
    expires => this.own.tellSession('token-expiring', { expires: String(expires) }),
    () => this.fail(fail('TOKEN_EXPIRED')),
  )
  readonly #closing = new Deadline()

  constructor(transport: Transport, around: NodeParts, session: string) {
    const { config } = around
    this.around = around
    this.session = session
    this.framing = transport.framing
    this.address = transport.address
    this.#transport = transport
    this.#logger = around.logger
    this.#underWay = new UnderWay(around.intake)
    this.#parser = new Parser({
      bodyBytes: config.BODY_BYTES,
      headers: config.HEADERS,
      headerBytes: config.HEADER_BYTES,
    })
    this.transactions = new Transactions({ most: config.TRANSACTIONS, bytes: config.TRANSACTION_BYTES })
    this.outlet = new Outbox({ transport, turn: around.turn, meter: around.meter, highWater: config.OUTBOX_BYTES })
    this.outlet.beforeWrite = () => this.#expiry.check()
    this.#throttle = new Throttle(around.ratePatience, this.#advance)
    this.#timeouts = new Timeouts({ transport, outlet: this.outlet, config, grain: around.grain })
    this.own = new OwnQueue(this, around.meter)
  }

  get identity(): Identity {
    return this.#identity!
  }

  /** The session by which it was signed in, once it is. */
  get signedInBy(): string | undefined {
    return this.#identity?.session
  }

  /** The user once logged in. */
  get user(): string | undefined {
    return this.#identity?.user
  }

  // ── Bytes in ──

  /** Bytes have arrived, in whatever form: a sign of life, and before CONNECTED there may be only so many. */
  heard(bytes: number): void {
    this.#timeouts.heard(Date.now())
    if (this.#identity || this.#over) return
    this.#received += bytes
    if (this.#received > this.around.config.LOGIN_BYTES) this.fail(fail('FRAME_TOO_LARGE', 'before CONNECTED'))
  }

  receive(chunk: Buffer): void {
    if (this.#state === closing) return
    this.#parser.push(chunk)
    this.#read()
  }

  /** The client will send nothing more, and may still read: it gets the RECEIPTs it asked for, then the connection ends. */
  heardLast(): void {
    this.#silent = true
    this.#read()
  }

  /** The socket has taken all that was written. */
  drained(): void {
    this.outlet.drained()
  }

  #read(): void {
    try {
      while (this.#state !== closing && !this.#held()) {
        const frame = this.#parser.read()
        if (!frame) {
          if (this.#gone) this.#state = closing
          else if (this.#silent) void this.#endAnswered()
          break
        }
        this.around.meter.add('framesIn', 1, frame.command)
        this.#handle(frame)
      }
      this.#setReading()
    } catch (error) {
      this.fail(toHoofbeatError(error))
    }
  }

  /** Whether no frame may be taken now: that is the backpressure, from the log to the client's socket. */
  #held(): boolean {
    if (this.#state === closing) return false
    if (this.#authenticating || this.#draining) return true
    const { config, intake, logins } = this.around
    if (this.#state === connecting && logins.full) {
      logins.whenRoom(this.#advance)
      return true
    }
    if (intake.full) intake.whenRoom(this.#advance)
    if (this.#underWay.count >= config.UNSETTLED_APPENDS || intake.full || this.#isDeaf()) return true
    return this.#rates !== undefined && this.#throttle.holds(this.#rates.sends)
  }

  /** Whether the client asks and asks, and does not read the answers. */
  #isDeaf(): boolean {
    if (this.#gone || !this.outlet.crowded) return false
    if (!this.#answersWait) {
      this.#answersWait = true
      this.outlet.whenOpen(() => {
        this.#answersWait = false
        this.#read()
      })
    }
    return true
  }

  #setReading(): void {
    if (this.#gone) return
    const held = this.#held()
    if (held === this.#paused) return
    this.#paused = held
    if (held) this.#transport.pause()
    else this.#transport.resume()
  }

  #handle(frame: Frame): void {
    let receipt: string | undefined
    try {
      if (this.#state !== connecting) receipt = echoed(frame, 'receipt', this.version)
      const outcome = this.#state(this, frame)
      if (outcome instanceof Promise) void this.#follow(frame, outcome, receipt)
      else this.#done(outcome, receipt)
    } catch (error) {
      this.fail(toHoofbeatError(error), receipt)
    }
  }

  async #follow(frame: Frame, outcome: Promise<Outcome>, receipt: string | undefined): Promise<void> {
    const bytes = this.#underWay.begin(frame, outcome, receipt)
    if (this.#state === connecting) this.#authenticating = true
    if (frame.command === 'DISCONNECT') this.#state = closing
    try {
      this.#done(await outcome, receipt)
    } catch (error) {
      if (error !== SKIPPED) this.fail(toHoofbeatError(error), receipt)
    } finally {
      this.#underWay.end(outcome, bytes)
      this.#authenticating = false
      if (this.#paused || this.#gone) this.#read()
    }
  }

  /** The RECEIPT comes when the frame's work is done: for a SEND, after its append is durable. */
  #done(outcome: Outcome, receipt: string | undefined): void {
    if (this.#over || this.#gone) return
    if (receipt !== undefined) this.answer('RECEIPT', { 'receipt-id': receipt, ...outcome.headers })
    if (outcome.close) this.#end(1000)
  }

  // ── What handlers use ──

  login({ version, identity, heartBeat }: Login): void {
    const { access, quotas } = this.around
    if (this.#over || this.#gone) return access.left?.(identity)
    try {
      this.#rates = quotas.login(identity.user)
    } catch (error) {
      access.left?.(identity)
      throw error
    }
    this.#identity = identity
    this.version = version
    this.#parser.version = version
    this.#state = connected
    this.#timeouts.agree(heartBeat.send, heartBeat.receive)
    this.answer('CONNECTED', {
      version,
      session: this.session,
      server: this.around.server,
      'heart-beat': heartBeat.header,
      'user-name': identity.user,
    })
    this.#expiry.set(identity.expires)
    this.around.attendance?.arrived(this.session, identity, { address: this.address, rooms: () => this.#rooms() })
    this.#logger.debug({ connection: this.session, user: identity.user, version }, 'connected')
  }

  renew(identity: Identity): void {
    if (this.#over || this.#gone) return
    this.#identity = identity
    this.#expiry.set(identity.expires)
  }

  inOrder<T>(room: RoomId, work: () => T | Promise<T>): T | Promise<T> {
    return this.#underWay.inOrder(room, work)
  }

  spend(): void {
    this.#rates!.sends.spend()
  }

  maySignal(): boolean {
    return this.#rates!.signals.take()
  }

  mayMakeRoom(): boolean {
    return this.around.quotas.mayMakeRoom(this.identity.user, this.address)
  }

  settled(): Promise<void> {
    return this.#underWay.settled()
  }

  // ── Time ──

  /** The process was held up, until `now`. */
  overslept(now: number): void {
    this.#timeouts.overslept(now)
  }

  /** Called every `grain` ms. */
  tick(now: number): void {
    if (this.#state === closing) return
    const standing = {
      loggedIn: this.#identity !== undefined,
      authenticating: this.#authenticating,
      paused: this.#paused,
    }
    const due = this.#timeouts.due(now, standing)
    if (due === undefined) return
    if (due === 'ping') return this.#transport.ping()
    if (due === 'beat') return this.outlet.answer(lay(this.framing, Buffer.from('\n'), true))
    if (due === 'STALLED') {
      this.#logger.warn({ connection: this.session, user: this.user, waiting: this.outlet.size }, 'stalled')
    }
    this.fail(fail(due))
    if (due === 'STALLED') this.#transport.destroy()
  }

  watchNotice(): void {
    this.#expiry.remind()
  }

  // ── Out ──

  /** Writes a frame that is never dropped. */
  answer(command: string, headers: Readonly<Record<string, string>>, body: Buffer = EMPTY): void {
    this.around.meter.add('framesOut', 1, command)
    this.outlet.answer(lay(this.framing, encodeFrame(command, Object.entries(headers), body, this.version), true))
  }

  drop(destination: string): void {
    this.outlet.dropLine(encodeHeader('destination', destination, this.version))
  }

  /** The rooms that it is subscribed to. */
  *#rooms(): Generator<RoomId> {
    for (const { destination } of this.subscriptions.values()) {
      const place = parseDestination(destination)
      if (place.kind === 'room') yield place.room
    }
  }

  // ── The end ──

  fail(error: HoofbeatError, receipt?: string): void {
    if (this.#over) return
    this.#over = true
    this.#underWay.refuse()
    if (error.code === 'SESSION_ENDED') this.around.attendance?.left(this.session, true)
    const fields = { connection: this.session, user: this.user, code: error.code, err: error.cause }
    this.#logger[error.code === 'INTERNAL' ? 'error' : 'info'](fields, error.message)
    if (this.#gone) return this.#release()
    this.around.meter.add('errors', 1, error.code)
    this.outlet.dropMessages()
    const { headers, body } = errorFrame(error, receipt)
    this.answer('ERROR', headers, body)
    this.#end(closeCode(error))
  }

  /** Ends it when the RECEIPTs that it asked for have been written. */
  async #endAnswered(): Promise<void> {
    this.#state = closing
    await this.#underWay.answered()
    if (!this.#over && !this.#gone) this.#end(1000)
  }

  /** Nothing is taken any more; what was written is flushed, then the transport closes. */
  #end(code: number): void {
    this.#over = true
    this.#release()
    this.outlet.finish(() => this.#transport.close(code))
    this.#closing.set(Date.now() + CLOSE_MS, () => this.#transport.destroy())
    this.#setReading()
  }

  /** Lets go of everything that would still do something for this connection. */
  #release(): void {
    this.#state = closing
    this.#leave()
    this.#throttle.clear()
    this.around.intake.forget(this.#advance)
    this.around.logins.forget(this.#advance)
  }

  #leave(): void {
    for (const subscribed of this.subscriptions.values()) leave(subscribed)
    this.subscriptions.clear()
    this.#expiry.clear()
  }

  /** The node goes: what is under way is settled, then the client is sent elsewhere. */
  async drain(retryAfter: Record<string, string>, settle: Promise<unknown>): Promise<void> {
    this.own.tellSession('draining', retryAfter)
    this.#draining = true
    this.#setReading()
    await Promise.race([this.settled(), settle])
    this.fail(fail('DRAINING', undefined, { headers: retryAfter }))
  }

  /** Ends it without waiting for anything more. */
  destroy(): void {
    this.#transport.destroy()
  }

  /** The transport is gone. Frames that came before go on to their end. */
  closed(): void {
    this.#gone = true
    this.#closing.clear()
    if (this.#state === connected) {
      this.#state = left
      this.#leave()
      this.#read()
    } else this.#release()
    if (this.#identity) {
      this.around.access.left?.(this.#identity)
      this.around.attendance?.left(this.session, false)
    }
    this.#logger.debug({ connection: this.session, user: this.user }, 'closed')
  }
}
