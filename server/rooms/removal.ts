import { recordChange } from '../database/access-changes.ts'
import type { Tx } from '../database/database.ts'
import { enqueueRemove } from '../database/outbox.ts'
import { fail } from '../errors.ts'
import type { RoomId } from '../ports/room-log.ts'
import { hold, lockRow } from './room.ts'

/**
 * How long a log outlives its room, ms: until every node has ended its subscriptions to it, to which the end of the log would
 * be an error.
 */
const LOG_OUTLIVES = 2_000

/** Members that one statement removes: of the largest room all would take too long for one. */
const AT_ONCE = 5_000

/** Deletes a room with all that belongs to it, its log too. Only its owner may. */
export const deleteRoom = async (tx: Tx, id: RoomId, actor: string): Promise<void> => {
  await hold(tx, id, actor, 'delete')
  await remove(tx, id)
}

/** The same, whoever asks: for admins, and for a room that nobody is left in. Rejects with NO_SUCH_ROOM. */
export const removeRoom = async (tx: Tx, id: RoomId): Promise<void> => {
  if (!(await lockRow(tx, id))) throw fail('NO_SUCH_ROOM', id)
  await remove(tx, id)
}

const remove = async (tx: Tx, id: RoomId): Promise<void> => {
  await removeMembers(tx, id)
  await tx.deleteFrom('rooms').where('id', '=', id).execute()
  await enqueueRemove(tx, id, LOG_OUTLIVES)
  await recordChange(tx, { kind: 'room', room: id })
}

const removeMembers = async (tx: Tx, id: RoomId): Promise<void> => {
  for (;;) {
    const some = tx.selectFrom('members').select('user_id').where('room_id', '=', id).limit(AT_ONCE)
    const removed = await tx
      .deleteFrom('members')
      .where('room_id', '=', id)
      .where('user_id', 'in', some)
      .executeTakeFirst()
    if (removed.numDeletedRows < AT_ONCE) return
  }
}
