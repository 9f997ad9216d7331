import { fail } from '../server/errors.ts'
import type { Epoch, Offset, Position, RoomId } from '../server/ports/room-log.ts'
import { batchBytes, encodeBatch, RECORDS_BYTES } from './record.ts'
import type { Identity, PackedRecord } from './record.ts'

/** One call of `append`. */
export interface Append {
  readonly queue: RoomQueue
  readonly records: readonly PackedRecord[]
  /** As `batchBytes` counts them. */
  readonly bytes: number
  /** When it is rejected if nothing is known of it, as `performance.now()` tells time. */
  readonly deadline: number
  readonly resolve: (positions: Position[]) => void
  readonly reject: (error: Error) => void
}
/** Records that are sent together; once it was sent it stays what it is until its outcome is known. */
export interface Batch {
  readonly appends: readonly Append[]
  readonly identity: Identity
  readonly bytes: Buffer
  /** The room's end before it was sent: in the log it is not before this. */
  readonly from: Offset
  /** It was sent and no answer came, or one that leaves it open: it may be in the log, or get there. */
  unknown: boolean
}

const EPOCHS = 32_768
/** After so many records of an epoch brokers expect 0 again. */
const SEQUENCES = 2 ** 31

/**
 * What waits to be written to one room, in order, and the numbers by which the broker knows each batch: it keeps a batch
 * that comes twice once, and refuses one that comes after its successor. At most one batch of a room is out at a time.
 */
export class RoomQueue {
  readonly room: RoomId
  /** Somebody takes care of it at the moment. */
  busy = false
  /** Tries in a row that led to nothing. */
  failures = 0
  readonly #open: Set<Append>
  readonly #waiting = new Set<Append>()
  #batch: Batch | undefined
  #limit = RECORDS_BYTES
  #life = ''
  #producerId = -1n
  #epoch = 0
  #sequence = 0

  /** @param open the appends that nobody has heard about yet; this queue takes out those it settles. */
  constructor(room: RoomId, open: Set<Append>) {
    this.room = room
    this.#open = open
  }

  /** Nobody waits for anything here. */
  get empty(): boolean {
    return this.#waiting.size === 0 && !this.#awaited(this.#batch)
  }

  add(append: Append): void {
    this.#waiting.add(append)
  }

  /** Takes out an append whose time is over. If it was sent already it stays in its batch, which cannot change. */
  drop(append: Append): void {
    this.#waiting.delete(append)
  }

  /**
   * What to send next: the batch whose outcome is open, as it was, or a new one.
   * @param life the id of the room's topic: another life has its own numbers
   * @param end the room's end as far as it is known
   */
  next(life: Epoch, producerId: bigint, end: Offset): Batch | undefined {
    if (this.#batch && !this.#awaited(this.#batch)) this.#abandon(this.#batch)
    if (this.#batch && life !== this.#life) this.#leaveBehind(this.#batch)
    if (!this.#batch && (life !== this.#life || producerId !== this.#producerId)) {
      this.#life = life
      this.#producerId = producerId
      this.#epoch = 0
      this.#sequence = 0
    }
    return (this.#batch ??= this.#gather(end))
  }

  /** The batch is in the log, from `first` on. */
  kept(batch: Batch, life: Epoch, first: Offset): void {
    let next = first
    for (const append of batch.appends) {
      let offset = next
      next += BigInt(append.records.length)
      if (this.#open.delete(append)) append.resolve(append.records.map(() => ({ epoch: life, offset: offset++ })))
    }
    this.#sequence = (this.#sequence + count(batch.appends)) % SEQUENCES
    this.#batch = undefined
    this.failures = 0
  }

  /** The batch will not be sent again. */
  refuse(batch: Batch, error: Error): void {
    for (const append of batch.appends) if (this.#open.delete(append)) append.reject(error)
    this.#abandon(batch)
  }

  /** The broker has refused the batch for some of its records, by their index: the others wait again, in their order. */
  refuseSome(batch: Batch, indices: readonly number[], error: Error): void {
    let next = 0
    for (const append of batch.appends) {
      const from = next
      next += append.records.length
      const refused = indices.some(index => index >= from && index < next)
      if (refused && this.#open.delete(append)) append.reject(error)
    }
    this.#takeBack(batch)
  }

  /** Nothing of what waits here can be written. */
  refuseAll(error: Error): void {
    if (this.#batch) this.refuse(this.#batch, error)
    for (const append of this.#waiting) if (this.#open.delete(append)) append.reject(error)
    this.#waiting.clear()
  }

  /** The broker takes only smaller batches in this room, and has not taken this one. */
  tooLarge(batch: Batch): void {
    if (batch.appends.length === 1) return this.refuse(batch, fail('FRAME_TOO_LARGE', 'the room takes less at once'))
    this.#limit = Math.floor(bytesOf(batch.appends) / 2)
    this.#takeBack(batch)
  }

  /** The broker's numbers are not ours, and it has not taken the batch: go on in an epoch that is later than theirs. */
  renumber(batch: Batch): void {
    this.#nextEpoch()
    this.#takeBack(batch)
  }

  /** The room was made again while a batch of its earlier life was on the way. */
  #leaveBehind(batch: Batch): void {
    // It was sent to the room's name: into which life it went, if it arrived, nobody knows.
    if (batch.unknown) this.refuse(batch, fail('LOG_UNAVAILABLE', 'the room was removed and made again'))
    else this.#takeBack(batch)
  }

  /** What is certainly not in the log waits again, before everything else. */
  #takeBack(batch: Batch): void {
    const later = [...this.#waiting]
    this.#waiting.clear()
    for (const append of batch.appends) if (this.#open.has(append)) this.#waiting.add(append)
    for (const append of later) this.#waiting.add(append)
    this.#batch = undefined
  }

  #awaited(batch: Batch | undefined): boolean {
    return batch !== undefined && batch.appends.some(append => this.#open.has(append))
  }

  #abandon(batch: Batch): void {
    // Whether the broker has counted it nobody knows. With a new epoch it does not matter, and is too late for it.
    if (batch.unknown) this.#nextEpoch()
    this.#batch = undefined
  }

  #nextEpoch(): void {
    this.#epoch = (this.#epoch + 1) % EPOCHS
    this.#sequence = 0
  }

  #gather(end: Offset): Batch | undefined {
    const appends: Append[] = []
    let bytes = 0
    for (const append of this.#waiting) {
      bytes += append.bytes
      if (bytes > this.#limit && appends.length > 0) break
      this.#waiting.delete(append)
      appends.push(append)
    }
    if (appends.length === 0) return undefined
    const identity = { producerId: this.#producerId, producerEpoch: this.#epoch, sequence: this.#sequence }
    const records = appends.flatMap(append => append.records)
    return { appends, identity, bytes: encodeBatch(records, identity), from: end, unknown: false }
  }
}

const count = (appends: readonly Append[]): number => appends.reduce((sum, { records }) => sum + records.length, 0)
const bytesOf = (appends: readonly Append[]): number => appends.reduce((sum, { bytes }) => sum + bytes, 0)

/** The bytes of `records` in a batch, or FRAME_TOO_LARGE where they do not fit into one. */
export const sizeOf = (records: readonly PackedRecord[]): number => {
  const bytes = records.reduce((sum, record) => sum + batchBytes(record), 0)
  if (bytes > RECORDS_BYTES) throw fail('FRAME_TOO_LARGE', 'the records do not fit into one write')
  return bytes
}
