import { isUtf8 } from 'node:buffer'
import type { Epoch, LogRecord, RoomId } from '../ports/room-log.ts'
import { encodeHeader } from '../stomp/encoder.ts'
import type { Version } from '../stomp/frame.ts'
import { destinationOf, messageId } from './destination.ts'

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
  'receipt-id',
  'transaction',
  'idempotency-key',
  'recovered',
  'first',
])
/** Some clients trim the names that they read, so white space around a name does not make it another one. */
export const isReserved = (name: string): boolean => RESERVED.has(name.trim())

/** By this header of a record that the server itself decided on, readers know a repeat of it: no sender may set it. */
const ENTRY_ID = 'entry-id'
/** Whether a header of a SEND is kept with its record. */
export const isKept = (name: string): boolean => !isReserved(name) && name.trim() !== ENTRY_ID

/** What of the MESSAGE frames of some records is the same in all styles of a version: what follows subscription and ack. */
export interface Tails {
  /** All of them, one after the other: one piece of memory, of which nothing else keeps or is kept by a part. */
  readonly bytes: Buffer
  /** Where the tail of each record ends; it begins where the one before ends. */
  readonly ends: readonly number[]
  /** Whether all of a record's frame is UTF-8. */
  readonly text: readonly boolean[]
}

export const encodeTails = (room: RoomId, epoch: Epoch, records: readonly LogRecord[], version: Version): Tails => {
  const destination = encodeHeader('destination', destinationOf(room), version)
  const heads = records.map(record => destination + headOf(epoch, record, version))
  const ends: number[] = []
  let total = 0
  for (const [i, { body }] of records.entries()) ends.push((total += Buffer.byteLength(heads[i]!) + body.length + 1))
  const bytes = Buffer.allocUnsafeSlow(total)
  let at = 0
  for (const [i, { body }] of records.entries()) {
    at += bytes.write(heads[i]!, at)
    at += body.copy(bytes, at)
    bytes[at++] = 0
  }
  return { bytes, ends, text: records.map(({ body }) => isUtf8(body)) }
}

const headOf = (epoch: Epoch, { offset, time, sender, headers, body }: LogRecord, version: Version): string => {
  let head = `message-id:${messageId(epoch, offset)}\ntimestamp:${time}\n`
  if (sender !== '') head += encodeHeader('sender', sender, version)
  for (const [name, value] of headers) if (!isReserved(name)) head += encodeHeader(name, value, version)
  return `${head}content-length:${body.length}\n\n`
}
