import { HoofbeatError } from '../errors.ts'
import type { Logger } from '../ports/logger.ts'

/** Does a thing again and again, one at a time: every so often, and at once when hinted at. */
export class Pace {
  readonly #running: Promise<void>
  #closed = false
  #hinted = false
  #wake: (() => void) | undefined

  readonly #logger: Logger

  /** Where `work` rejects it is tried again at the next time. */
  constructor(every: number, logger: Logger, work: () => Promise<void>) {
    this.#logger = logger
    this.#running = this.#run(every, work)
  }

  hint(): void {
    this.#hinted = true
    this.#wake?.()
  }

  /** Resolves when what is under way has ended; nothing is begun any more. */
  close(): Promise<void> {
    this.#closed = true
    this.#wake?.()
    return this.#running
  }

  async #run(every: number, work: () => Promise<void>): Promise<void> {
    while (!this.#closed) {
      this.#hinted = false
      await work().catch((error: unknown) => this.#failed(error))
      if (!this.#hinted && !this.#closed) await this.#pause(every)
    }
  }

  #failed(error: unknown): void {
    // That the database is away is logged where that is found out.
    if (error instanceof HoofbeatError && error.code === 'DATABASE_UNAVAILABLE') return
    this.#logger.error({ err: error }, 'a mistake in what is done again and again')
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** Logs what goes wrong once, and that it is over. */
export class Trouble {
  readonly #logger: Logger
  readonly #bad: string
  readonly #good: string
  #there = false

  constructor(logger: Logger, bad: string, good: string) {
    this.#logger = logger
    this.#bad = bad
    this.#good = good
  }

  began(error: unknown): void {
    if (!this.#there) this.#logger.warn({ err: error }, this.#bad)
    this.#there = true
  }

  over(): void {
    if (this.#there) this.#logger.info({}, this.#good)
    this.#there = false
  }
}
