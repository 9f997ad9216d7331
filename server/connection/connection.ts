import { errors, fail, toHoofbeatError, type HoofbeatError } from '../errors.ts'
import type { Connection as FrameConnection, FrameHandler, Login, Outcome, Subscribed } from '../frames/connection.ts'
import { echoed } from '../frames/headers.ts'
import { connected, connecting, left } from '../frames/index.ts'
import { leave } from '../frames/subscribe.ts'
import { Transactions } from '../frames/transactions.ts'
import type { Identity } from '../ports/access.ts'
import type { Logger } from '../ports/logger.ts'
import type { NewRecord, Position, RoomId } from '../ports/room-log.ts'
import { encodeFrame } from '../stomp/encoder.ts'
import { EMPTY, type Frame, type Version } from '../stomp/frame.ts'
import { lay } from '../stomp/framing.ts'
import { Parser } from '../stomp/parser.ts'
import { Deadline } from './deadline.ts'
import { Liveness } from './liveness.ts'
import type { NodeParts } from './node.ts'
import { Outbox } from './outbox.ts'
import type { Rate } from './quotas.ts'
import type { Transport } from './transport.ts'

/** What a frame costs beside its body while it is under way, bytes. */
const FRAME_OVERHEAD = 512
/** So long without being over the rate counts as a break. */
const RATE_BREAK_MS = 1000
/** How long before its end a token's owner is told. */
const EXPIRY_NOTICE_MS = 30_000
/** How long a connection that ends may take to read what was written. */
const CLOSE_MS = 5000

/** After DISCONNECT or ERROR whatever still arrives is dropped. */
const closing: FrameHandler = () => ({})

/** Work that is not done because earlier work was refused. That one tells the client; this one has nothing to say. */
const SKIPPED = new Error('earlier work of this connection was refused')

/** One STOMP connection: bytes in, frames to their handlers, answers and messages out, until it ends. */
export class Connection implements FrameConnection {
  readonly around: NodeParts
  readonly session: string
  readonly framing
  readonly address: string
  readonly outlet: Outbox
  readonly subscriptions = new Map<string, Subscribed>()
  readonly transactions: Transactions
  /** Before it is agreed, answers are written as every version reads them. */
  version: Version = '1.0'
  readonly #transport: Transport
  readonly #parser: Parser
  readonly #liveness: Liveness
  readonly #logger: Logger
  #identity: Identity | undefined
  #rate: Rate | undefined
  #state: FrameHandler = connecting
  /** CONNECT is being checked: later frames are in a version that is not known yet. */
  #authenticating = false
  /** ERROR or DISCONNECT's RECEIPT has been written, and nothing is after it. */
  #over = false
  /** Work that had to be done in order was refused; what follows it must not be done before ERROR says so. */
  #refused = false
  #draining = false
  #gone = false
  #paused = false
  #received = 0
  #notices = 0
  /** When the time to log in began, epoch ms. */
  #started = Date.now()
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #lanes = new Map<RoomId, Promise<unknown>>()
  readonly #expiry = new Deadline()
  readonly #notice = new Deadline()
  readonly #advance = (): void => this.#read()
  /** Over the rate since when without a break, and until when as far as is known, epoch ms. */
  #throttle = { since: 0, until: 0 }
  #throttleTimer: NodeJS.Timeout | undefined

