import { isIPv6 } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fail } from '../errors.ts'
import type { Counters } from '../ports/counters.ts'

/** ms */
const WINDOW = 900_000
const HOUR = 3_600_000
/** So many tries of one name from all addresses cost nothing; each one more makes all of them slower, ms. */
const FREE = 20
const STEP = 100
const SLOWEST = 3_000
/** Groups of an IPv6 address that are one subscriber's, of 16 bits each. */
const NETWORK = 4

/** What somebody has of addresses: of IPv6 a whole network. */
export const networkOf = (address: string): string => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped) return mapped[1]!
  if (!isIPv6(address)) return address
  const [head = '', tail] = new URL(`http://[${address.replace(/%.*/, '')}]`).hostname.slice(1, -1).split('::')
  const groups = head === '' ? [] : head.split(':')
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length)
  return [...groups, ...Array.from({ length: missing }, () => '0'), ...(tail ?? '').split(':')]
    .slice(0, NETWORK)
    .join(':')
}

export interface TriesOptions {
  readonly counters: Counters
  /** To sign in with one name from one address, in 15 minutes. */
  readonly logins: number
  /** New accounts from one address, in an hour. */
  readonly signUps: number
  /** Resolves after so many ms. */
  readonly wait?: (ms: number) => Promise<unknown>
}

/**
 * Tries to sign in and up, counted before a password is looked at. From one address a name can be tried so often and no
 * more; from many it is only slower, as otherwise anybody could lock anybody out.
 */
export class Tries {
  readonly #options: TriesOptions
  readonly #wait: (ms: number) => Promise<unknown>

  constructor(options: TriesOptions) {
    this.#options = options
    this.#wait = options.wait ?? (ms => delay(ms))
  }

  /** A try with the name of this key. Rejects with TOO_MANY_LOGINS. */
  async signIn(key: string, address: string): Promise<void> {
    const { counters, logins } = this.#options
    const { count, left } = await counters.add(from(key, address), WINDOW)
    if (count > logins) throw fail('TOO_MANY_LOGINS', undefined, { headers: { 'retry-after-ms': left.toFixed(0) } })
    const { count: all } = await counters.add(`login-name ${key}`, WINDOW)
    if (all > FREE) await this.#wait(Math.min(SLOWEST, (all - FREE) * STEP))
  }

  /** It was the right password. */
  async signedIn(key: string, address: string): Promise<void> {
    await this.#options.counters.clear(from(key, address))
  }

  /** A new account. Rejects with TOO_MANY_REQUESTS. */
  async signUp(address: string): Promise<void> {
    const { counters, signUps } = this.#options
    const { count, left } = await counters.add(`sign-up ${networkOf(address)}`, HOUR)
    if (count > signUps) {
      throw fail('TOO_MANY_REQUESTS', 'new accounts', { headers: { 'retry-after-ms': left.toFixed(0) } })
    }
  }
}

/** A key may be anything that somebody wrote, spaces too: it comes last, and no other counter's begins like this one's. */
const from = (key: string, address: string): string => `login-from ${networkOf(address)} ${key}`
