import type { LogRecord, NewRecord, Offset } from '../../ports/room-log.ts'

// The value of a record's row. Lengths are in bytes of UTF-8, 4 bytes each; time is epoch ms, 6 bytes. The offset is in
// the row's key.
//
//   time | sender length, sender | number of headers | (name length, name, value length, value)… | body
//
// The idempotency key is no part of it: it has rows of its own.

/** How many bytes `encode` needs at most: a character of a string takes up to 3. */
export const bytesAtMost = ({ sender, headers, body }: NewRecord): number => {
  let bytes = 14 + 3 * sender.length + body.length
  for (const [name, value] of headers) bytes += 8 + 3 * (name.length + value.length)
  return bytes
}

const writeText = (text: string, into: Buffer, at: number): number => {
  const bytes = into.write(text, at + 4)
  into.writeUInt32BE(bytes, at)
  return at + 4 + bytes
}

/** Writes the value into `into`, which has room for it, and answers its length. */
export const encode = ({ sender, headers, body }: NewRecord, time: number, into: Buffer): number => {
  into.writeUIntBE(time, 0, 6)
  let at = writeText(sender, into, 6)
  at = into.writeUInt32BE(headers.size, at)
  for (const [name, value] of headers) at = writeText(value, into, writeText(name, into, at))
  body.copy(into, at)
  return at + body.length
}

/** The record at `offset`; its body shares memory with `value`. */
export const decode = (offset: Offset, value: Buffer): LogRecord => {
  let at = 6
  const readText = (): string => {
    const start = at + 4
    at = start + value.readUInt32BE(at)
    return value.toString('utf8', start, at)
  }
  const sender = readText()
  const headers = new Map<string, string>()
  let count = value.readUInt32BE(at)
  for (at += 4; count > 0; count--) headers.set(readText(), readText())
  return { offset, time: value.readUIntBE(0, 6), sender, headers, body: value.subarray(at) }
}
