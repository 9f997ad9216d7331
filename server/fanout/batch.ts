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
export const isReserved = (name: string): boolean => RESERVED.has(name)

/** How many styles' finished bytes a batch keeps: the common ones, so that its memory stays within a small multiple. */
const KEPT_STYLES = 4

/** Records of one room in order, and their MESSAGE frames: each encoded once a version, finished once a shared style. */
export class Batch {
  readonly room: RoomId
  readonly epoch: Epoch
  readonly records: readonly LogRecord[]
  readonly first: Offset
  /** The offset after its last record. */
  readonly next: Offset
  /** Bytes of memory that it holds, about. Grows as frames are made: `grew` is told. */
  size: number
  grew: (bytes: number) => void = () => {}
  readonly #tails = new Map<Version, Buffer[]>()
  readonly #finished = new Map<Style, Buffer>()

  constructor(room: RoomId, epoch: Epoch, records: readonly LogRecord[]) {
    this.room = room
    this.epoch = epoch
    this.records = records
    this.first = records[0]!.offset
    this.next = records[records.length - 1]!.offset + 1n
    this.size = records.reduce((sum, record) => sum + 256 + record.body.length, 0)
  }

  /** The index of the first record at or after `offset`. */
  indexOf(offset: Offset): number {
    if (offset <= this.first) return 0
    const index = this.records.findIndex(record => record.offset >= offset)
    return index < 0 ? this.records.length : index
  }

  /** The MESSAGE frames of all records in `style`, laid out one after the other. */
  bytes(style: Style): Buffer {
    const kept = this.#finished.get(style)
    if (kept) return kept
    const bytes = this.slice(style, 0, this.records.length)
    if (style.users > 1 && this.#finished.size < KEPT_STYLES) {
      this.#finished.set(style, bytes)
      this.#grow(bytes.length)
    }
    return bytes
  }

  /** The frames of records `from` to before `to`; `extra` are header lines for the first of them. */
  slice(style: Style, from: number, to: number, extra = ''): Buffer {
    const tails = this.#tailsFor(style.version)
    const heads: Buffer[] = []
    let total = 0
    for (let i = from; i < to; i++) {
      const head = Buffer.from(this.#head(style, this.records[i]!, i === from ? extra : ''))
      const length = head.length + tails[i]!.length
      heads.push(head)
      total += style.framing.overhead(length) + length
    }
    const bytes = Buffer.allocUnsafe(total)
    let at = 0
    for (let i = from; i < to; i++) {
      const head = heads[i - from]!
      const tail = tails[i]!
      at = style.framing.write(bytes, at, head.length + tail.length, isUtf8(this.records[i]!.body))
      at += head.copy(bytes, at)
      at += tail.copy(bytes, at)
    }
    return bytes
  }

  /** What differs between styles: command, subscription, ack. Everything else is the tail. */
  #head(style: Style, record: LogRecord, extra: string): string {
    const { subscription, version } = style
    let head = 'MESSAGE\n'
    if (subscription !== undefined) head += encodeHeader('subscription', subscription, version)
    if (style.acks) head += encodeHeader('ack', ackId(messageId(this.epoch, record.offset), subscription), version)
    return head + extra
  }

  #tailsFor(version: Version): Buffer[] {
    let tails = this.#tails.get(version)
    if (!tails) {
      tails = this.records.map(record => encodeTail(this.room, this.epoch, record, version))
      this.#tails.set(version, tails)
      this.#grow(tails.reduce((sum, tail) => sum + tail.length, 0))
    }
    return tails
  }

  #grow(bytes: number): void {
    this.size += bytes
    this.grew(bytes)
  }
}

/** What a client in a client ack mode acknowledges: the message for this subscription. */
export const ackId = (id: string, subscription = ''): string => `${id}@${subscription}`

const encodeTail = (room: RoomId, epoch: Epoch, record: LogRecord, version: Version): Buffer => {
  let head = encodeHeader('destination', destinationOf(room), version)
  head += `message-id:${messageId(epoch, record.offset)}\ntimestamp:${record.time}\n`
  if (record.sender !== '') head += encodeHeader('sender', record.sender, version)
  for (const [name, value] of record.headers) if (!RESERVED.has(name)) head += encodeHeader(name, value, version)
  head += `content-length:${record.body.length}\n\n`
  const length = Buffer.byteLength(head)
  const tail = Buffer.allocUnsafe(length + record.body.length + 1)
  tail.write(head, 0, length)
  record.body.copy(tail, length)
  tail[tail.length - 1] = 0
  return tail
}
