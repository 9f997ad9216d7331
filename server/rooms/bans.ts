import { recordChange } from '../database/access-changes.ts'
import type { Tx } from '../database/database.ts'
import type { Telling } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import { holdUser, removeMember } from './membership.ts'
import { hold, holdUpon } from './room.ts'
import { settle } from './settling.ts'

/**
 * Ends all that `user` may do in a room, until they are unbanned: their membership, their invitations, reading. Again: nothing.
 * Resolves with whom to tell.
 */
export const ban = async (tx: Tx, id: RoomId, actor: string, user: string): Promise<Telling[]> => {
  const { room, theirs } = await holdUpon(tx, id, actor, 'ban', user)
  if (theirs === 'banned') return []
  await holdUser(tx, user)
  await tx.insertInto('bans').values({ room_id: id, user_id: user, banned_by: actor }).execute()
  const telling = await settle(tx, id, { invitee_id: user }, 'revoked')
  if (theirs !== 'outsider') telling.push(...(await removeMember(tx, room, user, actor)))
  await recordChange(tx, { kind: 'ban', user, room: id })
  return telling
}

/** `user` may come back, as anyone may who was never there: nobody is told. Who is not banned stays what they are. */
export const unban = async (tx: Tx, id: RoomId, actor: string, user: string): Promise<readonly Telling[]> => {
  await hold(tx, id, actor, 'unban')
  await tx.deleteFrom('bans').where('room_id', '=', id).where('user_id', '=', user).execute()
  return []
}
