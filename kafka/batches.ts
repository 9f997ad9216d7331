import { isUtf8 } from 'node:buffer'
import { compressionsAlgorithmsByBitmask } from '@platformatic/kafka'
import type { LogRecord, Offset } from '../server/ports/room-log.ts'
import { BARRIER, BATCH_HEAD, KEY, OURS, USER } from './record.ts'
import type { Identity } from './record.ts'

/* Takes batches apart as the log has them; record.ts shows their layout. Anyone may have written them. */

const COMPRESSION = 0b111
const LOG_APPEND_TIME = 0b1000
const CONTROL = 0b100000
const EMPTY = Buffer.alloc(0)
/** Bytes that are not worth a copy. */
const SMALL = 2048

export interface DecodedBatches {
  readonly records: LogRecord[]
  /** Where to read on. Lies beyond the last record where what follows it is not for readers. */
  readonly next: Offset
  /** Batches that nobody can read, such as a compression that is not what it says. They are passed over. */
  readonly unreadable: number
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

/**
 * Of repeated headers the first counts; what is null or not UTF-8 does not reach a reader. Undefined: the record is not for
 * readers at all.
 */
const readHeaders = (cursor: Cursor): Map<string, string> | undefined => {
  const headers = new Map<string, string>()
  const count = cursor.varint()
  for (let i = 0; i < count; i++) {
    const name = textOf(cursor.bytes())
    const value = textOf(cursor.bytes())
    if (name === undefined || value === undefined) continue
    if (name === BARRIER) return undefined
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

/** Visits the records of a batch at or after `from`, in order, until `visit` says that it has had enough. */
const eachRecord = (
  bytes: Buffer,
  batch: Batch,
  from: Offset,
  visit: (offset: Offset, time: number, length: number, cursor: Cursor) => boolean,
): void => {
  const cursor = openBatch(bytes, batch)
  const count = bytes.readInt32BE(batch.start + 57)
  const firstTimestamp = Number(bytes.readBigInt64BE(batch.start + 27))
  const maxTimestamp = Number(bytes.readBigInt64BE(batch.start + 35))
  for (let i = 0; i < count; i++) {
    const length = cursor.varint()
    const end = cursor.at + length
    if (!(end > cursor.at)) throw new RangeError('a record has no length')
    cursor.at++
    const delta = cursor.varint()
    const offset = batch.first + BigInt(cursor.varint())
    const time = (batch.attributes & LOG_APPEND_TIME) !== 0 ? maxTimestamp : firstTimestamp + delta
    if (offset >= from && !visit(offset, time, length, cursor)) return
    cursor.at = end
  }
}

const readBatch = (bytes: Buffer, batch: Batch, from: Offset, limits: Limits) => {
  const records: LogRecord[] = []
  let size = 0
  eachRecord(bytes, batch, from, (offset, time, length, cursor) => {
    const sender = textOf(cursor.bytes()) ?? ''
    const body = cursor.bytes() ?? EMPTY
    const headers = readHeaders(cursor)
    if (headers) {
      records.push({ offset, time, sender, headers, body })
      size += length
    }
    return records.length < limits.records && size < limits.bytes
  })
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
    if (left.records <= 0 || left.bytes <= 0) {
      next = all.at(-1)!.offset + 1n
      break
    }
    next = batch.next
  }
  return { records: apart(all, bytes), next, unreadable }
}

/**
 * `records` without the broker's answer, which is of many rooms, where that is large beside their bodies: whoever keeps
 * some of them would keep it all in memory.
 */
const apart = (records: LogRecord[], { buffer }: Buffer): LogRecord[] => {
  const size = records.reduce((sum, { body }) => sum + body.length, 0)
  if (buffer.byteLength <= Math.max(SMALL, 4 * size)) return records
  const bodies = Buffer.allocUnsafeSlow(size)
  let at = 0
  return records.map(record => {
    const start = at
    at += record.body.copy(bodies, start)
    return { ...record, body: bodies.subarray(start, at) }
  })
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

/** A record that was written with an idempotency key. */
export interface Keyed {
  readonly offset: Offset
  readonly time: number
  readonly sender: string
  readonly key: string
}

const readKey = (cursor: Cursor): string | undefined => {
  const count = cursor.varint()
  for (let i = 0; i < count; i++) {
    const name = textOf(cursor.bytes())
    const value = textOf(cursor.bytes())
    if (name === KEY) return value
  }
  return undefined
}

/** The records with keys from `from` up to and without `to`; `next` is where to look on. What nobody can read is passed over. */
export const findKeyed = (bytes: Buffer, from: Offset, to: Offset): { keyed: Keyed[]; next: Offset } => {
  const keyed: Keyed[] = []
  let next = from
  for (const batch of batchesIn(bytes)) {
    if (batch.next <= from) continue
    if (batch.first >= to) return { keyed, next: to }
    if ((batch.attributes & CONTROL) === 0) {
      try {
        eachRecord(bytes, batch, from, (offset, time, _length, cursor) => {
          if (offset >= to) return false
          const sender = textOf(cursor.bytes()) ?? ''
          cursor.bytes()
          const key = readKey(cursor)
          if (key !== undefined) keyed.push({ offset, time, sender, key })
          return true
        })
      } catch {
        // Whoever wrote this has not written it with a key of ours.
      }
    }
    next = batch.next
  }
  return { keyed, next }
}
