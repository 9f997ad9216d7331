import { fail } from '../../errors.ts'
import type { Epoch, LogRecord, Offset, RoomId, Sink, Tail } from '../../ports/room-log.ts'
import { decode } from './record.ts'
import { NO_END, offsetOfRow, recordRows } from './rows.ts'
import type { Store } from './store.ts'

const PAGE_RECORDS = 1000

/** One life of a room. */
export class Room {
  readonly id: RoomId
  readonly life: Buffer
  readonly epoch: Epoch
  /** The earliest offset that is kept. */
  first: Offset
  /** The offset of the next record that is written. */
  next: Offset
  /** The offset after the newest durable record: readers see what is before it. */
  end: Offset
  /** It is there durably, and nobody is about to remove it. */
  settled: boolean
  /** `next` and `end` are known. */
  found: boolean
  readonly #store: Store
  readonly #tails = new Set<RoomTail>()

  /** A room that is made, or (with `first`) one that the store has. */
  constructor(store: Store, id: RoomId, life: Buffer, first?: Offset) {
    this.#store = store
    this.id = id
    this.life = life
    this.epoch = life.toString('hex')
    this.first = this.next = this.end = first ?? 0n
    this.settled = first !== undefined
    this.found = !this.settled
  }

  /** Finds `next` and `end`. Only the newest record knows them: a counter could be behind it. */
  async find(): Promise<void> {
    const newest = await this.#newest()
    // Somebody else may have found them meanwhile, and gone on.
    if (this.found) return
    this.next = this.end = newest
    this.found = true
  }

  /** After a write failed and the store was opened again: what of it is there has happened, and the rest has not. */
  async findAgain(first: Offset): Promise<void> {
    this.settled = true
    this.first = first
    if (!this.found) return
    const newest = await this.#newest()
    while (this.end < newest) {
      const records = await this.read(this.end, PAGE_RECORDS, newest)
      this.appended(records, records.at(-1)!.offset + 1n)
    }
    this.next = this.end
  }

  async #newest(): Promise<Offset> {
    const [row] = await this.#store.keys({ ...recordRows(this.life, this.first, NO_END), reverse: true }, 1)
    return row ? offsetOfRow(row) + 1n : this.first
  }

  /** The records from `from` on that are before `end`. */
  async read(from: Offset, limit: number, end: Offset = this.end): Promise<LogRecord[]> {
    const start = from < this.first ? this.first : from
    if (start >= end) return []
    const rows = await this.#store.entries(recordRows(this.life, start, end), limit)
    return rows.map(([row, value]) => decode(offsetOfRow(row), value))
  }

  /** `records` are durable, and so all before `end`. */
  appended(records: readonly LogRecord[], end: Offset): void {
    this.end = end
    // A copy: a sink may start a tail, which has nothing to do with these.
    for (const tail of [...this.#tails]) tail.deliver(records)
  }

  tail(from: Offset | 'end', sink: Sink): Tail {
    const start = from === 'end' ? this.end : from < this.first || from > this.end ? this.first : from
    const tail = new RoomTail(this, start, sink, () => this.#tails.delete(tail))
    this.#tails.add(tail)
    void tail.readOn()
    return tail
  }

  /** Ends every tail. */
  leave(error?: Error): void {
    for (const tail of this.#tails) tail.end(error)
  }
}

class RoomTail implements Tail {
  readonly epoch: Epoch
  readonly next: Offset
  readonly #room: Room
  readonly #sink: Sink
  readonly #forget: () => void
  #state: 'reading' | 'live' | 'over' = 'reading'

  constructor(room: Room, start: Offset, sink: Sink, forget: () => void) {
    this.#room = room
    this.epoch = room.epoch
    this.next = start
    this.#sink = sink
    this.#forget = forget
  }

  /** Reads up to the newest record; in the turn in which nothing is left it is live. */
  async readOn(): Promise<void> {
    let next = this.next
    while (next < this.#room.end) {
      const end = this.#room.end
      let records: LogRecord[]
      try {
        records = await this.#room.read(next, PAGE_RECORDS, end)
      } catch (error) {
        this.end(fail('LOG_UNAVAILABLE', undefined, { cause: error }))
        return
      }
      if (this.#isOver()) return
      next = records.length > 0 ? records.at(-1)!.offset + 1n : end
      if (records.length > 0) this.#sink.records(records)
      if (this.#isOver()) return
    }
    this.#state = 'live'
  }

  #isOver(): boolean {
    return this.#state === 'over'
  }

  deliver(records: readonly LogRecord[]): void {
    if (this.#state === 'live') this.#sink.records(records)
  }

  end(error?: Error): void {
    if (this.#isOver()) return
    this.stop()
    this.#sink.end(error)
  }

  stop(): void {
    this.#state = 'over'
    this.#forget()
  }
}
