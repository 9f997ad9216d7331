/**
 * Rights that ended, told to every node. Whoever takes a right away writes so in the same transaction; each node asks for what
 * is new twice a second.
 */

import { sql } from 'kysely'
import type { Logger } from '../ports/logger.ts'
import type { Db, Tx } from './database.ts'
import { Pace } from './pace.ts'
import type { AccessChangeKind, Row } from './schema.ts'
import { at } from './values.ts'

interface Subject {
  readonly user: string
  readonly room: string
  readonly session: string
  /** The other side of a block. */
  readonly other: string
}
interface Kinds {
  /** The account ended. */
  readonly user: 'user'
  readonly session: 'user' | 'session'
  /** The room was deleted. */
  readonly room: 'room'
  readonly visibility: 'room'
  readonly member: 'user' | 'room'
  readonly role: 'user' | 'room'
  readonly ban: 'user' | 'room'
  readonly block: 'user' | 'other'
}
/** What ended, with those whom it concerns. */
export type NewAccessChange = {
  [Kind in AccessChangeKind]: { readonly kind: Kind } & Pick<Subject, Kinds[Kind]>
}[AccessChangeKind]

export interface AccessChange extends Partial<Subject> {
  readonly id: bigint
  /** Epoch ms of the database's clock. */
  readonly at: number
  readonly kind: AccessChangeKind
}

/** Every `EVERY` ms; a change is found as long as it is committed at most `LOOK_BACK` ms after it was recorded. */
const EVERY = 500
const LOOK_BACK = 10_000
/** How long changes are kept, ms, and how often it is seen to that, ms. */
const KEPT = 86_400_000
/** Whoever has not looked for so long, ms, may have missed some. */
const MISSED = KEPT / 2
const PRUNE_EVERY = 3_600_000

/** Writes down that rights end with this transaction. Do it last: what follows delays the news for all nodes. */
export const recordChange = async (tx: Tx, change: NewAccessChange): Promise<void> => {
  const { kind, user, room, session, other }: Partial<Subject> & Pick<AccessChange, 'kind'> = change
  await tx
    .insertInto('access_changes')
    .values({
      kind,
      user_id: user ?? null,
      room_id: room ?? null,
      session_id: session ?? null,
      other_id: other ?? null,
    })
    .execute()
}

/** The same for all these sessions of a user that end. */
export const recordSessions = async (tx: Tx, user: string, sessions: readonly string[]): Promise<void> => {
  await sql`insert into access_changes (kind, user_id, session_id)
    select 'session', ${user}, unnest(${sessions}::text[])`.execute(tx)
}

export interface FollowOptions {
  readonly db: Db
  readonly logger: Logger
  /** ms */
  readonly every?: number
  /** ms */
  readonly lookBack?: number
  /** How old the first changes are that are told, ms: as long as what was known before may be believed. */
  readonly since?: number
  /** Called when the database was away so long that changes may be gone which nobody was told of: any right may have ended. */
  readonly missed?: () => void
  /** Epoch ms. */
  readonly now?: () => number
}

export interface Following {
  /** Resolves when all that was committed before the start has been told. */
  readonly begun: Promise<void>
  /** There may be news: look now. */
  hint(): void
  close(): Promise<void>
}

/**
 * Tells `listener` of every change, each once, through any outage of the database: after it, what came meanwhile. The order
 * is that of recording, except where transactions overlapped. `listener` returns at once and never throws.
 */
export const followChanges = (
  { db, logger, every = EVERY, lookBack = LOOK_BACK, since = lookBack, missed, now = Date.now }: FollowOptions,
  listener: (change: AccessChange) => void,
): Following => {
  const begun = Promise.withResolvers<void>()
  /** Up to when changes were seen, by the database's clock. */
  let seenTo: number | undefined
  /** Those not older than the look-back, with their time. */
  const told = new Map<bigint, number>()
  let prunedAt = -Infinity
  let lookedAt = Infinity

  const look = async (): Promise<void> => {
    seenTo ??= (await timeOf(db)) - since + lookBack
    const from = seenTo - lookBack
    const rows = await db.selectFrom('access_changes').selectAll().where('at', '>=', at(from)).orderBy('id').execute()
    for (const row of rows) {
      if (told.has(row.id)) continue
      told.set(row.id, row.at)
      if (row.at > seenTo) seenTo = row.at
      listener(changeOf(row))
    }
    for (const [id, time] of told) if (time < seenTo - lookBack) told.delete(id)
    if (now() - lookedAt > MISSED) missed?.()
    lookedAt = now()
    begun.resolve()
    if (performance.now() - prunedAt > PRUNE_EVERY) {
      await db
        .deleteFrom('access_changes')
        .where('at', '<', sql<number>`now() - ${KEPT} * interval '1 millisecond'`)
        .execute()
      prunedAt = performance.now()
    }
  }
  const pace = new Pace(every, logger, look)
  return { begun: begun.promise, hint: () => pace.hint(), close: () => pace.close() }
}

const timeOf = async (db: Db): Promise<number> => {
  const { rows } = await sql<{ now: number }>`select clock_timestamp() as now`.execute(db)
  return rows[0]!.now
}

const changeOf = ({ id, at, kind, user_id, room_id, session_id, other_id }: Row<'access_changes'>): AccessChange => ({
  id,
  at,
  kind,
  ...(user_id !== null && { user: user_id }),
  ...(room_id !== null && { room: room_id }),
  ...(session_id !== null && { session: session_id }),
  ...(other_id !== null && { other: other_id }),
})
