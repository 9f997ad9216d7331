import type { Offset, Position, RoomLog } from '../ports/room-log.ts'
import type { LocalRoom } from './local-room.ts'

/** Where a subscription begins: with what is sent from now on, the newest n, or after a message the client has had. */
export type Start = 'now' | { readonly last: number } | { readonly after: Position | 'unknown' }

/** `recovered`: for `after`, whether everything since that message is there; otherwise delivery begins with the earliest. */
export interface Place {
  readonly next: Offset
  readonly recovered?: boolean
}

/** Finds `start` in a room whose tail is fixed. Rejects as the log does. */
export const place = async (room: LocalRoom, log: RoomLog, start: Start): Promise<Place> => {
  if (start === 'now') return { next: room.recent.next }
  const { epoch } = room
  const found = 'last' in start ? await placeLast(room, log, start.last) : await placeAfter(room, log, start.after)
  // Made anew while we looked: all there is of it is what has been tailed since.
  return room.epoch === epoch ? found : { next: room.recent.first, recovered: false }
}

const placeAfter = async (room: LocalRoom, log: RoomLog, after: Position | 'unknown'): Promise<Place> => {
  if (after !== 'unknown' && after.epoch === room.epoch) {
    const next = after.offset + 1n
    if (next >= room.recent.first && next <= room.recent.next) return { next, recovered: true }
    const { first, next: end } = await log.bounds(room.id)
    return next >= first && next <= end ? { next, recovered: true } : { next: first, recovered: false }
  }
  return { next: (await log.bounds(room.id)).first, recovered: false }
}

/** Offsets may have gaps, so the n-th newest is found by reading backwards, in growing steps, until n are there. */
const placeLast = async (room: LocalRoom, log: RoomLog, n: number): Promise<Place> => {
  if (room.recent.count < n && room.recent.first > 0n) await room.extend()
  if (room.recent.count >= n) return { next: room.recent.nthNewest(n) }
  const { first } = await log.bounds(room.id)
  const edge = room.recent.first
  const missing = n - room.recent.count
  for (let step = BigInt(missing); ; step *= 4n) {
    const from = edge - step > first ? edge - step : first
    const offsets = await offsetsBetween(log, room, from, edge)
    if (offsets.length >= missing) return { next: offsets[offsets.length - missing]! }
    if (from === first) return { next: first }
  }
}

const offsetsBetween = async (log: RoomLog, room: LocalRoom, from: Offset, edge: Offset): Promise<Offset[]> => {
  const offsets: Offset[] = []
  for (let next = from; next < edge;) {
    const page = await log.read(room.id, next, 1000)
    for (const { offset } of page) if (offset < edge) offsets.push(offset)
    if (page.length === 0) break
    next = page[page.length - 1]!.offset + 1n
  }
  return offsets
}
