import type { Config } from '../config.ts'
import { Liveness } from './liveness.ts'
import type { Outbox } from './outbox.ts'
import type { Transport } from './transport.ts'
import { Uptake } from './uptake.ts'

/** What it is time for: an error that the connection ends with, or a sign of life. */
export type Due = 'LOGIN_TIMEOUT' | 'STALLED' | 'HEART_BEAT_LOST' | 'ping' | 'beat'

/** What of a connection decides which of its times run. */
export interface Standing {
  readonly loggedIn: boolean
  /** CONNECT is being checked. */
  readonly authenticating: boolean
  /** It is not read from. */
  readonly paused: boolean
}

export interface TimeoutsOptions {
  readonly transport: Transport
  readonly outlet: Outbox
  readonly config: Pick<Config, 'HEART_BEAT' | 'LOGIN_TIMEOUT' | 'STALL_SECONDS'>
  /** How late `due` may be asked, ms. */
  readonly grain: number
}

/** A connection's times: to log in, to be heard of, to take what waits for it. All in epoch ms. */
export class Timeouts {
  readonly #config: TimeoutsOptions['config']
  readonly #transport: Transport
  readonly #outlet: Outbox
  readonly #liveness: Liveness
  readonly #uptake: Uptake
  /** When the time to log in began. */
  #started = Date.now()
  /** The client has taken something: it is there, also where it has not come to a ping that waits behind that. */
  readonly #moved = (): void => {
    this.#outlet.progress = Date.now()
    if (this.#transport.pings) this.heard(this.#outlet.progress)
  }

  constructor({ transport, outlet, config, grain }: TimeoutsOptions) {
    this.#transport = transport
    this.#outlet = outlet
    this.#config = config
    this.#uptake = new Uptake(transport, config)
    this.#liveness = new Liveness({ pings: transport.pings, interval: config.HEART_BEAT, grain })
  }

  /** The client has been heard of. */
  heard(now: number): void {
    this.#liveness.heard(now)
  }

  /** The heart-beats that CONNECT agreed, ms. */
  agree(send: number, receive: number): void {
    this.#liveness.agree(send, receive)
  }

  /** The process was held up: what clients sent meanwhile has not been read yet, so no time of theirs has run. */
  overslept(now: number): void {
    this.#started = now
    this.#liveness.heard(now)
    this.#outlet.progress = now
  }

  /** Asked every `grain` ms. */
  due(now: number, { loggedIn, authenticating, paused }: Standing): Due | undefined {
    // What CONNECT is checked against answers in its own time, which counts; the log's does not.
    if (paused && !authenticating) this.#started = now
    if (!loggedIn && now - this.#started >= this.#config.LOGIN_TIMEOUT) return 'LOGIN_TIMEOUT'
    // No time of the client's runs while it is the server that does not read, or while a ping would only wait behind
    // what the client has not taken yet.
    if (paused || (this.#transport.pings && this.#outlet.size > 0)) this.#liveness.heard(now)
    const stuck = this.#outlet.stuckFor(now)
    if (this.#uptake.doubts(stuck) || this.#liveness.doubtful(now)) this.#uptake.look(now, this.#moved)
    else this.#uptake.clear()
    if (stuck >= this.#config.STALL_SECONDS * 1000) return 'STALLED'
    const pulse = this.#liveness.tick(now, this.#outlet.lastWrite)
    if (pulse === 'dead') return this.#uptake.behind(now) ? undefined : 'HEART_BEAT_LOST'
    // What waits is a sign of life already.
    if (pulse === 'beat') return this.#outlet.size === 0 ? 'beat' : undefined
    return pulse === 'ping' ? 'ping' : undefined
  }
}
