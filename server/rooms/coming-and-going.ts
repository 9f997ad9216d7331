import { recordChange } from '../database/access-changes.ts'
import type { Tx } from '../database/database.ts'
import { fail } from '../errors.ts'
import type { Telling } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import { announce } from './announce.ts'
import { addMember, removeMember } from './membership.ts'
import { removeRoom } from './removal.ts'
import { demand, hold, holdUpon, lockRow, standingOf } from './room.ts'

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
 * Takes `user`, whose account ends, out of every room, with their invitations and bans. What they own goes to the admin who has been there longest, else to
 * such a member; a room that nobody is left in is deleted.
 */
export const leaveEverything = async (tx: Tx, user: string): Promise<void> => {
  const rooms = await tx
    .selectFrom('members')
    .select('room_id')
    .where('user_id', '=', user)
    .orderBy('room_id')
    .execute()
  for (const { room_id: id } of rooms) await leaveBehind(tx, id, user)
  await tx
    .deleteFrom('invitations')
    .where(eb => eb.or({ inviter_id: user, invitee_id: user }))
    .execute()
  await tx.deleteFrom('bans').where('user_id', '=', user).execute()
}

const leaveBehind = async (tx: Tx, id: RoomId, user: string): Promise<void> => {
  const room = await lockRow(tx, id)
  const mine = await standingOf(tx, id, user)
  // Deleted, or kicked out, while the lock was waited for.
  if (!room || mine === 'outsider' || mine === 'banned') return
  if (room.member_count === 1) return removeRoom(tx, id)
  await removeMember(tx, room, user, user)
  if (mine === 'owner') await inherit(tx, id, user)
  await recordChange(tx, { kind: 'member', user, room: id })
}

const inherit = async (tx: Tx, id: RoomId, from: string): Promise<void> => {
  const { user_id: heir } = await tx
    .selectFrom('members')
    .select('user_id')
    .where('room_id', '=', id)
    .orderBy(eb => eb('role', '=', 'admin'), 'desc')
    .orderBy('joined_at')
    .orderBy('user_id')
    .limit(1)
    .executeTakeFirstOrThrow()
  await tx.updateTable('members').set({ role: 'owner' }).where('room_id', '=', id).where('user_id', '=', heir).execute()
  await announce(tx, id, from, { event: 'role', user: heir, role: 'owner' })
}
