import { crc32c } from '@platformatic/kafka'
import type { NewRecord } from '../server/ports/room-log.ts'
import { BATCH_BYTES } from './topics.ts'

/*
  A record of a room, as Kafka keeps it:
    key      the sender in UTF-8; null where nobody is known
    value    the body, untouched
    headers  the user headers of the SEND frame, in their order, unescaped, in UTF-8
             hb-key       the idempotency key
             hb-barrier   the record is no message: readers skip it (see fence.ts)
             hb-.<name>   a user header whose own name begins with `hb-`
             hb-<other>   kept for later use: readers skip it

  record := length:varint attributes:int8 timestampDelta:varint offsetDelta:varint packed
  packed := keyLength:varint key valueLength:varint value headers:varint *(nameLength:varint name valueLength:varint value)
  batch  := firstOffset:int64 length:int32 leaderEpoch:int32 magic:int8 crc:uint32 attributes:int16 lastOffsetDelta:int32
            firstTimestamp:int64 maxTimestamp:int64 producerId:int64 producerEpoch:int16 firstSequence:int32
            records:int32 *record
  A varint is zigzag, least significant 7 bits first; length -1 is null.
*/
export const OURS = 'hb-'
export const KEY = 'hb-key'
export const BARRIER = 'hb-barrier'
export const USER = 'hb-.'
export const BATCH_HEAD = 61
const MAGIC = 2

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
export const packRecord = (record: NewRecord, time: number): PackedRecord =>
  pack(Buffer.from(record.sender), record.body, headersOf(record), time)

/** A record that no reader is shown. */
export const packBarrier = (time: number): PackedRecord => pack(EMPTY, EMPTY, [Buffer.from(BARRIER), EMPTY], time)

const EMPTY = Buffer.alloc(0)

/** @param headers names and values in turn */
const pack = (key: Buffer, body: Buffer, headers: readonly Buffer[], time: number): PackedRecord => {
  const sized = [key, body, ...headers]
  let size = varintSize(headers.length / 2)
  for (const part of sized) size += varintSize(part.length) + part.length
  const writer = new Writer(size)
  if (key.length > 0) writer.varint(key.length)
  else writer.varint(-1)
  writer.bytes(key)
  writer.varint(body.length)
  writer.bytes(body)
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
