import { sql } from 'kysely'
import { recordChange } from '../database/access-changes.ts'
import type { Tx } from '../database/database.ts'
import type { RoomId } from '../ports/room-log.ts'
import { holdUser, removeMember } from './membership.ts'
import { holdUpon } from './room.ts'

/** Ends all that `user` may do in a room, until they are unbanned: their membership, their invitations, reading. */
export const ban = async (tx: Tx, id: RoomId, actor: string, user: string): Promise<void> => {
  const { room, theirs } = await holdUpon(tx, id, actor, 'ban', user)
  await holdUser(tx, user)
  await tx.insertInto('bans').values({ room_id: id, user_id: user, banned_by: actor }).execute()
  await tx
    .updateTable('invitations')
    .set({ state: 'revoked', decided_at: sql<number>`now()` })
    .where('room_id', '=', id)
    .where('invitee_id', '=', user)
    .where('state', '=', 'pending')
    .execute()
  if (theirs !== 'outsider') await removeMember(tx, room, user, actor)
  await recordChange(tx, { kind: 'ban', user, room: id })
}

/** `user` may come back, as anyone may who was never there. */
export const unban = async (tx: Tx, id: RoomId, actor: string, user: string): Promise<void> => {
  await holdUpon(tx, id, actor, 'unban', user)
  await tx.deleteFrom('bans').where('room_id', '=', id).where('user_id', '=', user).execute()
}
