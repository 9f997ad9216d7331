import { isUtf8 } from 'node:buffer'
import type { Epoch, RoomId } from '../ports/room-log.ts'
import { encodeHeader } from '../stomp/encoder.ts'
import type { Version } from '../stomp/frame.ts'
import { destinationOf, messageId } from './destination.ts'
import type { Shown } from './erasure.ts'
import { isReserved, SENDER_NAME } from './reserved.ts'

/** What of the MESSAGE frames of some records is the same in all styles of a version: what follows subscription and ack. */
export interface Tails {
  /** All of them, one after the other: one piece of memory, of which nothing else keeps or is kept by a part. */
  readonly bytes: Buffer
  /** Where the tail of each record ends; it begins where the one before ends. */
  readonly ends: readonly number[]
  /** Whether all of a record's frame is UTF-8. */
  readonly text: readonly boolean[]
}

export const encodeTails = (room: RoomId, epoch: Epoch, records: readonly Shown[], version: Version): Tails => {
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

const headOf = (epoch: Epoch, { offset, time, sender, headers, body, erased }: Shown, version: Version): string => {
  let head = `message-id:${messageId(epoch, offset)}\ntimestamp:${time}\n`
  if (sender !== '') head += encodeHeader('sender', sender, version)
  if (erased) head += 'erased:true\n'
  for (const [name, value] of headers) {
    if (!isReserved(name) || (name === SENDER_NAME && sender !== '')) head += encodeHeader(name, value, version)
  }
  return `${head}content-length:${body.length}\n\n`
}
