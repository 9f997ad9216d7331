import type { RoomId, Offset } from '../../ports/room-log.ts'

// The one key space of the embedded log. A life is 8 random bytes, drawn each time that a room is made: the room's epoch.
// Numbers are big-endian and unsigned, so that rows sort as their numbers do.
//
//   'v'                                → format 1
//   'm' room name                      → life 8, first offset 8          the rooms there are
//   'r' life 8, offset 8               → record                          (record.ts)
//   'k' life 8, sender length 4,
//       sender, idempotency key        → time 6, offset 8                when a key was used, and for which record
//   'x' time 6, life 8, offset 8       → (length 4, 'k' row)…            the keys of one batch, so that old ones are found;
//                                                                        it is named by the record of the first
//   'd' life 8, end offset 8           → (empty)                         records before the end are being removed
//
// What counts is the 'm' row: without it no record of that life can be reached, whatever is still there.

export const FORMAT_ROW: Buffer = Buffer.from('v')
export const FORMAT: Buffer = Buffer.from([1])
/** An offset that no record reaches. */
export const NO_END: Offset = 0xffff_ffff_ffff_ffffn

interface Range {
  readonly gte: Buffer
  readonly lt: Buffer
}

const tagged = (tag: string, length: number): Buffer => {
  const row = Buffer.allocUnsafe(1 + length)
  row[0] = tag.charCodeAt(0)
  return row
}

export const everything = (tag: 'm' | 'd' | 'x'): Range => ({
  gte: Buffer.from(tag),
  lt: Buffer.from([tag.charCodeAt(0) + 1]),
})

export const roomRow = (room: RoomId): Buffer => Buffer.from(`m${room}`)
export const roomOfRow = (row: Buffer): RoomId => row.toString('utf8', 1)
export const roomValue = (life: Buffer, first: Offset): Buffer => {
  const value = Buffer.allocUnsafe(16)
  life.copy(value)
  value.writeBigUInt64BE(first, 8)
  return value
}
export const readRoomValue = (value: Buffer): { life: Buffer; first: Offset } => ({
  life: value.subarray(0, 8),
  first: value.readBigUInt64BE(8),
})

const lifeRow = (tag: string, life: Buffer, offset: Offset): Buffer => {
  const row = tagged(tag, 16)
  life.copy(row, 1)
  row.writeBigUInt64BE(offset, 9)
  return row
}
export const recordRow = (life: Buffer, offset: Offset): Buffer => lifeRow('r', life, offset)
export const recordRows = (life: Buffer, from: Offset, before: Offset): Range => ({
  gte: recordRow(life, from),
  lt: recordRow(life, before),
})
export const offsetOfRow = (row: Buffer): Offset => row.readBigUInt64BE(9)

export const removalRow = (life: Buffer, end: Offset): Buffer => lifeRow('d', life, end)
export const readRemovalRow = (row: Buffer): { life: Buffer; end: Offset } => ({
  life: row.subarray(1, 9),
  end: row.readBigUInt64BE(9),
})

export const keyRow = (life: Buffer, sender: string, key: string): Buffer => {
  const senderBytes = Buffer.byteLength(sender)
  const row = tagged('k', 12 + senderBytes + Buffer.byteLength(key))
  life.copy(row, 1)
  row.writeUInt32BE(senderBytes, 9)
  row.write(sender, 13)
  row.write(key, 13 + senderBytes)
  return row
}
/** The keys of a life. No sender is 4 GiB long, so nothing sorts after the upper end. */
export const keyRows = (life: Buffer): Range => ({
  gte: Buffer.concat([Buffer.from('k'), life]),
  lt: Buffer.concat([Buffer.from('k'), life, Buffer.from([0xff])]),
})

/** When a key was used, and for which record. */
export interface Use {
  readonly time: number
  readonly offset: Offset
}
export const useValue = ({ time, offset }: Use): Buffer => {
  const value = Buffer.allocUnsafe(14)
  value.writeUIntBE(time, 0, 6)
  value.writeBigUInt64BE(offset, 6)
  return value
}
export const readUseValue = (value: Buffer): Use => ({
  time: value.readUIntBE(0, 6),
  offset: value.readBigUInt64BE(6),
})

export const usedRow = (time: number, life: Buffer, offset: Offset): Buffer => {
  const row = tagged('x', 22)
  row.writeUIntBE(time, 1, 6)
  life.copy(row, 7)
  row.writeBigUInt64BE(offset, 15)
  return row
}
export const timeOfUsedRow = (row: Buffer): number => row.readUIntBE(1, 6)
export const usedValue = (rows: readonly Buffer[]): Buffer =>
  Buffer.concat(
    rows.flatMap(row => {
      const length = Buffer.allocUnsafe(4)
      length.writeUInt32BE(row.length)
      return [length, row]
    }),
  )
export const readUsedRows = (value: Buffer): Buffer[] => {
  const rows: Buffer[] = []
  for (let at = 0; at < value.length;) {
    const end = at + 4 + value.readUInt32BE(at)
    rows.push(value.subarray(at + 4, end))
    at = end
  }
  return rows
}
