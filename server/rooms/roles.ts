import { recordChange } from '../database/access-changes.ts'
import type { Tx } from '../database/database.ts'
import type { Role } from '../database/schema.ts'
import type { RoomId } from '../ports/room-log.ts'
import { announce } from './announce.ts'
import type { Act } from './rights.ts'
import { holdUpon } from './room.ts'

const actFor: Readonly<Record<Role, Act>> = { owner: 'hand-on', admin: 'promote', member: 'demote' }

/**
 * Gives a member another role. `owner` hands the room on: whoever had it becomes an admin. Only the owner may; FORBIDDEN
 * also where `user` has that role already.
 */
export const setRole = async (tx: Tx, id: RoomId, actor: string, user: string, role: Role): Promise<void> => {
  await holdUpon(tx, id, actor, actFor[role], user)
  // A room has one owner at a time.
  if (role === 'owner') await give(tx, id, actor, { user: actor, role: 'admin' })
  await give(tx, id, actor, { user, role })
  if (role === 'owner') await recordChange(tx, { kind: 'role', user: actor, room: id })
  if (role === 'member') await recordChange(tx, { kind: 'role', user, room: id })
}

const give = async (
  tx: Tx,
  id: RoomId,
  actor: string,
  { user, role }: { readonly user: string; readonly role: Role },
): Promise<void> => {
  await tx.updateTable('members').set({ role }).where('room_id', '=', id).where('user_id', '=', user).execute()
  await announce(tx, id, actor, { event: 'role', user, role })
}
