import type { Offset } from '../../ports/room-log.ts'
import type { Batch } from './batch.ts'
import { everything, keyRows, NO_END, readRemovalRow, recordRows, removalRow } from './rows.ts'
import type { Store } from './store.ts'

/** Rows removed with one batch. */
const STEP = 256

export interface Removal {
  readonly life: Buffer
  /** Records before it go; NO_END: all of them, and the idempotency keys. */
  readonly end: Offset
}

/**
 * Takes away, step by step beside what else is written, rows that can no longer be reached. Each removal has a row of its
 * own until it is done, so that it goes on after a crash.
 */
export class Removals {
  readonly #store: Store
  readonly #change: (build: (batch: Batch) => void) => Promise<void>
  #waiting: Removal[] = []
  #running: Promise<void> | undefined

  constructor(store: Store, change: (build: (batch: Batch) => void) => Promise<void>) {
    this.#store = store
    this.#change = change
  }

  /** Goes on with those that the store knows of. */
  async resume(): Promise<void> {
    for await (const page of this.#store.pages(everything('d'))) {
      for (const [row] of page) this.add(readRemovalRow(row))
    }
  }

  add(removal: Removal): void {
    this.#waiting.push(removal)
    this.#running ??= this.#run()
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    try {
      for (let removal = this.#waiting.shift(); removal; removal = this.#waiting.shift()) await this.#remove(removal)
    } catch {
      // The store is closed, or failed: what is left goes on when it is open again.
      this.#waiting = []
    }
    this.#running = undefined
  }

  async #remove({ life, end }: Removal): Promise<void> {
    await this.#removeRows(recordRows(life, 0n, end))
    if (end === NO_END) await this.#removeRows(keyRows(life))
    await this.#change(batch => batch.del(removalRow(life, end)))
  }

  async #removeRows({ gte, lt }: { gte: Buffer; lt: Buffer }): Promise<void> {
    for (;;) {
      const rows = await this.#store.keys({ gte, lt }, STEP)
      if (rows.length === 0) return
      await this.#change(batch => {
        for (const row of rows) batch.del(row)
      })
      // Not from the start again: LevelDB would step over all that is gone.
      gte = rows.at(-1)!
      if (rows.length < STEP) return
    }
  }
}
