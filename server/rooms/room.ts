import { sql } from 'kysely'
import type { Db, Tx } from '../database/database.ts'
import type { Role, Row } from '../database/schema.ts'
import { fail } from '../errors.ts'
import type { RoomId } from '../ports/room-log.ts'
import { may, type Act, type Standing } from './rights.ts'

export type Room = Row<'rooms'>

/** A room whose row is locked, and how the one who acts stands to it: both hold until the transaction ends. */
export interface Held {
  readonly room: Room
  readonly actor: string
  readonly mine: Standing
}

/** How `user` stands to a room, which may not exist. Whose account is gone is nothing to any. */
export const standingOf = async (db: Db | Tx, room: RoomId, user: string): Promise<Standing> => {
  const { rows } = await sql<{ role: Role | null; banned: boolean }>`select
    (select role from members where room_id = ${room} and user_id = ${user}
      and exists (select from users where id = ${user} and deleted_at is null)) as role,
    exists (select from bans where room_id = ${room} and user_id = ${user}) as banned`.execute(db)
  const { role, banned } = rows[0]!
  return banned ? 'banned' : (role ?? 'outsider')
}

/** The room as `actor` sees it. Rejects with NO_SUCH_ROOM, also where there is one that they may not see. */
export const seen = async (db: Db | Tx, id: RoomId, actor: string): Promise<Held> => {
  const room = await db.selectFrom('rooms').selectAll().where('id', '=', id).executeTakeFirst()
  return visible(db, room, id, actor)
}

/**
 * Locks the room's row: one after the other is what happens to its members, its invitations, and what its log is told of
 * both. Undefined: there is no such room.
 */
export const lockRow = (tx: Tx, id: RoomId): Promise<Room | undefined> =>
  tx.selectFrom('rooms').selectAll().where('id', '=', id).forNoKeyUpdate().executeTakeFirst()

/** Locks the room for `actor`, who wants to do `act`. Rejects with NO_SUCH_ROOM as `seen` does, and with FORBIDDEN. */
export const hold = async (tx: Tx, id: RoomId, actor: string, act: Act): Promise<Held> => {
  const held = await visible(tx, await lockRow(tx, id), id, actor)
  demand(held, act)
  return held
}

/** The same for an act upon `user`. Resolves also with how that one stands. */
export const holdUpon = async (
  tx: Tx,
  id: RoomId,
  actor: string,
  act: Act,
  user: string,
): Promise<Held & { readonly theirs: Standing }> => {
  const held = await visible(tx, await lockRow(tx, id), id, actor)
  const theirs = await standingOf(tx, id, user)
  demand(held, act, theirs)
  return { ...held, theirs }
}

const visible = async (db: Db | Tx, room: Room | undefined, id: RoomId, actor: string): Promise<Held> => {
  const mine = room && (await standingOf(db, id, actor))
  if (!room || !mine || !may('read', room.visibility, mine)) throw fail('NO_SUCH_ROOM', id)
  return { room, actor, mine }
}

/** Throws FORBIDDEN. */
export const demand = ({ room, mine }: Held, act: Act, theirs?: Standing): void => {
  if (!may(act, room.visibility, mine, theirs)) throw fail('FORBIDDEN', `to ${act} here`)
}
