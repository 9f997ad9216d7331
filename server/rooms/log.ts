import type { Db } from '../database/database.ts'
import { fail } from '../errors.ts'
import type { RoomId, RoomLog } from '../ports/room-log.ts'

/**
 * The log as the bridge is to use it: what it makes when somebody first reads or writes in a room, it makes for rooms that
 * there are, and not for one that is being deleted. Nothing of the database is held meanwhile, however long the log takes.
 */
export const logOfRooms = (db: Db, log: RoomLog): RoomLog => ({
  append: (room, records) => log.append(room, records),
  tail: (room, from, sink) => log.tail(room, from, sink),
  read: (room, from, limit) => log.read(room, from, limit),
  bounds: room => log.bounds(room),
  remove: (room, before) => log.remove(room, before),
  create: async rooms => {
    const [unknown] = await missing(db, rooms)
    if (unknown !== undefined) throw fail('NO_SUCH_ROOM', unknown)
    await log.create(rooms)
    // One that was deleted meanwhile may have had its log removed before there was one. Ids do not come back.
    const gone = await missing(db, rooms)
    for (const room of gone) await log.remove(room)
    if (gone[0] !== undefined) throw fail('NO_SUCH_ROOM', gone[0])
  },
})

/** Those of `rooms` that there are not. */
const missing = async (db: Db, rooms: readonly RoomId[]): Promise<RoomId[]> => {
  const there = await db
    .selectFrom('rooms')
    .select('id')
    .where('id', 'in', [...rooms])
    .execute()
  const known = new Set(there.map(({ id }) => id))
  return rooms.filter(room => !known.has(room))
}
