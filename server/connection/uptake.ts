import type { Config } from '../config.ts'
import type { Transport } from './transport.ts'

/** More than our own pings can be, bytes. */
const BACKLOG = 4096

/**
 * Finds out whether a client that seems to take nothing takes something after all, by what the system still holds for it.
 * That is looked at only where there is doubt, and for all of those connections at the same moments.
 */
export class Uptake {
  readonly #transport: Transport
  readonly #limit: number
  /** What is no more than slow, ms. */
  readonly #patience: number
  /** Between two looks, ms. */
  readonly #interval: number
  #round = 0
  #held: number | undefined
  /** When doubt began, or something was last taken, epoch ms. */
  #since = 0

  constructor(transport: Transport, { STALL_SECONDS, HEART_BEAT }: Pick<Config, 'STALL_SECONDS' | 'HEART_BEAT'>) {
    this.#transport = transport
    this.#limit = STALL_SECONDS * 1000
    this.#patience = this.#limit / 8
    this.#interval = Math.min(this.#patience, HEART_BEAT / 4)
  }

  /** Whether nothing seems to have been taken for so long, ms, that it is worth a look. */
  doubts(stuck: number): boolean {
    return stuck >= this.#patience
  }

  /** Whether a ping may still be waiting behind what the client has to read before it. */
  behind(now: number): boolean {
    return this.#held !== undefined && this.#held >= BACKLOG && now - this.#since < this.#limit
  }

  /** There is no doubt now. */
  clear(): void {
    this.#held = undefined
  }

  /** Calls `moved`, later, where something has gone since the last look. */
  look(now: number, moved: () => void): void {
    const round = Math.floor(now / this.#interval)
    if (round === this.#round) return
    this.#round = round
    void this.#look(now, moved)
  }

  async #look(now: number, moved: () => void): Promise<void> {
    const held = await this.#transport.unacknowledged()
    if (held === undefined) return
    if (this.#held === undefined) this.#since = now
    // It grows by our own pings.
    else if (held < this.#held) {
      this.#since = now
      moved()
    }
    this.#held = held
  }
}
