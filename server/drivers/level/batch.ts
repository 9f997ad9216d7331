import type { LogRecord, NewRecord, Offset } from '../../ports/room-log.ts'
import { bytesAtMost, encode } from './record.ts'
import type { Room } from './room.ts'
import { recordRow, usedRow, usedValue, useValue, type Use } from './rows.ts'
import type { Rows, Store } from './store.ts'

let scratch = Buffer.allocUnsafeSlow(64 * 1024)

/** Memory for one value, free again once LevelDB has copied it: within `put`. */
const scratchOf = (bytes: number): Buffer => {
  if (scratch.length < bytes) scratch = Buffer.allocUnsafeSlow(bytes)
  return scratch
}

/** What is written in one go, and what has to be told when it is durable. */
export class Batch {
  /** Epoch ms: the time of all its records. */
  readonly time: number
  /** Records by room, in order. */
  readonly appended = new Map<Room, LogRecord[]>()
  /** Rooms that are gone with this batch. */
  readonly removed: Room[] = []
  /** Idempotency keys that were used, in this batch or earlier, by their rows in latin1. */
  readonly uses = new Map<string, Use>()
  readonly #store: Store
  /** The rows of the idempotency keys that this batch uses, and the row that lists them. */
  readonly #used: Buffer[] = []
  #usedRow: Buffer | undefined
  #rows: Rows | undefined

  constructor(store: Store, time: number) {
    this.#store = store
    this.time = time
  }

  put(key: Buffer, value: Buffer): void {
    this.#rows ??= this.#store.rows()
    this.#rows.put(key, value)
  }

  del(key: Buffer): void {
    this.#rows ??= this.#store.rows()
    this.#rows.del(key)
  }

  /** Gives `record` the next place in `room`. */
  append(room: Room, record: NewRecord): Offset {
    const { sender, headers, body } = record
    const offset = room.next++
    const into = scratchOf(bytesAtMost(record))
    this.put(recordRow(room.life, offset), into.subarray(0, encode(record, this.time, into)))
    const appended = this.appended.get(room)
    const kept: LogRecord = { offset, time: this.time, sender, headers, body }
    if (appended) appended.push(kept)
    else this.appended.set(room, [kept])
    return offset
  }

  /** Keeps that the key of `row` was used for the record at `offset`. */
  use(room: Room, offset: Offset, row: Buffer): void {
    this.put(row, useValue({ time: this.time, offset }))
    this.#usedRow ??= usedRow(this.time, room.life, offset)
    this.#used.push(row)
  }

  /** Resolves when all of it is durable. After a rejection all of it may be, or nothing: LevelDB does not know. */
  async write(): Promise<void> {
    if (this.#usedRow) this.put(this.#usedRow, usedValue(this.#used))
    await this.#rows?.write({ sync: true })
  }
}
