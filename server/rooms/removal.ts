import { recordChange } from '../database/access-changes.ts'
import type { Tx } from '../database/database.ts'
import { enqueueRemove } from '../database/outbox.ts'
import { fail } from '../errors.ts'
import { eraseRoom } from '../messages/index.ts'
import { TOLD_UP_TO, type Telling } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import { placeNews } from './membership.ts'
import { hold, lockRow, type Room } from './room.ts'
import { settle } from './settling.ts'

/**
 * How long a log outlives its room, ms: until every node has ended its subscriptions to it, to which the end of the log would
 * be an error.
 */
const LOG_OUTLIVES = 2_000

/** Members that one statement removes: of the largest room all would take too long for one. */
const AT_ONCE = 5_000

/**
 * Deletes a room with all that belongs to it, its log too. Only its owner may. Resolves with whom to tell: who was invited, by
 * whom, and the members, unless there are too many to tell each.
 */
export const deleteRoom = async (tx: Tx, id: RoomId, actor: string): Promise<Telling[]> => {
  const { room } = await hold(tx, id, actor, 'delete')
  return remove(tx, room)
}

/** The same, whoever asks: for admins, and for a room that nobody is left in. Rejects with NO_SUCH_ROOM. */
export const removeRoom = async (tx: Tx, id: RoomId): Promise<Telling[]> => {
  const room = await lockRow(tx, id)
  if (!room) throw fail('NO_SUCH_ROOM', id)
  return remove(tx, room)
}

const remove = async (tx: Tx, { id, member_count: count }: Room): Promise<Telling[]> => {
  const telling = await settle(tx, id, {}, 'revoked')
  if (count <= TOLD_UP_TO) {
    const members = await tx.selectFrom('members').select('user_id').where('room_id', '=', id).execute()
    for (const { user_id: user } of members) telling.push(placeNews(user, id, 'none'))
  }
  await removeMembers(tx, id)
  await tx.deleteFrom('rooms').where('id', '=', id).execute()
  await eraseRoom(tx, id)
  await enqueueRemove(tx, id, LOG_OUTLIVES)
  await recordChange(tx, { kind: 'room', room: id })
  return telling
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
