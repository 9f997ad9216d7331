import { fail } from '../errors.ts'
import type { Rate } from './quotas.ts'

/** So long without being over the rate counts as a break, ms. */
const BREAK_MS = 1000

/** Holds a connection back while its user is over the rate, and says so only when that has gone on for too long. */
export class Throttle {
  readonly #patience: number
  readonly #resume: () => void
  /** Over the rate since when without a break, and until when as far as is known, epoch ms. */
  #since = 0
  #until = 0
  #timer: NodeJS.Timeout | undefined

  /** `patience`: ms; `resume` is called when reading may go on. */
  constructor(patience: number, resume: () => void) {
    this.#patience = patience
    this.#resume = resume
  }

  /** Whether `rate` asks to wait now. Throws RATE_LIMITED where it has asked for that all through the patience. */
  holds(rate: Rate): boolean {
    const wait = rate.wait()
    if (wait === 0) return false
    const now = Date.now()
    if (now - this.#until > BREAK_MS) this.#since = now
    this.#until = now + wait
    if (now - this.#since >= this.#patience) {
      throw fail('RATE_LIMITED', undefined, { headers: { 'retry-after-ms': String(wait) } })
    }
    this.clear()
    this.#timer = setTimeout(this.#resume, wait)
    return true
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}
