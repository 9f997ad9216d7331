import { isUtf8 } from 'node:buffer'
import { compressionsAlgorithmsByBitmask, crc32c } from '@platformatic/kafka'
import type { LogRecord, NewRecord, Offset } from '../server/ports/room-log.ts'
import { BATCH_BYTES } from './topics.ts'

/*
  A record of a room, as Kafka keeps it:
    key      the sender in UTF-8; null where nobody is known
    value    the body, untouched
    headers  the user headers of the SEND frame, in their order, unescaped, in UTF-8
             hb-key       the idempotency key
             hb-.<name>   a user header whose own name begins with `hb-`
             hb-<other>   kept for later use: readers skip it

  record := length:varint attributes:int8 timestampDelta:varint offsetDelta:varint packed
  packed := keyLength:varint key valueLength:varint value headers:varint *(nameLength:varint name valueLength:varint value)
  batch  := firstOffset:int64 length:int32 leaderEpoch:int32 magic:int8 crc:uint32 attributes:int16 lastOffsetDelta:int32
            firstTimestamp:int64 maxTimestamp:int64 producerId:int64 producerEpoch:int16 firstSequence:int32
            records:int32 *record
  A varint is zigzag, least significant 7 bits first; length -1 is null.
*/
const OURS = 'hb-'
const KEY = 'hb-key'
const USER = 'hb-.'
const BATCH_HEAD = 61
const MAGIC = 2
const COMPRESSION = 0b111
const LOG_APPEND_TIME = 0b1000
const CONTROL = 0b100000
const EMPTY = Buffer.alloc(0)

/** What a batch is recognised by, in the broker's memory and in the log: no two batches of a room have the same. */
export interface Identity {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** Of the batch's first record; counts the records of this producer id and epoch in this room. */
  readonly sequence: number
}
/** A record ready to be put into a batch: everything but its place there. */
export interface PackedRecord {
  readonly packed: Buffer
  /** When it was appended, epoch ms. */
  readonly time: number
}
export interface DecodedBatches {
  readonly records: LogRecord[]
  /** Where to read on. Lies beyond the last record where what follows it is not for readers. */
  readonly next: Offset
  /** Batches that nobody can read, such as a compression that is not what it says. They are passed over. */
  readonly unreadable: number
}

const varintSize = (value: number): number => {
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  let size = 1
  while (rest >= 0x80) {
    rest = Math.floor(rest / 0x80)
    size++
  }
  return size
}

