/** How far people have read, and how much they have not. */

import { sql, type RawBuilder } from 'kysely'
import type { Db, Tx } from '../database/database.ts'
import { fail, HoofbeatError } from '../errors.ts'
import { parseMessageId } from '../ports/message-id.ts'
import type { Bounds, Epoch, Offset, RoomId, RoomLog } from '../ports/room-log.ts'
import { registerEpochs } from './places.ts'

/** More unread messages than this are not counted, and among more than that, their own too, they are not looked for. */
export const UNREAD_MOST = 999
const LOOKED_AT = 10_000

/** A place in all lives of a room's log. */
export interface ReadPlace {
  readonly generation: number
  readonly offset: Offset
}

/**
 * How many messages `user` has not read in a room that they are a member of, as SQL: those behind the one that they have read
 * last, which are for them, not theirs, and not deleted.
 */
export const unreadIn = (room: RawBuilder<string>, user: string): RawBuilder<number> => sql<number>`(
  select (
    select count(*)::int from (
      select from (
        select m.sender, m.to_user from messages m
        where m.room_id = ${room} and m.kind = 'message' and m.deleted_at is null
          and (m.generation, m.at_offset) > (place.generation, place.at_offset)
        limit ${LOOKED_AT}
      ) as behind
      where behind.sender <> ${user} and (behind.to_user is null or behind.to_user = ${user})
      limit ${UNREAD_MOST}
    ) as counted
  ) from (
    select coalesce(max(generation), 0) as generation, coalesce(max(at_offset), -1) as at_offset
    from reads where reads.room_id = ${room} and reads.user_id = ${user}
  ) as place
)`

/** The same, of one room. */
export const unreadOf = async (db: Db | Tx, room: RoomId, user: string): Promise<number> => {
  const { rows } = await sql<{ unread: number }>`
    select ${unreadIn(sql`${room}`, user)} as unread`.execute(db)
  return rows[0]!.unread
}

/** Whoever becomes a member has read what was said before, as far as that is known. */
export const beginReading = async (tx: Tx, room: RoomId, user: string): Promise<void> => {
  await sql`
    insert into reads (room_id, user_id, generation, at_offset)
    select room_id, ${user}, generation, next_offset - 1 from room_epochs
    where room_id = ${room} order by generation desc limit 1`.execute(tx)
}

/**
 * Where in its room a message is, which may be newer than the archive. Rejects with BAD_REQUEST where the room has no such
 * message, and with LOG_UNAVAILABLE.
 */
export const readPlaceOf = async (
  db: Db,
  log: Pick<RoomLog, 'bounds'>,
  room: RoomId,
  message: string,
): Promise<ReadPlace> => {
  const position = parseMessageId(message)
  if (!position) throw fail('BAD_REQUEST', NONE)
  const { epoch, offset } = position
  const known = await lifeOf(db, room, epoch)
  if (known && offset < known.next_offset) return { generation: known.generation, offset }
  const bounds = await boundsOf(log, room)
  if (bounds?.epoch !== epoch || offset >= bounds.next) throw fail('BAD_REQUEST', NONE)
  if (known) return { generation: known.generation, offset }
  await registerEpochs(db, [{ room, epoch }])
  const life = await lifeOf(db, room, epoch)
  // The room was deleted meanwhile.
  if (!life) throw fail('NO_SUCH_ROOM', room)
  return { generation: life.generation, offset }
}

const NONE = 'the room has no such message'

const lifeOf = (db: Db, room: RoomId, epoch: Epoch) =>
  db
    .selectFrom('room_epochs')
    .select(['generation', 'next_offset'])
    .where('room_id', '=', room)
    .where('epoch', '=', epoch)
    .executeTakeFirst()

/** Undefined: nobody has written there yet. Rejects with LOG_UNAVAILABLE. */
const boundsOf = async (log: Pick<RoomLog, 'bounds'>, room: RoomId): Promise<Bounds | undefined> => {
  try {
    return await log.bounds(room)
  } catch (error) {
    if (error instanceof HoofbeatError && error.code === 'NO_SUCH_ROOM') return undefined
    throw error
  }
}

/** Moves the place up to which a member has read, never back. Resolves with whether it has moved. */
export const moveRead = async (
  tx: Tx,
  room: RoomId,
  user: string,
  { generation, offset }: ReadPlace,
): Promise<boolean> => {
  const { rows } = await sql`
    insert into reads (room_id, user_id, generation, at_offset)
    select room_id, user_id, ${generation}::integer, ${String(offset)}::bigint from members
    where room_id = ${room} and user_id = ${user} for key share
    on conflict (room_id, user_id) do update set generation = excluded.generation, at_offset = excluded.at_offset
    where (reads.generation, reads.at_offset) < (excluded.generation, excluded.at_offset)
    returning room_id`.execute(tx)
  return rows.length > 0
}
