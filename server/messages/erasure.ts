import { sql } from 'kysely'
import { transaction, type Db, type Tx } from '../database/database.ts'
import type { RoomId } from '../ports/room-log.ts'

/** How many rows one transaction erases: nobody waits for it long. */
const ERASED_AT_ONCE = 500

/** What is done, in the same transaction, when an account is deleted: what it wrote goes afterwards, bit by bit. */
export const forgetMessages = async (tx: Tx, user: string): Promise<void> => {
  await tx.insertInto('erasures').values({ user_id: user }).execute()
}

/** The same when a room is deleted. */
export const eraseRoom = async (tx: Tx, room: RoomId): Promise<void> => {
  await tx.insertInto('erasures').values({ room_id: room }).execute()
}

/** Erases some of what has yet to go; one node at a time. Resolves with whether there may be more. */
export const eraseSome = (db: Db, most = ERASED_AT_ONCE): Promise<boolean> =>
  transaction(db, async tx => {
    const erasure = await tx
      .selectFrom('erasures')
      .selectAll()
      .orderBy('id')
      .limit(1)
      .forUpdate()
      .skipLocked()
      .executeTakeFirst()
    if (!erasure) return false
    const { id, user_id: user, room_id: room } = erasure
    const erased = user === null ? await eraseOfRoom(tx, room!, most) : await eraseOfUser(tx, user, most)
    if (erased < most) await tx.deleteFrom('erasures').where('id', '=', id).execute()
    return true
  })

/** Of a message its place stays, as of one that was deleted. */
const eraseOfUser = async (tx: Tx, user: string, most: number): Promise<number> => {
  const messages = await sql`
    update messages set body = '', headers = null, edited_at = null, deleted_at = now()
    from (
      select room_id, generation, at_offset from messages
      where sender = ${user} and kind = 'message' and deleted_at is null limit ${most}
    ) as mine
    where messages.room_id = mine.room_id and messages.generation = mine.generation
      and messages.at_offset = mine.at_offset`.execute(tx)
  const reactions = await sql`
    delete from reactions where (room_id, generation, at_offset, user_id, emoji) in (
      select room_id, generation, at_offset, user_id, emoji from reactions where user_id = ${user} limit ${most}
    )`.execute(tx)
  return Math.max(Number(messages.numAffectedRows), Number(reactions.numAffectedRows))
}

const eraseOfRoom = async (tx: Tx, room: RoomId, most: number): Promise<number> => {
  const erase = (table: 'messages' | 'reactions') =>
    sql`
    delete from ${sql.table(table)} where room_id = ${room} and (generation, at_offset) in (
      select generation, at_offset from ${sql.table(table)} where room_id = ${room} limit ${most}
    )`.execute(tx)
  const [messages, reactions] = [await erase('messages'), await erase('reactions')]
  return Math.max(Number(messages.numAffectedRows), Number(reactions.numAffectedRows))
}
