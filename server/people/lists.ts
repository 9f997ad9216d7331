import { sql, type SqlBool } from 'kysely'
import { personOf, type Person } from '../accounts/index.ts'
import { at, type Db } from '../database/database.ts'
import type { Part } from '../http/api.ts'

/** The other one of each friendship of `user`. */
const others = (user: string) => sql<string>`case when f.low_id = ${user} then f.high_id else f.low_id end`

/** Friendships and requests that `user` has a part in, with the other one's account. */
const known = (db: Db, user: string) =>
  db
    .selectFrom('friendships as f')
    .innerJoin('users as u', join => join.on('u.id', '=', others(user)))
    .where(eb => eb.or([eb('f.low_id', '=', user), eb('f.high_id', '=', user)]))
    .where('u.deleted_at', 'is', null)

/** Of somebody who holds an account. */
const columns = ['u.id', 'u.name', 'u.display_name', 'u.status_text'] as const

export interface Friend {
  readonly person: Person
  readonly nameKey: string
  /** Epoch ms; null: never seen yet. */
  readonly lastSeen: number | null
  readonly since: number
}
/** By name: unique, as long as the account is there. */
export type FriendPlace = string

/** The friends of `user`, by name. */
export const friendsOf = async (db: Db, user: string, { after, limit }: Part<FriendPlace>): Promise<Friend[]> => {
  const rows = await known(db, user)
    .select([...columns, 'u.name_key', 'u.last_seen_at', 'f.accepted_at'])
    .where('f.state', '=', 'accepted')
    .where('u.name_key', '>', after ?? '')
    .orderBy('u.name_key')
    .limit(limit + 1)
    .execute()
  return rows.map(row => ({
    person: personOf(row),
    nameKey: row.name_key!,
    lastSeen: row.last_seen_at,
    since: row.accepted_at!,
  }))
}

/** Somebody, and since when: of a request, of a block. */
export interface Dated {
  readonly person: Person
  /** Epoch ms. */
  readonly at: number
}
export type DatedPlace = readonly [at: number, id: string]

/** Requests that `user` has got and sees (`asked`), or made (`requested`), the newest first. */
export const requestsOf = async (
  db: Db,
  user: string,
  direction: 'asked' | 'requested',
  { after, limit }: Part<DatedPlace>,
): Promise<Dated[]> => {
  const mine = direction === 'requested'
  const rows = await known(db, user)
    .select([...columns, 'f.created_at'])
    .where('f.state', '=', 'requested')
    .where('f.requester_id', mine ? '=' : '<>', user)
    // Whom one has blocked may ask: it is not shown.
    .where(sql<SqlBool>`not exists (select from blocks b where b.user_id = ${user} and b.blocked_id = u.id)`)
    .$if(after !== undefined, query =>
      query.where(sql<SqlBool>`(f.created_at, u.id) < (${at(after![0])}, ${after![1]})`),
    )
    .orderBy('f.created_at', 'desc')
    .orderBy('u.id', 'desc')
    .limit(limit + 1)
    .execute()
  return rows.map(row => ({ person: personOf(row), at: row.created_at }))
}

/** Whom `user` has blocked, the last one first. */
export const blocksOf = async (db: Db, user: string, { after, limit }: Part<DatedPlace>): Promise<Dated[]> => {
  const rows = await db
    .selectFrom('blocks as b')
    .innerJoin('users as u', 'u.id', 'b.blocked_id')
    .select([...columns, 'b.created_at'])
    .where('b.user_id', '=', user)
    .where('u.deleted_at', 'is', null)
    .$if(after !== undefined, query =>
      query.where(sql<SqlBool>`(b.created_at, u.id) < (${at(after![0])}, ${after![1]})`),
    )
    .orderBy('b.created_at', 'desc')
    .orderBy('u.id', 'desc')
    .limit(limit + 1)
    .execute()
  return rows.map(row => ({ person: personOf(row), at: row.created_at }))
}