class Writer {
  readonly buffer: Buffer
  at = 0
  constructor(size: number) {
    this.buffer = Buffer.allocUnsafe(size)
  }
  varint(value: number): void {
    let rest = value < 0 ? -2 * value - 1 : 2 * value
    while (rest >= 0x80) {
      this.buffer[this.at++] = (rest % 0x80) + 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.buffer[this.at++] = rest
  }
  bytes(bytes: Buffer): void {
    this.at += bytes.copy(this.buffer, this.at)
  }
}

const headersOf = (record: NewRecord): Buffer[] => {
  const parts: Buffer[] = []
  for (const [name, value] of record.headers) {
    parts.push(Buffer.from(name.startsWith(OURS) ? USER + name : name), Buffer.from(value))
  }
  if (record.key !== undefined) parts.push(Buffer.from(KEY), Buffer.from(record.key))
  return parts
}

/** A copy of `record` in Kafka's form. */
export const packRecord = (record: NewRecord, time: number): PackedRecord => {
  const key = Buffer.from(record.sender)
  const headers = headersOf(record)
  const sized = [key, record.body, ...headers]
  let size = varintSize(headers.length / 2)
  for (const part of sized) size += varintSize(part.length) + part.length
  const writer = new Writer(size)
  if (key.length > 0) writer.varint(key.length)
  else writer.varint(-1)
  writer.bytes(key)
  writer.varint(record.body.length)
  writer.bytes(record.body)
  writer.varint(headers.length / 2)
  for (const part of headers) {
    writer.varint(part.length)
    writer.bytes(part)
  }
  return { packed: writer.buffer, time }
}

/** More than a record adds to `packed` in a batch: length, attributes, deltas. */
const RECORD_HEAD = 5 + 1 + 8 + 5
/** The most bytes that the records of one batch may take, as `batchBytes` counts them. */
export const RECORDS_BYTES = BATCH_BYTES - BATCH_HEAD
/** What a record takes in a batch, at most. */
export const batchBytes = ({ packed }: PackedRecord): number => packed.length + RECORD_HEAD

/** One batch of records, ready to be sent. */
export const encodeBatch = (records: readonly PackedRecord[], identity: Identity): Buffer => {
  const first = records[0]!.time
  let latest = first
  let size = BATCH_HEAD
  const lengths = records.map(({ packed, time }, index) => {
    const length = 1 + varintSize(time - first) + varintSize(index) + packed.length
    size += varintSize(length) + length
    if (time > latest) latest = time
    return length
  })
  const writer = new Writer(size)
  const { buffer } = writer
  buffer.writeBigInt64BE(0n, 0)
  buffer.writeInt32BE(size - 12, 8)
  buffer.writeInt32BE(-1, 12)
  buffer.writeInt8(MAGIC, 16)
  buffer.writeInt16BE(0, 21)
  buffer.writeInt32BE(records.length - 1, 23)
  buffer.writeBigInt64BE(BigInt(first), 27)
  buffer.writeBigInt64BE(BigInt(latest), 35)
  buffer.writeBigInt64BE(identity.producerId, 43)
  buffer.writeInt16BE(identity.producerEpoch, 51)
  buffer.writeInt32BE(identity.sequence, 53)
  buffer.writeInt32BE(records.length, 57)
  writer.at = BATCH_HEAD
  for (const [index, { packed, time }] of records.entries()) {
    writer.varint(lengths[index]!)
    buffer[writer.at++] = 0
    writer.varint(time - first)
    writer.varint(index)
    writer.bytes(packed)
  }
  buffer.writeUInt32BE(crc32c(buffer.subarray(21)), 17)
  return buffer
}

class Cursor {
  readonly buffer: Buffer
  at: number
  constructor(buffer: Buffer, at: number) {
    this.buffer = buffer
    this.at = at
  }
  varint(): number {
    let value = 0
    let weight = 1
    for (;;) {
      const byte = this.buffer[this.at++]
      if (byte === undefined) throw new RangeError('a batch ends in the midst of a record')
      value += (byte & 0x7f) * weight
      if (byte < 0x80) break
      weight *= 0x80
    }
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2
  }
  /** The next bytes, without a copy; null for a null. */
  bytes(): Buffer | null {
    const length = this.varint()
    if (length < 0) return null
    const end = this.at + length
    if (end > this.buffer.length) throw new RangeError('a batch ends in the midst of a record')
    const part = this.buffer.subarray(this.at, end)
    this.at = end
    return part
  }
}

/** Text that is UTF-8, or undefined. Only where the replacement character appears does it need a second look. */
const textOf = (bytes: Buffer | null): string | undefined => {
  if (bytes === null) return undefined
  const text = bytes.toString('utf8')
  return text.includes('\ufffd') && !isUtf8(bytes) ? undefined : text
}

/** Of repeated headers the first counts; what is null or not UTF-8 does not reach a reader. */
const readHeaders = (cursor: Cursor): Map<string, string> => {
  const headers = new Map<string, string>()
  const count = cursor.varint()
  for (let i = 0; i < count; i++) {
    const name = textOf(cursor.bytes())
    const value = textOf(cursor.bytes())
    if (name === undefined || value === undefined) continue
    const shown = name.startsWith(USER) ? name.slice(USER.length) : name.startsWith(OURS) ? undefined : name
    if (shown !== undefined && !headers.has(shown)) headers.set(shown, value)
  }
  return headers
}

interface Batch {
  readonly first: Offset
  readonly next: Offset
  readonly attributes: number
  readonly identity: Identity
  /** Where it begins and ends in the bytes. */
  readonly start: number
  readonly end: number
}

/** The batches that are whole. The broker cuts its answer at a number of bytes, so the last one may not be. */
function* batchesIn(bytes: Buffer): Generator<Batch> {
  for (let start = 0, end; start + BATCH_HEAD <= bytes.length; start = end) {
    end = start + 12 + bytes.readInt32BE(start + 8)
    if (end > bytes.length || end < start + BATCH_HEAD) return
    const first = bytes.readBigInt64BE(start)
    yield {
      first,
      next: first + BigInt(bytes.readInt32BE(start + 23)) + 1n,
      attributes: bytes.readInt16BE(start + 21),
      identity: {
        producerId: bytes.readBigInt64BE(start + 43),
        producerEpoch: bytes.readInt16BE(start + 51),
        sequence: bytes.readInt32BE(start + 53),
      },
      start,
      end,
    }
  }
}

/** The records of a batch, decompressed where an outsider compressed them. */
const openBatch = (bytes: Buffer, { attributes, start, end }: Batch): Cursor => {
  const compression = attributes & COMPRESSION
  if (compression === 0) return new Cursor(bytes.subarray(0, end), start + BATCH_HEAD)
  const algorithm = compressionsAlgorithmsByBitmask[compression]
  if (!algorithm) throw new RangeError(`unknown compression ${compression}`)
  return new Cursor(algorithm.decompressSync(bytes.subarray(start + BATCH_HEAD, end)), 0)
}

/** How much a reader takes; the record that passes `bytes` is the last. */
export interface Limits {
  readonly records: number
  readonly bytes: number
}

const readBatch = (bytes: Buffer, batch: Batch, from: Offset, limits: Limits) => {
  const cursor = openBatch(bytes, batch)
  const count = bytes.readInt32BE(batch.start + 57)
  const firstTimestamp = Number(bytes.readBigInt64BE(batch.start + 27))
  const maxTimestamp = Number(bytes.readBigInt64BE(batch.start + 35))
  const records: LogRecord[] = []
  let size = 0
  for (let i = 0; i < count && records.length < limits.records && size < limits.bytes; i++) {
    const length = cursor.varint()
    const end = cursor.at + length
    cursor.at++
    const time = cursor.varint()
    const offset = batch.first + BigInt(cursor.varint())
    if (offset >= from) {
      const sender = textOf(cursor.bytes()) ?? ''
      const body = cursor.bytes() ?? EMPTY
      const headers = readHeaders(cursor)
      const logged = (batch.attributes & LOG_APPEND_TIME) !== 0 ? maxTimestamp : firstTimestamp + time
      records.push({ offset, time: logged, sender, headers, body })
      size += length
    }
    cursor.at = end
  }
  return { records, size }
}

/** The records at or after `from` in what a broker answered, as many as `limits` say. */
export const decodeBatches = (bytes: Buffer, from: Offset, limits?: Limits): DecodedBatches => {
  const all: LogRecord[] = []
  let left = limits ?? { records: Infinity, bytes: Infinity }
  let next = from
  let unreadable = 0
  for (const batch of batchesIn(bytes)) {
    if (batch.next <= from) continue
    // Commits and aborts of an outsider's transactions are for the broker.
    if ((batch.attributes & CONTROL) === 0) {
      try {
        const { records, size } = readBatch(bytes, batch, from, left)
        for (const record of records) all.push(record)
        left = { records: left.records - records.length, bytes: left.bytes - size }
      } catch {
        unreadable++
      }
    }
    if (left.records <= 0 || left.bytes <= 0) return { records: all, next: all.at(-1)!.offset + 1n, unreadable }
    next = batch.next
  }
  return { records: all, next, unreadable }
}

/** The offset of the batch that `identity` is of, where it is among these. `next` is where to look on. */
export const findBatch = (bytes: Buffer, identity: Identity): { offset?: Offset; next?: Offset } => {
  let next: Offset | undefined
  for (const batch of batchesIn(bytes)) {
    const { producerId, producerEpoch, sequence } = batch.identity
    if (
      producerId === identity.producerId &&
      producerEpoch === identity.producerEpoch &&
      sequence === identity.sequence
    ) {
      return { offset: batch.first }
    }
    next = batch.next
  }
  return next === undefined ? {} : { next }
}
