import type { Offset } from '../ports/room-log.ts'
import type { Batch } from './batch.ts'

/** A batch that is kept, in the order in which the node's batches came: a list, as most leave it at its old end. */
interface Kept {
  batch: Batch
  readonly recent: Recent
  older: Kept | undefined
  newer: Kept | undefined
}

/** The memory that all rooms of a node share for their recent records: past `budget` bytes the oldest batches go. */
export class RecentMemory {
  readonly #budget: number
  #used = 0
  #oldest: Kept | undefined
  #newest: Kept | undefined

  constructor(budget: number) {
    this.#budget = budget
  }

  /** Bytes of all that is kept; never more than the budget. */
  get used(): number {
    return this.#used
  }

  /** Takes `batch` in; `makeRoom` has to follow. */
  keep(batch: Batch, recent: Recent): Kept {
    const kept: Kept = { batch, recent, older: this.#newest, newer: undefined }
    if (this.#newest) this.#newest.newer = kept
    else this.#oldest = kept
    this.#newest = kept
    this.#count(batch)
    return kept
  }

  /** Keeps `batch`, which is no larger, in the place of the one that `kept` holds. */
  replace(kept: Kept, batch: Batch): void {
    this.#discount(kept.batch)
    kept.batch = batch
    this.#count(batch)
  }

  forget({ batch, older, newer }: Kept): void {
    if (older) older.newer = newer
    else this.#oldest = newer
    if (newer) newer.older = older
    else this.#newest = older
    this.#discount(batch)
  }

  #count(batch: Batch): void {
    this.#used += batch.size
    batch.grew = bytes => {
      this.#used += bytes
      this.makeRoom()
    }
  }

  #discount(batch: Batch): void {
    this.#used -= batch.size
    batch.grew = () => {}
  }

  /** Lets the room with the oldest batch drop its first one, which an extension may have brought later, till it fits. */
  makeRoom(): void {
    while (this.#used > this.#budget) this.#oldest!.recent.dropFirst()
  }
}

/** Dropped batches leave a free place before the others; it is closed when it is so large, and half of all. */
const CLOSE_UP = 256

/**
 * A room's newest records in memory, without a hole: every record of the log from `first` to before `next` is here.
 * Filled by the tail at the end, and backwards from the log for those who come back (`prepend`).
 */
export class Recent {
  #first: Offset = 0n
  #next: Offset = 0n
  #count = 0
  /** Nothing stays in a place that is free. */
  #kept: (Kept | undefined)[] = []
  /** Where in `#kept` the first batch is. */
  #from = 0
  readonly #memory: RecentMemory

  constructor(memory: RecentMemory) {
    this.#memory = memory
  }

  get first(): Offset {
    return this.#first
  }

  get next(): Offset {
    return this.#next
  }

  /** How many records are here. */
  get count(): number {
    return this.#count
  }

  append(batch: Batch): void {
    this.#kept.push(this.#memory.keep(batch, this))
    this.#next = batch.next
    this.#count += batch.records.length
    this.#memory.makeRoom()
  }

  /** Puts `batches` before all others: every record of the log from `first` to before the present `first`. */
  prepend(batches: readonly Batch[], first: Offset): void {
    const added = batches.map(batch => this.#memory.keep(batch, this))
    this.#kept = [...added, ...this.#kept.slice(this.#from)]
    this.#from = 0
    this.#first = first
    for (const { records } of batches) this.#count += records.length
    this.#memory.makeRoom()
  }

  /** The batch that holds the first record at or after `offset`; undefined where there is none yet. */
  batchFrom(offset: Offset): Batch | undefined {
    let low = this.#from
    let high = this.#kept.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#kept[middle]!.batch.next <= offset) low = middle + 1
      else high = middle
    }
    return this.#kept[low]?.batch
  }

  /** The offset of the n-th newest record, of which there must be so many. */
  nthNewest(n: number): Offset {
    let left = n
    let i = this.#kept.length - 1
    for (; this.#kept[i]!.batch.records.length < left; i--) left -= this.#kept[i]!.batch.records.length
    return this.#kept[i]!.batch.records.at(-left)!.offset
  }

  /** Puts what `make` makes of each batch in its place: the same records, of no larger size, or that very batch. */
  remake(make: (batch: Batch) => Batch): void {
    for (let i = this.#from; i < this.#kept.length; i++) {
      const kept = this.#kept[i]!
      const made = make(kept.batch)
      if (made === kept.batch) continue
      made.settle()
      this.#memory.replace(kept, made)
    }
  }

  dropFirst(): void {
    const kept = this.#kept[this.#from]!
    this.#kept[this.#from++] = undefined
    this.#memory.forget(kept)
    this.#first = kept.batch.next
    this.#count -= kept.batch.records.length
    if (this.#from < CLOSE_UP || this.#from * 2 < this.#kept.length) return
    this.#kept.splice(0, this.#from)
    this.#from = 0
  }

  /** Drops everything; the next record to come is the first one at or after `next`. */
  restart(next: Offset): void {
    for (const kept of this.#kept.slice(this.#from)) this.#memory.forget(kept!)
    this.#kept = []
    this.#from = 0
    this.#count = 0
    this.#first = this.#next = next
  }
}
