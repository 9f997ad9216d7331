import type { Epoch, LogRecord, Offset, RoomId } from '../ports/room-log.ts'
import type { Version } from '../stomp/frame.ts'
import { messageId } from './destination.ts'
import type { Shown } from './erasure.ts'
import type { Style } from './style.ts'
import { encodeTails, type Tails } from './tails.ts'

/** A batch is a part that an outbox drops or writes whole: small enough that neither costs much. */
const BATCH_RECORDS = 128
const BATCH_BYTES = 64 * 1024
/** How many styles' finished bytes a batch keeps for later: the common ones, so that it stays a small multiple. */
const KEPT_STYLES = 4
/** What a batch, a record and a header take beside their text and bodies, about. */
const BATCH_OVERHEAD = 1400
const RECORD_OVERHEAD = 500
const HEADER_OVERHEAD = 64

const pooled = (size: number): Buffer => Buffer.allocUnsafe(size)
const unpooled = (size: number): Buffer => Buffer.allocUnsafeSlow(size)

/** Records of one room in order, and their MESSAGE frames: each encoded once a version, finished once a shared style. */
export class Batch {
  readonly room: RoomId
  readonly epoch: Epoch
  readonly records: readonly Shown[]
  readonly first: Offset
  /** The offset after its last record. */
  readonly next: Offset
  /** Bytes of memory that it holds, about. Changes as frames are made and dropped: `grew` is told. */
  size: number
  grew: (bytes: number) => void = () => {}
  readonly #tails = new Map<Version, Tails>()
  readonly #finished = new Map<Style, Buffer>()
  #mostStyles = Infinity

  constructor(room: RoomId, epoch: Epoch, records: readonly Shown[]) {
    this.room = room
    this.epoch = epoch
    this.records = records
    this.first = records[0]!.offset
    this.next = records[records.length - 1]!.offset + 1n
    this.size = BATCH_OVERHEAD + sizeOf(records, 0, records.length)
  }

  /** The index of the first record at or after `offset`. */
  indexOf(offset: Offset): number {
    if (offset <= this.first) return 0
    const index = this.records.findIndex(record => record.offset >= offset)
    return index < 0 ? this.records.length : index
  }

  /** The MESSAGE frames of all records in `style`, laid out one after the other. Shared: not to be written to. */
  bytes(style: Style): Buffer {
    const kept = this.#finished.get(style)
    if (kept) return kept
    if (style.users === 1) return this.slice(style, 0, this.records.length)
    // Memory that is kept is no part of a pool, of which it would keep the rest too.
    const bytes = this.slice(style, 0, this.records.length, '', unpooled)
    this.#finished.set(style, bytes)
    this.#grow(bytes.length)
    this.#dropStyles()
    return bytes
  }

  /** Everyone who is live has had it: from now on it keeps finished bytes of the most common styles only. */
  settle(): void {
    this.#mostStyles = KEPT_STYLES
    this.#dropStyles()
  }

  #dropStyles(): void {
    if (this.#finished.size <= this.#mostStyles) return
    const rare = [...this.#finished].toSorted(([a], [b]) => b.users - a.users).slice(this.#mostStyles)
    for (const [style, bytes] of rare) {
      this.#finished.delete(style)
      this.#grow(-bytes.length)
    }
  }

  /** The frames of records `from` to before `to`; `extra` are header lines for the first of them. */
  slice(style: Style, from: number, to: number, extra = '', allocate = pooled): Buffer {
    const { framing, head } = style
    const tails = this.#tailsFor(style.version)
    const lines: string[] = []
    const lengths: number[] = []
    let total = 0
    for (let i = from; i < to; i++) {
      const line = i === from ? extra + this.#ackLine(style, i) : this.#ackLine(style, i)
      const length = head.length + (line === '' ? 0 : Buffer.byteLength(line)) + tails.ends[i]! - startOf(tails, i)
      lines.push(line)
      lengths.push(length)
      total += framing.overhead(length) + length
    }
    const bytes = allocate(total)
    let at = 0
    for (let i = from; i < to; i++) {
      at = framing.write(bytes, at, lengths[i - from]!, tails.text[i]!)
      at += head.copy(bytes, at)
      if (lines[i - from] !== '') at += bytes.write(lines[i - from]!, at)
      at += tails.bytes.copy(bytes, at, startOf(tails, i), tails.ends[i])
    }
    return bytes
  }

  #ackLine({ ackEnd }: Style, i: number): string {
    return ackEnd === '' ? '' : `ack:${messageId(this.epoch, this.records[i]!.offset)}${ackEnd}`
  }

  #tailsFor(version: Version): Tails {
    let tails = this.#tails.get(version)
    if (!tails) {
      tails = encodeTails(this.room, this.epoch, this.records, version)
      this.#tails.set(version, tails)
      this.#grow(tails.bytes.length)
    }
    return tails
  }

  #grow(bytes: number): void {
    this.size += bytes
    this.grew(bytes)
  }
}

const startOf = ({ ends }: Tails, i: number): number => (i === 0 ? 0 : ends[i - 1]!)

/** The memory that records `from` to before `to` take, bytes, about. */
export const sizeOf = (records: readonly LogRecord[], from: number, to: number): number => {
  let bytes = 0
  for (let i = from; i < to; i++) {
    const { headers, body } = records[i]!
    bytes += RECORD_OVERHEAD + body.length
    for (const [name, value] of headers) bytes += HEADER_OVERHEAD + name.length + value.length
  }
  return bytes
}

/** `records`, which are in order, as batches of a good size. */
export function* batchesOf(room: RoomId, epoch: Epoch, records: readonly Shown[]): Generator<Batch> {
  let from = 0
  let bytes = 0
  for (let i = 0; i < records.length; i++) {
    const size = sizeOf(records, i, i + 1)
    if (i > from && (i - from >= BATCH_RECORDS || bytes + size > BATCH_BYTES)) {
      yield new Batch(room, epoch, records.slice(from, i))
      from = i
      bytes = 0
    }
    bytes += size
  }
  if (from < records.length) yield new Batch(room, epoch, from === 0 ? records : records.slice(from))
}
