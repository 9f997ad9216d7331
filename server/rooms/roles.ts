import { recordChange } from '../database/access-changes.ts'
import type { Tx } from '../database/database.ts'
import type { Role } from '../database/schema.ts'
import type { Telling } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import { announce } from './announce.ts'
import { placeNews } from './membership.ts'
import type { Act } from './rights.ts'
import { holdUpon } from './room.ts'
import { takeBack } from './settling.ts'

const actFor: Readonly<Record<Role, Act>> = { owner: 'hand-on', admin: 'promote', member: 'demote' }

/**
 * Gives a member another role. `owner` hands the room on: whoever had it becomes an admin. Only the owner may; FORBIDDEN
 * also where `user` has that role already. An admin who becomes a member loses what only admins let others in by. Resolves with
 * whom to tell.
 */
export const setRole = async (tx: Tx, id: RoomId, actor: string, user: string, role: Role): Promise<Telling[]> => {
  const { room } = await holdUpon(tx, id, actor, actFor[role], user)
  // A room has one owner at a time.
  const telling = role === 'owner' ? [await give(tx, id, actor, { user: actor, role: 'admin' })] : []
  telling.push(await give(tx, id, actor, { user, role }))
  if (role === 'owner') await recordChange(tx, { kind: 'role', user: actor, room: id })
  if (role === 'member') {
    telling.push(...(await takeBack(tx, room, user, role)))
    await recordChange(tx, { kind: 'role', user, room: id })
  }
  return telling
}

/** Gives `user`, who is there, a role on behalf of `actor`. Resolves with what to tell them. */
export const give = async (
  tx: Tx,
  id: RoomId,
  actor: string,
  { user, role }: { readonly user: string; readonly role: Role },
): Promise<Telling> => {
  await tx.updateTable('members').set({ role }).where('room_id', '=', id).where('user_id', '=', user).execute()
  await announce(tx, id, actor, { event: 'role', user, role })
  return placeNews(user, id, role)
}
