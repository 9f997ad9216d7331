import { recordChange } from '../database/access-changes.ts'
import type { Tx } from '../database/database.ts'
import { fail } from '../errors.ts'
import type { Telling } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import { addMember, placeNews, removeMember } from './membership.ts'
import { removeRoom } from './removal.ts'
import { give } from './roles.ts'
import { demand, hold, holdUpon, lockRow, standingOf } from './room.ts'
import { invitationNews } from './settling.ts'

// What somebody does resolves with whom to tell of it, when it is committed.

/** Makes `actor` a member of a public room; of one that they are in already nothing changes. Rejects with ROOM_FULL. */
export const join = async (tx: Tx, id: RoomId, actor: string): Promise<Telling[]> => {
  const { room, mine } = await hold(tx, id, actor, 'read')
  // Whoever may read and is no member is an outsider of a public room.
  return mine === 'outsider' ? addMember(tx, room, actor) : []
}

/** Ends the membership of `actor`. Rejects with OWNER_STAYS, and with FORBIDDEN where they are no member or it is a direct room. */
export const leave = async (tx: Tx, id: RoomId, actor: string): Promise<Telling[]> => {
  const held = await hold(tx, id, actor, 'read')
  if (held.mine === 'owner') throw fail('OWNER_STAYS')
  demand(held, 'leave')
  const telling = await removeMember(tx, held.room, actor, actor)
  await recordChange(tx, { kind: 'member', user: actor, room: id })
  return telling
}

/** Ends the membership of `user`, who may come back. */
export const kick = async (tx: Tx, id: RoomId, actor: string, user: string): Promise<Telling[]> => {
  const { room } = await holdUpon(tx, id, actor, 'kick', user)
  const telling = await removeMember(tx, room, user, actor)
  await recordChange(tx, { kind: 'member', user, room: id })
  return telling
}

/**
 * Takes `user`, whose account ends, out of every room, with their invitations and bans. What they own goes to the admin who has
 * been there longest, else to such a member; a room that nobody is left in is deleted. Resolves with whom to tell.
 */
export const leaveEverything = async (tx: Tx, user: string): Promise<Telling[]> => {
  const rooms = await tx
    .selectFrom('members')
    .select('room_id')
    .where('user_id', '=', user)
    .orderBy('room_id')
    .execute()
  const telling: Telling[] = []
  for (const { room_id: id } of rooms) telling.push(...(await leaveBehind(tx, id, user)))
  const invitations = await tx
    .deleteFrom('invitations')
    .where(eb => eb.or({ inviter_id: user, invitee_id: user }))
    .returningAll()
    .execute()
  // Those that they had sent went with their memberships.
  for (const each of invitations) {
    if (each.state === 'pending') telling.push(invitationNews(each.inviter_id, { ...each, state: 'declined' }))
  }
  await tx.deleteFrom('bans').where('user_id', '=', user).execute()
  return telling
}

const leaveBehind = async (tx: Tx, id: RoomId, user: string): Promise<Telling[]> => {
  const room = await lockRow(tx, id)
  const mine = await standingOf(tx, id, user)
  // Deleted, or kicked out, while the lock was waited for.
  if (!room || mine === 'outsider' || mine === 'banned') return []
  if (room.member_count === 1) return removeRoom(tx, id)
  const telling = await removeMember(tx, room, user, user)
  if (mine === 'owner' || room.visibility === 'direct') {
    const first = await longestThere(tx, id)
    // Whom a direct room is with is said where it is listed.
    const news =
      mine === 'owner' ? await give(tx, id, user, { user: first, role: 'owner' }) : placeNews(first, id, 'member')
    telling.push(news)
  }
  await recordChange(tx, { kind: 'member', user, room: id })
  return telling
}

/** Of admins, else of members. */
const longestThere = async (tx: Tx, id: RoomId): Promise<string> => {
  const { user_id: user } = await tx
    .selectFrom('members')
    .select('user_id')
    .where('room_id', '=', id)
    .orderBy(eb => eb('role', '=', 'admin'), 'desc')
    .orderBy('joined_at')
    .orderBy('user_id')
    .limit(1)
    .executeTakeFirstOrThrow()
  return user
}
