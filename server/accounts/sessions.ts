import { sql, type RawBuilder, type SqlBool } from 'kysely'
import { recordSessions } from '../database/access-changes.ts'
import { at, transaction, type Db, type Tx } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import type { Row } from '../database/schema.ts'
import { fail } from '../errors.ts'
import type { Generation } from './tokens.ts'

/** How long a device stays signed in without being used, ms. */
export const DEVICE_KEPT = 30 * 86_400_000
/** How long a connection's session is believed without a sign of its node, ms. */
export const CONNECTION_KEPT = 120_000
/** So long after its successor was used a refresh token is still answered, ms. */
export const GRACE = 10_000
/** So many devices somebody is signed in on at most. */
export const DEVICES = 100
const DEVICE_NAME = 100

export interface NewSession {
  readonly user: string
  readonly kind: Row<'sessions'>['kind']
  readonly device: string
  readonly address: string
  /** The hash that the password was compared with: where it is another one now, nothing begins. */
  readonly hash: string
}

export interface Begun {
  readonly session: string
  /** Those that ended as there were too many. */
  readonly ended: readonly string[]
}

/**
 * Begins a session; of one device too many the one ends that was not seen for the longest time. Rejects with BAD_CREDENTIALS
 * where the password has been changed meanwhile.
 */
export const beginSession = (db: Db, { hash, ...session }: NewSession, now: number): Promise<Begun> =>
  transaction(db, async tx => {
    const { user, kind, address } = session
    const holder = await tx
      .selectFrom('users')
      .select('id')
      .where('id', '=', user)
      .where('password_hash', '=', hash)
      // One after the other, so that each counts those before it.
      .forNoKeyUpdate()
      .executeTakeFirst()
    if (!holder) throw fail('BAD_CREDENTIALS')
    const id = newId()
    const device = session.device.slice(0, DEVICE_NAME)
    const expires = now + (kind === 'device' ? DEVICE_KEPT : CONNECTION_KEPT)
    const [time, expires_at] = [at(now), at(expires)]
    await tx
      .insertInto('sessions')
      .values({
        id,
        user_id: user,
        kind,
        device,
        address,
        expires_at,
        created_at: time,
        last_seen_at: time,
        rotated_at: time,
      })
      .execute()
    return { session: id, ended: kind === 'device' ? await end(tx, user, surplus(user, id)) : [] }
  })

/** The devices of `user` for which there is no place beside this one. */
const surplus = (user: string, session: string): Which => sql`id in (
  select id from sessions where user_id = ${user} and kind = 'device' and id <> ${session}
  order by last_seen_at desc, id desc offset ${DEVICES - 1})`

export interface Refreshed extends Generation {
  readonly user: string
}

/**
 * What a refresh token of `given` is exchanged for. The newest makes the next one. The one before it is answered with the
 * same successor as long as that one has not been used, and for GRACE after: an answer may have been lost, two tabs may ask
 * at once. Anything older was copied: the session ends. Rejects with SESSION_ENDED.
 */
export const refreshSession = async (
  db: Db,
  given: Generation,
  { now, address }: { readonly now: number; readonly address: string },
): Promise<Refreshed> => {
  const refreshed = await transaction(db, async tx => {
    const row = await tx
      .selectFrom('sessions')
      .selectAll()
      .where('id', '=', given.session)
      .where('kind', '=', 'device')
      .where('expires_at', '>', at(now))
      .forUpdate()
      .executeTakeFirst()
    if (!row) return undefined
    const generation = successor(row, given.generation, now)
    if (generation === undefined) return void (await end(tx, row.user_id, sql`id = ${row.id}`))
    const seen = { address, last_seen_at: at(now), expires_at: at(now + DEVICE_KEPT) }
    const turned = generation > row.generation ? { generation, rotated_at: at(now) } : {}
    await tx
      .updateTable('sessions')
      .set({ ...seen, ...turned })
      .where('id', '=', row.id)
      .execute()
    return { user: row.user_id, session: row.id, generation }
  })
  if (!refreshed) throw fail('SESSION_ENDED')
  return refreshed
}

/** The generation after `given`; undefined: it is too old. */
const successor = (
  { generation, rotated_at }: Pick<Row<'sessions'>, 'generation' | 'rotated_at'>,
  given: number,
  now: number,
): number | undefined => {
  const behind = generation - given
  const answered = behind === 0 || behind === 1 || (behind === 2 && now - rotated_at < GRACE)
  return answered ? given + 1 : undefined
}

type Which = RawBuilder<SqlBool>

/** Ends those of a user's sessions at every door: on this node as soon as it is told, on all others when they next look. */
const end = async (tx: Tx, user: string, which: Which): Promise<string[]> => {
  const rows = await tx.deleteFrom('sessions').where('user_id', '=', user).where(which).returning('id').execute()
  const ids = rows.map(({ id }) => id)
  if (ids.length > 0) await recordSessions(tx, user, ids)
  return ids
}

/** Ends one session of a user. Rejects with NO_SUCH_SESSION. */
export const endSession = (db: Db, user: string, session: string): Promise<void> =>
  transaction(db, async tx => {
    const ended = await end(tx, user, sql`id = ${session}`)
    if (ended.length === 0) throw fail('NO_SUCH_SESSION')
  })

/** Ends all sessions of a user but `except`, and resolves with their ids. */
export const endSessions = (tx: Tx, user: string, except = ''): Promise<string[]> => end(tx, user, sql`id <> ${except}`)

/** A page's rows of a user's sessions, the newest first; one more than `limit`. */
export const listSessions = (
  db: Db,
  user: string,
  {
    now,
    after,
    limit,
  }: { readonly now: number; readonly after: [time: number, id: string] | undefined; readonly limit: number },
): Promise<Row<'sessions'>[]> =>
  db
    .selectFrom('sessions')
    .selectAll()
    .where('user_id', '=', user)
    .where('expires_at', '>', at(now))
    .$if(after !== undefined, query => query.where(sql<boolean>`(created_at, id) < (${at(after![0])}, ${after![1]})`))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
