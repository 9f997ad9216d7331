import { sql } from 'kysely'
import { transaction, type Db, type Tx } from '../database/database.ts'
import type { Telling } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'

/** How many rows one transaction erases: nobody waits for it long. */
const ERASED_AT_ONCE = 500

/**
 * What is done, in the same transaction, when an account is deleted: it leaves its rooms afterwards, one by one, and what it
 * wrote goes bit by bit.
 */
export const forgetMessages = async (tx: Tx, user: string): Promise<void> => {
  await sql`
    insert into erasures (user_id, room_id) select user_id, room_id from members where user_id = ${user} order by room_id
    `.execute(tx)
  await tx.insertInto('erasures').values({ user_id: user }).execute()
}

/** The same when a room is deleted. */
export const eraseRoom = async (tx: Tx, room: RoomId): Promise<void> => {
  await tx.insertInto('erasures').values({ room_id: room }).execute()
}

/** Takes somebody whose account is gone out of a room. Resolves with whom to tell. */
export type Leave = (tx: Tx, room: RoomId, user: string) => Promise<readonly Telling[]>

/** Erases some of what has yet to go; one node at a time. Resolves with whom to tell; undefined: nothing is left to do. */
export const eraseSome = (db: Db, leave: Leave, most = ERASED_AT_ONCE): Promise<readonly Telling[] | undefined> =>
  transaction(db, async tx => {
    const erasure = await tx
      .selectFrom('erasures')
      .selectAll()
      // Rooms are left first: they may have lost their owner.
      .orderBy(sql`num_nonnulls(user_id, room_id)`, 'desc')
      .orderBy('id')
      .limit(1)
      .forUpdate()
      .skipLocked()
      .executeTakeFirst()
    if (!erasure) return undefined
    const { id, user_id: user, room_id: room } = erasure
    const leaving = user !== null && room !== null
    const telling = leaving ? await leave(tx, room, user) : []
    const more = !leaving && (user === null ? await eraseOfRoom(tx, room!, most) : await eraseOfUser(tx, user, most))
    if (!more) await tx.deleteFrom('erasures').where('id', '=', id).execute()
    return telling
  })

// Rows are named by where they lie in their table, in one part of it: so nothing is read but them. Whether there may be more:

/** A room at a time. Of a message its place stays, as of one that was deleted. */
const eraseOfUser = async (tx: Tx, user: string, most: number): Promise<boolean> => {
  const { rows } = await sql<{ room_id: RoomId }>`
    select room_id from messages where sender = ${user} and kind = 'message' and deleted_at is null limit 1`.execute(tx)
  const reactions = await sql`
    delete from reactions where ctid = any(array(
      select ctid from reactions where user_id = ${user} limit ${most}
    ))`.execute(tx)
  for (const { room_id: room } of rows) {
    await sql`
      update messages set body = '', headers = null, edited_at = null, deleted_at = now()
      where room_id = ${room} and ctid = any(array(
        select ctid from messages
        where sender = ${user} and room_id = ${room} and kind = 'message' and deleted_at is null limit ${most}
      ))`.execute(tx)
  }
  return rows.length > 0 || Number(reactions.numAffectedRows) === most
}

const eraseOfRoom = async (tx: Tx, room: RoomId, most: number): Promise<boolean> => {
  let more = false
  for (const table of ['messages', 'reactions']) {
    const erased = await sql`
      delete from ${sql.table(table)} where room_id = ${room} and ctid = any(array(
        select ctid from ${sql.table(table)} where room_id = ${room} limit ${most}
      ))`.execute(tx)
    more ||= Number(erased.numAffectedRows) === most
  }
  return more
}
