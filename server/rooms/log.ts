import { transaction, type Db } from '../database/database.ts'
import { fail } from '../errors.ts'
import type { RoomLog } from '../ports/room-log.ts'

/**
 * The log as the bridge is to use it: what it makes when somebody first reads or writes in a room, it makes for rooms that
 * there are, and not for one that is being deleted. The room's row is locked meanwhile, so that its removal comes after.
 */
export const logOfRooms = (db: Db, log: RoomLog): RoomLog => ({
  append: (room, records) => log.append(room, records),
  tail: (room, from, sink) => log.tail(room, from, sink),
  read: (room, from, limit) => log.read(room, from, limit),
  bounds: room => log.bounds(room),
  remove: (room, before) => log.remove(room, before),
  create: rooms =>
    transaction(db, async tx => {
      const there = await tx
        .selectFrom('rooms')
        .select('id')
        .where('id', 'in', [...rooms])
        .orderBy('id')
        .forKeyShare()
        .execute()
      const known = new Set(there.map(({ id }) => id))
      const missing = rooms.find(room => !known.has(room))
      if (missing !== undefined) throw fail('NO_SUCH_ROOM', missing)
      await log.create(rooms)
    }),
})
