import type { Tx } from '../database/database.ts'
import type { Role } from '../database/schema.ts'
import { fail } from '../errors.ts'
import { beginReading } from '../messages/index.ts'
import { TOLD_UP_TO, type Telling } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import { announce } from './announce.ts'
import type { Room } from './room.ts'
import { settle, takeBack } from './settling.ts'

/**
 * The name key of a user who is there and stays until the transaction ends: their account cannot be deleted meanwhile.
 * Rejects with NO_SUCH_USER.
 */
export const holdUser = async (tx: Tx, user: string): Promise<string> => {
  const row = await tx
    .selectFrom('users')
    .select('name_key')
    .where('id', '=', user)
    .where('deleted_at', 'is', null)
    .forKeyShare()
    .executeTakeFirst()
  if (!row) throw fail('NO_SUCH_USER', user)
  return row.name_key!
}

/** What somebody is told of their own place in a room, on each of their devices: by it they keep the list of their rooms. */
export const placeNews = (user: string, room: RoomId, role: Role | 'none'): Telling => ({
  user,
  event: { type: 'membership', body: { room, role } },
})

/**
 * Makes someone who is neither member nor banned a member of a room whose row is locked, which settles the invitation that
 * they had. Resolves with whom to tell. Rejects with ROOM_FULL and NO_SUCH_USER.
 */
export const addMember = async (tx: Tx, room: Room, user: string, role: Role = 'member'): Promise<Telling[]> => {
  const nameKey = await holdUser(tx, user)
  if (room.member_count >= room.max_members) throw fail('ROOM_FULL', room.id)
  await tx.insertInto('members').values({ room_id: room.id, user_id: user, role, name_key: nameKey }).execute()
  await beginReading(tx, room.id, user)
  const members = await count(tx, room.id, 1)
  if (members <= TOLD_UP_TO && role !== 'owner') await announce(tx, room.id, user, { event: 'joined', user })
  return [placeNews(user, room.id, role), ...(await settle(tx, room.id, { invitee_id: user }, 'accepted'))]
}

/**
 * Ends the membership of a member of a room whose row is locked, by `actor`; with it go the invitations that they have sent, and
 * the links that they have made.
 * Resolves with whom to tell. That their rights end is for the caller to record.
 */
export const removeMember = async (tx: Tx, room: Room, user: string, actor: string): Promise<Telling[]> => {
  await tx.deleteFrom('members').where('room_id', '=', room.id).where('user_id', '=', user).execute()
  const members = await count(tx, room.id, -1)
  if (members < TOLD_UP_TO) await announce(tx, room.id, actor, { event: 'left', user })
  return [placeNews(user, room.id, 'none'), ...(await takeBack(tx, room, user, 'outsider'))]
}

const count = async (tx: Tx, room: RoomId, change: 1 | -1): Promise<number> => {
  const { member_count } = await tx
    .updateTable('rooms')
    .set(eb => ({ member_count: eb('member_count', '+', change) }))
    .where('id', '=', room)
    .returning('member_count')
    .executeTakeFirstOrThrow()
  return member_count
}
