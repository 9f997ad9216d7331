/**
 * The transactional outbox: what SQL decides and a room's log must show. It is written down in the transaction that decides
 * it, and appended by a sweep afterwards, on whichever node comes to it first.
 */

import { sql } from 'kysely'
import { fail, HoofbeatError } from '../errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { NewRecord, RoomId, RoomLog } from '../ports/room-log.ts'
import type { Db, Tx } from './database.ts'
import { newId } from './ids.ts'
import { Pace, Trouble } from './pace.ts'
import type { Row } from './schema.ts'

/**
 * The header with an entry's id. Where a node died at the wrong moment a record is in the log twice, with the same id:
 * whoever reads the log passes over what it has seen.
 */
export const ENTRY_ID = 'entry-id'

/** How often it is looked for entries that nobody hinted at, ms. */
const EVERY = 1_000
/** How long a node has the entries of a room for itself, ms: longer than an append commonly takes to succeed or fail. */
const LEASE = 30_000
/** When the log did not take an entry, how long until anyone tries again, ms. */
const AGAIN = 1_000
const ROOMS_AT_ONCE = 16
/** Of one append. */
const MOST = { entries: 100, bytes: 1024 * 1024 }

const bytesOf = ({ headers, body }: Pick<NewRecord, 'headers' | 'body'>): number =>
  [...headers].reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), body.length)

/**
 * Writes down that `record` is to be appended to the log of `room`, which is made where there is none. Entries of a room are
 * appended in the order in which they were written down as long as each transaction holds the lock of the room's row.
 */
export const enqueue = async (tx: Tx, room: RoomId, record: NewRecord): Promise<void> => {
  if (bytesOf(record) > MOST.bytes) throw fail('FRAME_TOO_LARGE', `${MOST.bytes} bytes are the most`)
  const { sender, body } = record
  const headers = JSON.stringify([...record.headers])
  await tx
    .insertInto('outbox')
    .values({ entry_id: newId(), room_id: room, act: 'append', sender, headers, body })
    .execute()
}

/** Writes down that the log of `room` is to be removed, `delay` ms from now. */
export const enqueueRemove = async (tx: Tx, room: RoomId, delay = 0): Promise<void> => {
  const claimed_until = delay === 0 ? null : sql<number>`clock_timestamp() + ${delay} * interval '1 millisecond'`
  await tx.insertInto('outbox').values({ entry_id: newId(), room_id: room, act: 'remove', claimed_until }).execute()
}

/** What of a room log is needed here. */
export type AppendingLog = Pick<RoomLog, 'create' | 'append' | 'remove'>

export interface SweepOptions {
  readonly db: Db
  readonly log: AppendingLog
  readonly logger: Logger
  /** ms */
  readonly lease?: number
  /** ms */
  readonly again?: number
  /** ms */
  readonly every?: number
}

export interface Sweep {
  /** Something was committed: sweep now. */
  hint(): void
  /** Ends what is under way, and begins nothing any more. */
  close(): Promise<void>
}

/** Sweeps the transactional outbox until it is closed, through any outage of the database and of the log. */
export const sweepOutbox = ({ db, log, logger, lease = LEASE, again = AGAIN, every = EVERY }: SweepOptions): Sweep => {
  const trouble = new Trouble(
    logger,
    'what was decided in SQL is not in the log yet: it is tried again',
    'what was decided in SQL goes into the log again',
  )
  const running = new Set<Promise<void>>()
  const sweepRoom = async (head: Head): Promise<void> => {
    try {
      await settle(db, log, head.room_id)
      trouble.over()
    } catch (error) {
      trouble.began(error)
      // Without a database the claim ends by itself.
      await extend(db, head, again).catch(() => undefined)
    }
  }
  const round = async (): Promise<void> => {
    const free = ROOMS_AT_ONCE - running.size
    if (free === 0) return
    for (const head of await claim(db, free, lease)) {
      const sweeping = sweepRoom(head).then(() => {
        running.delete(sweeping)
        // There may be more of this room, and there is room for another.
        pace.hint()
      })
      running.add(sweeping)
    }
  }
  const pace = new Pace(every, logger, round)
  return {
    hint: () => pace.hint(),
    close: async () => {
      await pace.close()
      await Promise.all(running)
    },
  }
}

type Entry = Row<'outbox'>
type Head = Pick<Entry, 'id' | 'room_id'>

const after = (ms: number) => sql<number>`now() + ${ms} * interval '1 millisecond'`

/**
 * Takes the oldest entry of some rooms: who has that has the room, because no other entry is taken while it is there.
 * Nothing of the database is held meanwhile; where the node dies, the claim ends by itself.
 */
const claim = async (db: Db, rooms: number, lease: number): Promise<Head[]> => {
  const heads = db
    .selectFrom('outbox as head')
    .select('head.id')
    .where(eb => eb.or([eb('head.claimed_until', 'is', null), eb('head.claimed_until', '<', sql<number>`now()`)]))
    .where(eb =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('outbox as older')
            .select('older.id')
            .whereRef('older.room_id', '=', 'head.room_id')
            .whereRef('older.id', '<', 'head.id'),
        ),
      ),
    )
    .orderBy('head.id')
    .limit(rooms)
    .forUpdate()
    .skipLocked()
  return db
    .with(
      cte => cte('heads').materialized(),
      () => heads,
    )
    .updateTable('outbox')
    .set({ claimed_until: after(lease) })
    .where('id', 'in', eb => eb.selectFrom('heads').select('id'))
    .returning(['id', 'room_id'])
    .execute()
}

const extend = async (db: Db, { id }: Head, ms: number): Promise<void> => {
  await db
    .updateTable('outbox')
    .set({ claimed_until: after(ms) })
    .where('id', '=', id)
    .execute()
}

/** Does the oldest entries of a room, and forgets them. */
const settle = async (db: Db, log: AppendingLog, room: RoomId): Promise<void> => {
  const rows = await db
    .selectFrom('outbox')
    .selectAll()
    .where('room_id', '=', room)
    .orderBy('id')
    .limit(MOST.entries)
    .execute()
  const run = alike(rows)
  const [first] = run
  // Another node was faster, after our claim had ended.
  if (!first) return
  if (first.act === 'remove') await log.remove(room)
  else await append(log, room, run.map(recordOf))
  const ids = run.map(({ id }) => id)
  await db.deleteFrom('outbox').where('id', 'in', ids).execute()
}

/** As many of the first rows as are done in one call of the log. */
const alike = (rows: readonly Entry[]): readonly Entry[] => {
  if (rows[0]?.act !== 'append') return rows.slice(0, 1)
  let bytes = 0
  const end = rows.findIndex((row, index) => {
    if (row.act !== 'append') return true
    bytes += bytesOf(recordOf(row))
    return index > 0 && bytes > MOST.bytes
  })
  return end < 0 ? rows : rows.slice(0, end)
}

const recordOf = ({ entry_id, sender, headers, body }: Entry): NewRecord => ({
  sender: sender!,
  headers: new Map([...headers!, [ENTRY_ID, entry_id]]),
  body: body!,
})

const append = async (log: AppendingLog, room: RoomId, records: readonly NewRecord[]): Promise<void> => {
  try {
    await log.append(room, records)
  } catch (error) {
    if (!(error instanceof HoofbeatError) || error.code !== 'NO_SUCH_ROOM') throw error
    // A room's log is made when there is something to write.
    await log.create([room])
    await log.append(room, records)
  }
}
