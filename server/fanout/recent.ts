import type { Offset } from '../ports/room-log.ts'
import type { Batch } from './batch.ts'

/** The memory that all rooms of a node share for their recent records: past `budget` bytes the oldest batch goes. */
export class RecentMemory {
  readonly #budget: number
  #used = 0
  /** In the order of arrival. */
  readonly #batches = new Map<Batch, Recent>()

  constructor(budget: number) {
    this.#budget = budget
  }

  get used(): number {
    return this.#used
  }

  keep(batch: Batch, recent: Recent): void {
    this.#batches.set(batch, recent)
    batch.grew = bytes => this.#use(bytes)
    this.#use(batch.size)
  }

  forget(batch: Batch): void {
    if (!this.#batches.delete(batch)) return
    batch.grew = () => {}
    this.#used -= batch.size
  }

  #use(bytes: number): void {
    this.#used += bytes
    for (const [batch, recent] of this.#batches) {
      if (this.#used <= this.#budget) return
      recent.dropThrough(batch)
    }
  }
}

/**
 * A room's newest records in memory, without a hole: every record of the log from `first` to before `next` is here.
 * Filled by the tail at the end, and backwards from the log for those who come back (`prepend`).
 */
export class Recent {
  first: Offset
  next: Offset
  /** How many records are here. */
  count = 0
  #batches: Batch[] = []
  readonly #memory: RecentMemory

  constructor(memory: RecentMemory, start: Offset) {
    this.#memory = memory
    this.first = start
    this.next = start
  }

  append(batch: Batch): void {
    this.#batches.push(batch)
    this.next = batch.next
    this.count += batch.records.length
    this.#memory.keep(batch, this)
  }

  /** Puts `batches` before all others: every record of the log from `first` to before the present `first`. */
  prepend(batches: Batch[], first: Offset): void {
    this.#batches = [...batches, ...this.#batches]
    this.first = first
    for (const batch of batches) this.count += batch.records.length
    for (const batch of batches) this.#memory.keep(batch, this)
  }

  /** The batch that holds the first record at or after `offset`; undefined where there is none yet. */
  batchFrom(offset: Offset): Batch | undefined {
    let low = 0
    let high = this.#batches.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#batches[middle]!.next <= offset) low = middle + 1
      else high = middle
    }
    return this.#batches[low]
  }

  /** The offset of the n-th newest record; of the oldest one here where there are fewer. */
  nthNewest(n: number): Offset {
    let left = n
    for (let i = this.#batches.length - 1; i >= 0; i--) {
      const { records } = this.#batches[i]!
      if (records.length >= left) return records[records.length - left]!.offset
      left -= records.length
    }
    return this.first
  }

  /** Drops the oldest batches up to and with `batch`. */
  dropThrough(batch: Batch): void {
    const index = this.#batches.indexOf(batch)
    for (const dropped of this.#batches.splice(0, index + 1)) {
      this.#memory.forget(dropped)
      this.first = dropped.next
      this.count -= dropped.records.length
    }
  }

  clear(): void {
    for (const batch of this.#batches) this.#memory.forget(batch)
    this.#batches = []
    this.first = this.next
    this.count = 0
  }
}
