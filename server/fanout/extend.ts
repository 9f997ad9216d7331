import type { LogRecord, Offset } from '../ports/room-log.ts'
import { batchesOf, sizeOf } from './batch.ts'
import type { LocalRoom } from './local-room.ts'

/** How far back the recent records are filled from the log. */
export const EXTEND_RECORDS = 1000n
const EXTEND_BYTES = 4 * 1024 * 1024

/**
 * Fills a room's recent records backwards from the log: once for everyone who comes back at the same time, so that ten
 * thousand clients of a node that died do not each read the log. Rejects as the log does.
 */
export const extend = async (room: LocalRoom): Promise<void> => {
  const { recent, tail } = room
  const edge = recent.first
  const { start, records } = await newestBefore(room, edge)
  // What retention took meanwhile is not there for those who come back: they have to be told.
  const { first } = await room.bounds()
  // Someone dropped records, or the tail broke off: there could be a hole, or records of another life.
  if (tail === undefined || room.tail !== tail || recent.first !== edge) return
  const from = first > start ? first : start
  if (from >= edge) return
  const kept = records.filter(record => record.offset >= from)
  recent.prepend([...batchesOf(room.id, room.epoch, room.shown(kept))], from)
}

/** All records from `start` to before `edge`, of which so many that they are not too large. */
const newestBefore = async (room: LocalRoom, edge: Offset): Promise<{ start: Offset; records: LogRecord[] }> => {
  let start = edge > EXTEND_RECORDS ? edge - EXTEND_RECORDS : 0n
  let records: LogRecord[] = []
  for (let next = start; next < edge;) {
    const page = await room.read(next, Number(EXTEND_RECORDS))
    for (const record of page) if (record.offset < edge) records.push(record)
    next = page.length === 0 ? edge : page[page.length - 1]!.offset + 1n
    const excess = excessOf(records)
    if (excess > 0) start = records[excess - 1]!.offset + 1n
    records = records.slice(excess)
  }
  return { start, records }
}

/** How many of the oldest of `records` are too much. */
const excessOf = (records: readonly LogRecord[]): number => {
  let i = records.length
  for (let bytes = 0; i > 0; i--) {
    bytes += sizeOf(records, i - 1, i)
    if (bytes > EXTEND_BYTES) break
  }
  return i
}
