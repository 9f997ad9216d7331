import { backOff } from './back-off.ts'
import { Connection, type ConnectionEvents, type ConnectionOptions } from './connection.ts'
import type { Problem } from './message.ts'
import type { Credentials } from './connection.ts'
import type { End, Verdict } from './verdict.ts'

/** What the connection is doing, and what it will do next. Immutable. */
export type ConnectionState =
  | { readonly is: 'idle' }
  /** `attempt`: how many tries have failed since it last worked. */
  | { readonly is: 'connecting'; readonly attempt: number }
  | { readonly is: 'online'; readonly user: string }
  /** The next try is at `until`, epoch ms. */
  | { readonly is: 'waiting'; readonly attempt: number; readonly until: number; readonly problem?: Problem }
  /** It does not try again before `signIn`. */
  | { readonly is: 'refused'; readonly problem: Problem }

export interface LifelineOptions extends ConnectionOptions {
  /**
   * Asked for a token before each connection, where the last one may have ended meanwhile; `refused` is one that the server
   * did not take. While it rejects it is asked again, after a while that grows.
   */
  readonly freshen?: (refused: string | undefined) => Promise<string>
  /** Asked for a new token when the present one is about to expire; undefined: let it expire. */
  readonly renew?: () => Promise<string | undefined>
}

export interface LifelineEvents extends Omit<ConnectionEvents, 'connected' | 'notice' | 'ended'> {
  /** It is online: `state` says as whom. */
  connected(connection: Connection): void
  /** The connection is over: decides what comes next. */
  ended(end: End): Verdict
  changed(): void
}

/** What a new token may help against. */
const RENEWABLE = new Set(['BAD_CREDENTIALS', 'TOKEN_EXPIRED', 'SESSION_ENDED'])

/** A connection that has lasted this long, ms, was a good one: after it, the back-off begins anew. */
const GOOD_AFTER = 10_000

/** Keeps one connection open at a time: opens the next when one ends, after a while that grows; moves when told to. */
export class Lifeline {
  readonly #options: LifelineOptions
  readonly #events: LifelineEvents
  #credentials: Credentials
  #state: ConnectionState = { is: 'idle' }
  #connection: Connection | undefined
  #attempt = 0
  /** Counts what was begun, so that what comes too late is known by its number. */
  #turn = 0
  #refused: string | undefined
  #since = 0
  #next: ReturnType<typeof setTimeout> | undefined
  #moving = false

  constructor(options: LifelineOptions, events: LifelineEvents) {
    this.#options = options
    this.#credentials = options.credentials
    this.#events = events
  }

  get state(): ConnectionState {
    return this.#state
  }

  get credentials(): Credentials {
    return this.#credentials
  }

  /** The one that frames can be written to now. */
  get connection(): Connection | undefined {
    return this.#connection?.writable && !this.#moving ? this.#connection : undefined
  }

  start(): void {
    if (this.#state.is !== 'idle') return
    globalThis.addEventListener?.('online', this.retryNow)
    this.#connect()
  }

  stop(): void {
    globalThis.removeEventListener?.('online', this.retryNow)
    this.#drop()
    this.#enter({ is: 'idle' })
  }

  signIn(credentials: Credentials): void {
    this.#credentials = credentials
    this.#attempt = 0
    if (this.#state.is === 'idle') return
    this.#drop()
    this.#connect()
  }

  /** Does not wait any longer for the next try. */
  readonly retryNow = (): void => {
    if (this.#state.is === 'waiting') this.#connect()
  }

  /** The server took the token that `renew` brought. */
  renewed(token: string): void {
    this.#credentials = { token }
  }

  #connect(): void {
    clearTimeout(this.#next)
    this.#moving = false
    this.#enter({ is: 'connecting', attempt: this.#attempt })
    if (this.#options.freshen) void this.#freshen(this.#options.freshen)
    else this.#open()
  }

  async #freshen(freshen: NonNullable<LifelineOptions['freshen']>): Promise<void> {
    const turn = ++this.#turn
    try {
      const token = await freshen(this.#refused)
      if (turn !== this.#turn) return
      this.#credentials = { token }
      this.#refused = undefined
      this.#open()
    } catch {
      if (turn === this.#turn) this.#wait(backOff(this.#attempt), undefined)
    }
  }

  #open(): void {
    const mine = (): boolean => this.#connection === connection
    const connection: Connection = new Connection(
      { ...this.#options, credentials: this.#credentials },
      {
        connected: user => mine() && this.#connected(connection, user),
        message: (room, message, headers) => mine() && this.#events.message(room, message, headers),
        receipt: (cause, headers) => mine() && this.#events.receipt(cause, headers),
        signal: (room, signal) => mine() && this.#events.signal(room, signal),
        event: (type, body) => mine() && this.#events.event(type, body),
        notice: headers => mine() && this.#notice(connection, headers),
        ended: end => mine() && this.#ended(end),
      },
    )
    this.#connection = connection
  }

  #connected(connection: Connection, user: string): void {
    this.#since = Date.now()
    this.#enter({ is: 'online', user })
    this.#events.connected(connection)
  }

  #ended(end: End): void {
    this.#connection = undefined
    clearTimeout(this.#next)
    const verdict = this.#events.ended(end)
    if (verdict.then === 'stop' && !this.#helps(end)) {
      this.#enter({ is: 'refused', problem: end.problem ?? NO_ANSWER })
      return
    }
    // What failed is left out next time, and a node that is going asked us to leave: neither is a failed try.
    if ((verdict.then !== 'again' && verdict.then !== 'stop') || this.#moving) {
      this.#connect()
      return
    }
    if (end.connected && Date.now() - this.#since >= GOOD_AFTER) this.#attempt = 0
    const afterMs = verdict.then === 'again' ? verdict.afterMs : undefined
    this.#wait(afterMs ?? backOff(this.#attempt), end.problem)
  }

  /** Whether a new token may help, and can be had. */
  #helps({ problem }: End): boolean {
    if (!this.#options.freshen || !problem || !RENEWABLE.has(problem.code)) return false
    if ('token' in this.#credentials) this.#refused = this.#credentials.token
    return true
  }

  #wait(ms: number, problem: Problem | undefined): void {
    const attempt = this.#attempt++
    this.#next = setTimeout(() => this.#connect(), ms)
    this.#enter({ is: 'waiting', attempt, until: Date.now() + ms, ...(problem ? { problem } : {}) })
  }

  #notice(connection: Connection, headers: Readonly<Record<string, string>>): void {
    if (headers['type'] === 'draining') this.#move(connection, Number(headers['retry-after-ms']) || 0)
    if (headers['type'] === 'token-expiring') void this.#renew(connection)
  }

  /** The node is going: leaves it after `ms`, when another one takes us, and after our sends are answered. */
  #move(connection: Connection, ms: number): void {
    clearTimeout(this.#next)
    this.#next = setTimeout(() => {
      if (this.#connection !== connection) return
      this.#moving = true
      this.#enter({ is: 'connecting', attempt: 0 })
      connection.close()
    }, ms)
  }

  async #renew(connection: Connection): Promise<void> {
    // Whoever cannot get a new token lets the old one expire, and is asked then.
    const token = await this.#options.renew?.().catch(() => undefined)
    if (token === undefined) return
    if (this.#connection === connection && connection.writable) connection.renew(token)
    else this.signIn({ token })
  }

  #drop(): void {
    clearTimeout(this.#next)
    this.#turn++
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
  }

  #enter(state: ConnectionState): void {
    this.#state = state
    this.#events.changed()
  }
}

const NO_ANSWER: Problem = { code: 'ERROR', message: 'the server ended the connection', advice: '' }
