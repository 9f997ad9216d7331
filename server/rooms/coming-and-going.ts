import { recordChange } from '../database/access-changes.ts'
import type { Tx } from '../database/database.ts'
import { fail } from '../errors.ts'
import type { Telling } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import { addMember, placeNews, removeMember } from './membership.ts'
import { removeRoom } from './removal.ts'
import { give } from './roles.ts'
import { demand, hold, holdUpon, lockRow } from './room.ts'
import { invitationNews } from './settling.ts'

// What somebody does resolves with whom to tell of it, when it is committed.

/** Makes `actor` a member of a public room; of one that they are in already nothing changes. Rejects with ROOM_FULL. */
export const join = async (tx: Tx, id: RoomId, actor: string): Promise<Telling[]> => {
  const held = await hold(tx, id, actor, 'read')
  if (held.mine !== 'outsider') return []
  demand(held, 'join')
  return addMember(tx, held.room, actor)
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
 * What is done, in the same transaction, when the account of `user` is deleted: their bans go, and the invitations that they got.
 * Their rooms they leave afterwards, see `leaveBehind`: of somebody in hundreds of them, who act there would wait too long.
 */
export const forgetInRooms = async (tx: Tx, user: string): Promise<Telling[]> => {
  const invitations = await tx
    .deleteFrom('invitations')
    .where(eb =>
      eb.or([eb('invitee_id', '=', user), eb.and([eb('inviter_id', '=', user), eb('state', '<>', 'pending')])]),
    )
    .returningAll()
    .execute()
  await tx.deleteFrom('bans').where('user_id', '=', user).execute()
  return invitations
    .filter(({ state }) => state === 'pending')
    .map(each => invitationNews(each.inviter_id, { ...each, state: 'declined' }))
}

/**
 * Takes `user`, whose account is gone, out of a room, with the invitations that they have sent. What they own goes to the admin
 * who has been there longest, else to such a member; a room that nobody is left in is deleted. Resolves with whom to tell.
 */
export const leaveBehind = async (tx: Tx, id: RoomId, user: string): Promise<Telling[]> => {
  const room = await lockRow(tx, id)
  const member = await tx
    .selectFrom('members')
    .select('role')
    .where('room_id', '=', id)
    .where('user_id', '=', user)
    .executeTakeFirst()
  // Deleted, or kicked out, meanwhile.
  if (!room || !member) return []
  if (room.member_count === 1) return removeRoom(tx, id)
  const telling = await removeMember(tx, room, user, user)
  await tx.deleteFrom('invitations').where('room_id', '=', id).where('inviter_id', '=', user).execute()
  if (member.role === 'owner' || room.visibility === 'direct') {
    const first = await longestThere(tx, id)
    // Whom a direct room is with is said where it is listed.
    const owns = member.role === 'owner'
    telling.push(owns ? await give(tx, id, user, { user: first, role: 'owner' }) : placeNews(first, id, 'member'))
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
