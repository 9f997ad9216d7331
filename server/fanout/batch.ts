import { isUtf8 } from 'node:buffer'
import type { Epoch, LogRecord, Offset, RoomId } from '../ports/room-log.ts'
import type { Version } from '../stomp/frame.ts'
import { encodeHeader } from '../stomp/encoder.ts'
import { destinationOf, messageId } from './destination.ts'
import type { Style } from './style.ts'

/** Headers that are ours to set: whatever a sender or an outsider put into a record under these names stays there. */
const RESERVED = new Set([
  'destination',
  'subscription',
  'message-id',
  'content-length',
  'timestamp',
  'sender',
  'ack',
  'id',
  'receipt',
  'transaction',
  'idempotency-key',
  'recovered',
  'first',
])
/** Some clients trim the names that they read, so white space around a name does not make it another one. */
export const isReserved = (name: string): boolean => RESERVED.has(name.trim())

/** A batch is a part that an outbox drops or writes whole: small enough that neither costs much. */
const BATCH_RECORDS = 128
const BATCH_BYTES = 64 * 1024
/** How many styles' finished bytes a batch keeps for later: the common ones, so that it stays a small multiple. */
const KEPT_STYLES = 4
/** What a batch, a record and a header take beside their text and bodies, about. */
const BATCH_OVERHEAD = 768
const RECORD_OVERHEAD = 320
const HEADER_OVERHEAD = 64

/** Records of one room in order, and their MESSAGE frames: each encoded once a version, finished once a shared style. */
export class Batch {
  readonly room: RoomId
  readonly epoch: Epoch
  readonly records: readonly LogRecord[]
  readonly first: Offset
  /** The offset after its last record. */
  readonly next: Offset
  /** Bytes of memory that it holds, about. Changes as frames are made and dropped: `grew` is told. */
  size: number
  grew: (bytes: number) => void = () => {}
  readonly #tails = new Map<Version, Tail[]>()
  readonly #finished = new Map<Style, Buffer>()
  #mostStyles = Infinity

  constructor(room: RoomId, epoch: Epoch, records: readonly LogRecord[]) {
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
    const bytes = this.slice(style, 0, this.records.length)
    if (style.users > 1) {
      this.#finished.set(style, bytes)
      this.#grow(bytes.length)
      this.#dropStyles()
    }
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
  slice(style: Style, from: number, to: number, extra = ''): Buffer {
    const { framing, head, version } = style
    const tails = this.#tailsFor(version)
    // What follows the head that all share, frame by frame.
    const lines = Array.from({ length: to - from }, (_, i) => (i === 0 ? extra : '') + ackLine(style, tails[from + i]!))
    const lengths = lines.map((line, i) => head.length + Buffer.byteLength(line) + tails[from + i]!.bytes.length)
    const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + framing.overhead(length) + length, 0))
    let at = 0
    for (let i = 0; i < lengths.length; i++) {
      const { bytes: tail, text } = tails[from + i]!
      at = framing.write(bytes, at, lengths[i]!, text)
      at += head.copy(bytes, at)
      at += bytes.write(lines[i]!, at)
      at += tail.copy(bytes, at)
    }
    return bytes
  }

  #tailsFor(version: Version): Tail[] {
    let tails = this.#tails.get(version)
    if (!tails) {
      tails = this.records.map(record => encodeTail(this.room, this.epoch, record, version))
      this.#tails.set(version, tails)
      this.#grow(tails.reduce((sum, tail) => sum + tail.bytes.length, 0))
    }
    return tails
  }

  #grow(bytes: number): void {
    this.size += bytes
    this.grew(bytes)
  }
}

/** What of a MESSAGE is the same in all styles of a version: all but command, subscription and ack. */
interface Tail {
  readonly id: string
  readonly bytes: Buffer
  /** Whether all of it is UTF-8. */
  readonly text: boolean
}

const ackLine = ({ ackEnd }: Style, { id }: Tail): string => (ackEnd === '' ? '' : `ack:${id}${ackEnd}`)

const encodeTail = (room: RoomId, epoch: Epoch, record: LogRecord, version: Version): Tail => {
  const { offset, time, sender, headers, body } = record
  const id = messageId(epoch, offset)
  let head = encodeHeader('destination', destinationOf(room), version)
  head += `message-id:${id}\ntimestamp:${time}\n`
  if (sender !== '') head += encodeHeader('sender', sender, version)
  for (const [name, value] of headers) if (!isReserved(name)) head += encodeHeader(name, value, version)
  head += `content-length:${body.length}\n\n`
  const length = Buffer.byteLength(head)
  const bytes = Buffer.allocUnsafe(length + body.length + 1)
  bytes.write(head, 0, length)
  body.copy(bytes, length)
  bytes[bytes.length - 1] = 0
  return { id, bytes, text: isUtf8(body) }
}

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
export function* batchesOf(room: RoomId, epoch: Epoch, records: readonly LogRecord[]): Generator<Batch> {
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
