import type { Bounds, Offset, Position } from '../ports/room-log.ts'
import type { LocalRoom } from './local-room.ts'

/** Where a subscription begins: with what is sent from now on, the newest n, or after a message the client has had. */
export type Start = 'now' | { readonly last: number } | { readonly after: Position | 'unknown' }

/** `recovered`: for `after`, whether everything since that message is there; otherwise delivery begins with the earliest. */
export interface Place {
  readonly next: Offset
  readonly recovered?: boolean
}

/** Finds `start` in a room whose tail is fixed; it holds while the room's epoch stays. Rejects as the log does. */
export const place = async (room: LocalRoom, start: Start): Promise<Place> => {
  if (start === 'now') return { next: room.recent.next }
  return 'last' in start ? placeLast(room, start.last) : placeAfter(room, start.after)
}

const placeAfter = async (room: LocalRoom, after: Position | 'unknown'): Promise<Place> => {
  const wanted = after !== 'unknown' && after.epoch === room.epoch ? after.offset + 1n : undefined
  const { first, next } = room.recent
  if (wanted !== undefined && wanted >= first && wanted <= next) return { next: wanted, recovered: true }
  const bounds = await room.bounds()
  if (isMadeAnew(room, bounds)) return { next: room.recent.next, recovered: false }
  if (wanted !== undefined && wanted >= bounds.first && wanted <= bounds.next) return { next: wanted, recovered: true }
  return { next: bounds.first, recovered: false }
}

/** The tail does not know it yet; when it does, all go on at the beginning of the new life and are told. */
const isMadeAnew = (room: LocalRoom, bounds: Bounds): boolean => bounds.epoch !== room.epoch

/** Offsets may have gaps, so the n-th newest is found by reading backwards, in growing steps, until n are there. */
const placeLast = async (room: LocalRoom, n: number): Promise<Place> => {
  if (room.recent.count < n && room.recent.first > 0n) await room.extend()
  if (room.recent.count >= n) return { next: room.recent.nthNewest(n) }
  const bounds = await room.bounds()
  if (isMadeAnew(room, bounds)) return { next: room.recent.next }
  const { first } = bounds
  const edge = room.recent.first
  // Records that came meanwhile count.
  const missing = n - room.recent.count
  if (missing <= 0) return { next: room.recent.nthNewest(n) }
  let offsets: Offset[]
  let from: Offset
  let step = BigInt(missing)
  do {
    from = edge - step > first ? edge - step : first
    offsets = await offsetsBetween(room, from, edge)
    step *= 4n
  } while (offsets.length < missing && from > first)
  return { next: offsets.at(-missing) ?? first }
}

const offsetsBetween = async (room: LocalRoom, from: Offset, edge: Offset): Promise<Offset[]> => {
  const offsets: Offset[] = []
  for (let next = from; next < edge;) {
    const page = await room.read(next, 1000)
    for (const { offset } of page) if (offset < edge) offsets.push(offset)
    if (page.length === 0) break
    next = page[page.length - 1]!.offset + 1n
  }
  return offsets
}