  constructor(transport: Transport, around: NodeParts, session: string) {
    const { config } = around
    this.around = around
    this.session = session
    this.framing = transport.framing
    this.address = transport.address
    this.#transport = transport
    this.#logger = around.logger
    this.#parser = new Parser({
      bodyBytes: config.BODY_BYTES,
      headers: config.HEADERS,
      headerBytes: config.HEADER_BYTES,
    })
    this.transactions = new Transactions({ most: config.TRANSACTIONS, bytes: config.TRANSACTION_BYTES })
    this.outlet = new Outbox({ transport, turn: around.turn, meter: around.meter, highWater: config.OUTBOX_BYTES })
    this.#liveness = new Liveness({ pings: transport.pings, interval: config.HEART_BEAT, grain: around.grain })
  }

  get identity(): Identity {
    return this.#identity!
  }

  /** The user once logged in. */
  get user(): string | undefined {
    return this.#identity?.user
  }

  // ── Bytes in ──

  /** Bytes have arrived, in whatever form: a sign of life, and before CONNECTED there may be only so many. */
  heard(bytes: number): void {
    this.#liveness.heard(Date.now())
    if (this.#identity || this.#over) return
    this.#received += bytes
    if (this.#received > this.around.config.LOGIN_BYTES) this.fail(fail('FRAME_TOO_LARGE', 'before CONNECTED'))
  }

  receive(chunk: Buffer): void {
    if (this.#state === closing) return
    this.#parser.push(chunk)
    this.#read()
  }

  /** The socket has taken all that was written. */
  drained(): void {
    this.outlet.drained()
  }

  #read(): void {
    while (this.#state !== closing && !this.#held()) {
      let frame: Frame | undefined
      try {
        frame = this.#parser.read()
      } catch (error) {
        return this.fail(error as HoofbeatError)
      }
      if (!frame) {
        if (this.#gone) this.#state = closing
        break
      }
      this.around.meter.add('framesIn', 1, frame.command)
      this.#handle(frame)
    }
    this.#setReading()
  }

  /** Whether no frame may be taken now: that is the backpressure, from the log to the client's socket. */
  #held(): boolean {
    if (this.#state === closing) return false
    const { config, intake } = this.around
    if (intake.full) intake.whenRoom(this.#advance)
    if (this.#authenticating || this.#draining) return true
    return this.#underWay.size >= config.UNSETTLED_APPENDS || intake.full || this.#throttled()
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
      if (outcome instanceof Promise) this.#follow(frame, outcome, receipt)
      else this.#done(outcome, receipt)
    } catch (error) {
      this.fail(toHoofbeatError(error), receipt)
    }
  }

  #follow(frame: Frame, outcome: Promise<Outcome>, receipt: string | undefined): void {
    const bytes = FRAME_OVERHEAD + frame.body.length
    this.around.intake.add(bytes)
    if (this.#state === connecting) this.#authenticating = true
    if (frame.command === 'DISCONNECT') this.#state = closing
    const followed = outcome
      .then(
        result => this.#done(result, receipt),
        (error: unknown) => {
          if (error !== SKIPPED) this.fail(toHoofbeatError(error), receipt)
        },
      )
      .finally(() => {
        this.#underWay.delete(followed)
        this.around.intake.remove(bytes)
        this.#authenticating = false
        this.#read()
      })
    this.#underWay.add(followed)
  }

  /** The RECEIPT comes when the frame's work is done: for a SEND, after its append is durable. */
  #done(outcome: Outcome, receipt: string | undefined): void {
    if (this.#over || this.#gone) return
    if (receipt !== undefined) this.#answer('RECEIPT', { 'receipt-id': receipt, ...outcome.headers })
    if (outcome.close) this.#end(1000)
  }

  // ── What handlers use ──

  login({ version, identity, heartBeat }: Login): void {
    if (this.#over || this.#gone) return
    this.#rate = this.around.quotas.login(identity.user)
    this.#identity = identity
    this.version = version
    this.#parser.version = version
    this.#state = connected
    this.#liveness.agree(heartBeat.send, heartBeat.receive)
    this.#answer('CONNECTED', {
      version,
      session: this.session,
      server: this.around.server,
      'heart-beat': heartBeat.header,
      'user-name': identity.user,
    })
    this.#watchExpiry()
    this.#logger.info({ connection: this.session, user: identity.user, version }, 'connected')
  }

  renew(identity: Identity): void {
    if (this.#over || this.#gone) return
    this.#identity = identity
    this.#watchExpiry()
  }

  inOrder<T>(room: RoomId, work: () => Promise<T>): Promise<T> {
    const before = this.#lanes.get(room) ?? Promise.resolve()
    const after = before.then(() => {
      if (this.#over || this.#refused) throw SKIPPED
      return work()
    })
    const lane = after.then(
      () => {},
      () => (this.#refused = true),
    )
    this.#lanes.set(room, lane)
    void lane.then(() => this.#lanes.get(room) === lane && this.#lanes.delete(room))
    return after
  }

  append(room: RoomId, records: readonly NewRecord[]): Promise<Position[]> {
    const { log, meter, rooms } = this.around
    const started = performance.now()
    const appended = log.append(room, records)
    const observe = (): void => meter.observe('append', (performance.now() - started) / 1000)
    appended.then(observe, () => {
      observe()
      // It may be gone: whoever comes next looks again.
      rooms.forget(room)
    })
    return appended
  }

  spend(): void {
    this.#rate!.spend()
  }

  mayMakeRoom(): boolean {
    return this.around.quotas.mayMakeRoom(this.identity.user, this.address)
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay)
  }

  // ── Time ──

  /** The process was held up: what clients sent meanwhile has not been read yet, so no deadline of theirs has run. */
  overslept(now: number): void {
    this.#started = now
    this.#liveness.heard(now)
    this.outlet.progress = now
  }

  /** Called every `grain` ms. */
  tick(now: number): void {
    if (this.#state === closing) return
    const { config } = this.around
    // What CONNECT is checked against answers in its own time, which counts; the log's does not.
    if (this.#paused && !this.#authenticating) this.#started = now
    if (!this.#identity && now - this.#started >= config.LOGIN_TIMEOUT) return this.fail(fail('LOGIN_TIMEOUT'))
    // No deadline of the client's runs while it is the server that does not read, or while a ping would only wait behind
    // what the client has not taken yet.
    if (this.#paused || (this.#transport.pings && this.outlet.size > 0)) this.#liveness.heard(now)
    if (this.outlet.stuckFor(now) >= config.STALL_SECONDS * 1000) {
      this.#logger.warn({ connection: this.session, user: this.user, waiting: this.outlet.size }, 'stalled')
      this.fail(fail('STALLED'))
      return this.#transport.destroy()
    }
    const pulse = this.#liveness.tick(now, this.outlet.lastWrite)
    if (pulse === 'dead') this.fail(fail('HEART_BEAT_LOST'))
    else if (pulse === 'ping') this.#transport.ping()
    else if (pulse === 'beat' && this.outlet.size === 0) this.outlet.answer(lay(this.framing, Buffer.from('\n'), true))
  }

  #watchExpiry(): void {
    const { expires } = this.identity
    this.#expiry.clear()
    this.watchNotice()
    this.outlet.beforeWrite = () => {}
    if (expires === undefined) return
    const expire = (): void => this.fail(fail('TOKEN_EXPIRED'))
    this.#expiry.set(expires, expire)
    // A timer may be late; what would be written after the token's end is not.
    this.outlet.beforeWrite = () => {
      if (Date.now() >= expires) expire()
    }
  }

  watchNotice(): void {
    const { expires } = this.identity
    if (expires === undefined) return this.#notice.clear()
    this.#notice.set(expires - EXPIRY_NOTICE_MS, () => this.tell('token-expiring', { expires: String(expires) }))
  }

  #throttled(): boolean {
    const wait = this.#rate?.wait() ?? 0
    if (wait === 0) return false
    const now = Date.now()
    if (now - this.#throttle.until > RATE_BREAK_MS) this.#throttle.since = now
    this.#throttle.until = now + wait
    if (now - this.#throttle.since >= this.around.ratePatience) {
      this.fail(fail('RATE_LIMITED', undefined, { headers: { 'retry-after-ms': String(wait) } }))
      return false
    }
    clearTimeout(this.#throttleTimer)
    this.#throttleTimer = setTimeout(this.#advance, wait)
    return true
  }

  // ── Out ──

  #answer(command: string, headers: Readonly<Record<string, string>>, body: Buffer = EMPTY): void {
    this.around.meter.add('framesOut', 1, command)
    this.outlet.answer(lay(this.framing, encodeFrame(command, Object.entries(headers), body, this.version), true))
  }

  /** Tells the user's own queue `session`, if this connection subscribed to it. */
  tell(type: string, headers: Readonly<Record<string, string>>): void {
    for (const [id, { destination }] of this.subscriptions) {
      if (destination !== '/user/queue/session') continue
      const messageId = `${this.session}-${++this.#notices}`
      this.#answer('MESSAGE', { subscription: id, destination, 'message-id': messageId, type, ...headers })
    }
  }

  // ── The end ──

  fail(error: HoofbeatError, receipt?: string): void {
    if (this.#over) return
    this.#over = true
    const fields = { connection: this.session, user: this.user, code: error.code, err: error.cause }
    this.#logger[error.code === 'INTERNAL' ? 'error' : 'info'](fields, error.message)
    if (this.#gone) return this.#release()
    this.around.meter.add('errors', 1, error.code)
    this.outlet.dropMessages()
    const { advice } = errors[error.code]
    const headers = {
      code: error.code,
      message: error.message,
      ...(receipt === undefined ? {} : { 'receipt-id': receipt }),
      ...error.headers,
      // Without a charset stompit takes the body for itself, and dies of it.
      'content-type': 'text/plain;charset=utf-8',
    }
    this.#answer('ERROR', headers, Buffer.from(advice))
    this.#end(error.code === 'DRAINING' ? 1012 : error.code === 'INTERNAL' ? 1011 : 1008)
  }

  /** Nothing is taken any more; what was written is flushed, then the transport closes. */
  #end(code: number): void {
    this.#over = true
    this.#release()
    this.outlet.finish(() => this.#transport.close(code))
    this.#expiry.set(Date.now() + CLOSE_MS, () => this.#transport.destroy())
    this.#setReading()
  }

  /** Lets go of everything that would still do something for this connection. */
  #release(): void {
    this.#state = closing
    this.#leave()
    clearTimeout(this.#throttleTimer)
    this.around.intake.forget(this.#advance)
  }

  #leave(): void {
    for (const subscribed of this.subscriptions.values()) leave(subscribed)
    this.subscriptions.clear()
    this.#expiry.clear()
    this.#notice.clear()
  }

  /** The node goes: what is under way is settled, then the client is sent elsewhere. */
  async drain(retryAfterMs: number, settle: Promise<unknown>): Promise<void> {
    const headers = { 'retry-after-ms': retryAfterMs.toFixed(0) }
    this.tell('draining', headers)
    this.#draining = true
    this.#setReading()
    await Promise.race([this.settled(), settle])
    this.fail(fail('DRAINING', undefined, { headers }))
  }

  /** Ends it without waiting for anything more. */
  destroy(): void {
    this.#transport.destroy()
  }

  /** The transport is gone. Frames that came before go on to their end. */
  closed(): void {
    this.#gone = true
    if (this.#state === connected) {
      this.#state = left
      this.#leave()
      this.#read()
    } else this.#release()
    this.#logger.info({ connection: this.session, user: this.user }, 'closed')
  }
}
