import { toHoofbeatError } from '../errors.ts'
import { destinationOf, parseDestination, signalsOf } from '../fanout/destination.ts'
import type { RoomId } from '../ports/room-log.ts'
import type { Connection, Subscribed } from './connection.ts'

/** Ends a subscription wherever it has got to. */
export const leave = (subscribed: Subscribed): void => {
  if (subscribed.ended) return
  subscribed.ended = true
  subscribed.subscription?.end()
  subscribed.stop?.()
}

const roomOf = ({ destination }: Subscribed): RoomId | undefined => {
  const place = parseDestination(destination)
  return 'room' in place ? place.room : undefined
}

/**
 * Rights of the user may have ended, in `room` or (undefined) in any: whatever this connection is subscribed to and may not
 * read any more ends. Where nobody can tell whether it may, the connection ends, with the reason.
 */
export const reconsider = async (connection: Connection, room: RoomId | undefined): Promise<void> => {
  const rooms = new Set<RoomId>()
  for (const subscribed of connection.subscriptions.values()) {
    if (subscribed.ended || (room !== undefined && !subscribed.destination.endsWith(room))) continue
    const place = roomOf(subscribed)
    if (place !== undefined && (room === undefined || place === room)) rooms.add(place)
  }
  const { access } = connection.around
  try {
    for (const each of rooms) if (!(await access.mayRead(connection.identity, each))) revoke(connection, each)
  } catch (error) {
    connection.fail(toHoofbeatError(error))
  }
}

/**
 * The right to read `room` has ended: so do this connection's subscriptions to it, silently; what waits of it is dropped, and
 * the user's own queue is told. Their ids stay in use until UNSUBSCRIBE, and what was received can be acknowledged.
 */
export const revoke = (connection: Connection, room: RoomId): void => {
  const lost = [...connection.subscriptions.values()].filter(each => !each.ended && roomOf(each) === room)
  if (lost.length === 0) return
  for (const subscribed of lost) leave(subscribed)
  connection.drop(destinationOf(room))
  connection.drop(signalsOf(room))
  // It comes once for each room that was subscribed to, and nobody could find out otherwise.
  connection.own.tellEvent({ type: 'removed', body: { room } }, true)
}
