import type { Config } from '../config.ts'
import { fail, type HoofbeatError } from '../errors.ts'
import type { Meter } from '../ports/meter.ts'

type Limits = Pick<
  Config,
  | 'CONNECTIONS_PER_USER'
  | 'CONNECTIONS_PER_ADDRESS'
  | 'CONNECTIONS_WAITING'
  | 'ROOMS_PER_MINUTE'
  | 'SENDS_PER_SECOND'
  | 'SIGNALS_PER_SECOND'
>

/** What one user does on this node: `rate` a second on average, a second's worth at once. Shared by its connections. */
export class Rate {
  readonly #rate: number
  #tokens: number
  #filled = Date.now()

  constructor(rate: number) {
    this.#rate = rate
    this.#tokens = rate
  }

  /** Takes one, if there is one. */
  take(): boolean {
    this.#fill()
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** Takes one, on credit if need be. */
  spend(): void {
    this.#fill()
    this.#tokens -= 1
  }

  /** How many ms until there is one again; 0: now. */
  wait(): number {
    this.#fill()
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / this.#rate) * 1000)
  }

  /** How many ms until nothing of what was taken is missing any more. */
  get refill(): number {
    this.#fill()
    return Math.ceil(((this.#rate - this.#tokens) / this.#rate) * 1000)
  }

  #fill(): void {
    const now = Date.now()
    this.#tokens = Math.min(this.#rate, this.#tokens + (Math.max(now - this.#filled, 0) / 1000) * this.#rate)
    this.#filled = now
  }
}

/** What each user does on a node, in so far as it is limited. */
export interface Rates {
  /** Of SENDs into rooms. */
  readonly sends: Rate
  readonly signals: Rate
}

interface User {
  connections: number
  readonly rates: Rates
}

/** What a node allows each user and each address. */
export class Quotas {
  readonly #limits: Limits
  readonly #meter: Meter
  #waiting = 0
  readonly #addresses = new Map<string, number>()
  readonly #users = new Map<string, User>()
  #minute = 0
  readonly #roomsMade = new Map<string, number>()

  constructor(limits: Limits, meter: Meter) {
    this.#limits = limits
    this.#meter = meter
  }

  /** A connection from `address` that has not logged in; throws TOO_MANY_CONNECTIONS and counts nothing then. */
  arrive(address: string): void {
    const connections = this.#addresses.get(address) ?? 0
    if (this.#waiting >= this.#limits.CONNECTIONS_WAITING) throw this.#refuse('waiting', 'waiting to log in')
    if (connections >= this.#limits.CONNECTIONS_PER_ADDRESS) throw this.#refuse('address', 'from this address')
    this.#waiting++
    this.#addresses.set(address, connections + 1)
  }

  /** One that arrived logs in; throws TOO_MANY_CONNECTIONS. Returns the user's rates. */
  login(user: string): Rates {
    const known = this.#users.get(user) ?? this.#newcomer()
    if (known.connections >= this.#limits.CONNECTIONS_PER_USER) throw this.#refuse('user', 'of this user')
    known.connections++
    this.#users.set(user, known)
    this.#waiting--
    return known.rates
  }

  #newcomer(): User {
    const { SENDS_PER_SECOND: sends, SIGNALS_PER_SECOND: signals } = this.#limits
    return { connections: 0, rates: { sends: new Rate(sends), signals: new Rate(signals) } }
  }

  #refuse(reason: string, detail: string): HoofbeatError {
    this.#meter.add('refused', 1, reason)
    return fail('TOO_MANY_CONNECTIONS', detail)
  }

  /** One that arrived has gone; `user` if it had logged in. */
  leave(address: string, user: string | undefined): void {
    const connections = this.#addresses.get(address)! - 1
    if (connections === 0) this.#addresses.delete(address)
    else this.#addresses.set(address, connections)
    if (user === undefined) {
      this.#waiting--
      return
    }
    const known = this.#users.get(user)!
    if (--known.connections > 0) return
    // Whoever comes back at once goes on with the same rate.
    const forget = (): void => {
      if (known.connections === 0 && this.#users.get(user) === known) this.#users.delete(user)
    }
    setTimeout(forget, Math.max(known.rates.sends.refill, known.rates.signals.refill)).unref()
  }

  /** Whether `user` at `address` may make one more room in this minute; counts it if so. */
  mayMakeRoom(user: string, address: string): boolean {
    const minute = Math.floor(Date.now() / 60_000)
    if (minute !== this.#minute) this.#roomsMade.clear()
    this.#minute = minute
    const makers = [`user ${user}`, `address ${address}`]
    const made = (maker: string): number => this.#roomsMade.get(maker) ?? 0
    if (makers.some(maker => made(maker) >= this.#limits.ROOMS_PER_MINUTE)) return false
    for (const maker of makers) this.#roomsMade.set(maker, made(maker) + 1)
    return true
  }
}
