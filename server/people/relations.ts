import { sql } from 'kysely'
import { recordChange } from '../database/access-changes.ts'
import type { Db, Tx } from '../database/database.ts'
import { fail } from '../errors.ts'
import { notify, unreadNews, withdraw } from './notifications.ts'
import { after, mirror, shown, type Act, type Pair, type Standing } from './pair.ts'
import type { Telling } from './telling.ts'

/** How many friends somebody has, how many people they have asked that have not answered yet, and whom they block, at most. */
export const FRIENDS_MAX = 1_000
export const REQUESTS_MAX = 100
export const BLOCKS_MAX = 1_000

export interface Done {
  /** What there is now, as who did it sees it. */
  readonly standing: Standing
  readonly telling: readonly Telling[]
  /** The two have become friends by it. */
  readonly met: boolean
}

/**
 * Does `act`, by one person to another. Of two who act on each other at the same time the second one finds what the first
 * has done. Rejects with BAD_REQUEST (to oneself), NO_SUCH_USER, NO_SUCH_REQUEST, FORBIDDEN, QUOTA_REACHED, and
 * SESSION_ENDED where the account of `me` has ended meanwhile.
 */
export const relate = async (tx: Tx, me: string, them: string, act: Act): Promise<Done> => {
  if (me === them) throw fail('BAD_REQUEST', 'that is you')
  await holdBoth(tx, me, them, act)
  const before = await readPair(tx, me, them)
  const now = after(before, act)
  if (now.standing !== before.standing) await writeStanding(tx, me, them, now.standing)
  if (now.blocking !== before.blocking) await writeBlock(tx, me, them, now.blocking)
  await checkLimits(tx, me, them, before, now)
  const telling = [...tellingOf(me, them, before, now), ...tellingOf(them, me, mirror(before), mirror(now))]
  if (now.blocking !== before.blocking) {
    telling.push({ user: me, event: { type: 'block', body: { user: them, blocked: now.blocking } } })
  }
  telling.push(...(await notices(tx, me, them, before, now)))
  return { standing: shown(now), telling, met: now.standing === 'friends' && before.standing !== 'friends' }
}

/** One act of each of the two at a time, so that what they may have is counted right. Meanwhile no account of theirs ends. */
const holdBoth = async (tx: Tx, me: string, them: string, act: Act): Promise<void> => {
  for (const user of [me, them].toSorted()) {
    await sql`select pg_advisory_xact_lock(hashtextextended(${`relations of ${user}`}, 0))`.execute(tx)
  }
  const there = await tx
    .selectFrom('users')
    .select('id')
    .where('id', 'in', [me, them])
    .where('deleted_at', 'is', null)
    .forKeyShare()
    .execute()
  if (!there.some(({ id }) => id === me)) throw fail('SESSION_ENDED')
  if ((act === 'request' || act === 'block') && there.length < 2) throw fail('NO_SUCH_USER')
}

/** The ids in the order in which a friendship is kept. */
const inOrder = (one: string, other: string): { low_id: string; high_id: string } =>
  one < other ? { low_id: one, high_id: other } : { low_id: other, high_id: one }

/** What there is between the two, as `me` sees it. */
export const readPair = async (db: Db | Tx, me: string, them: string): Promise<Pair> => {
  const { low_id: low, high_id: high } = inOrder(me, them)
  const friendship = await db
    .selectFrom('friendships')
    .select(['state', 'requester_id'])
    .where('low_id', '=', low)
    .where('high_id', '=', high)
    .executeTakeFirst()
  const blocks = await db
    .selectFrom('blocks')
    .select('user_id')
    .where(eb => eb.or([eb.and({ user_id: me, blocked_id: them }), eb.and({ user_id: them, blocked_id: me })]))
    .execute()
  return {
    standing: standingOf(friendship, me),
    blocking: blocks.some(({ user_id }) => user_id === me),
    blocked: blocks.some(({ user_id }) => user_id === them),
  }
}

const standingOf = (
  friendship: { readonly state: string; readonly requester_id: string } | undefined,
  me: string,
): Standing => {
  if (!friendship) return 'none'
  if (friendship.state === 'accepted') return 'friends'
  return friendship.requester_id === me ? 'requested' : 'asked'
}

const writeStanding = async (tx: Tx, me: string, them: string, standing: Standing): Promise<void> => {
  const key = inOrder(me, them)
  if (standing === 'none') {
    await tx.deleteFrom('friendships').where('low_id', '=', key.low_id).where('high_id', '=', key.high_id).execute()
  } else if (standing === 'requested') {
    await tx
      .insertInto('friendships')
      .values({ ...key, requester_id: me })
      .execute()
  } else {
    await tx
      .updateTable('friendships')
      .set({ state: 'accepted', accepted_at: sql<number>`now()` })
      .where('low_id', '=', key.low_id)
      .where('high_id', '=', key.high_id)
      .execute()
  }
}

const writeBlock = async (tx: Tx, me: string, them: string, blocking: boolean): Promise<void> => {
  if (!blocking) {
    await tx.deleteFrom('blocks').where('user_id', '=', me).where('blocked_id', '=', them).execute()
    return
  }
  await tx.insertInto('blocks').values({ user_id: me, blocked_id: them }).execute()
  await recordChange(tx, { kind: 'block', user: me, other: them })
}

const checkLimits = async (tx: Tx, me: string, them: string, before: Pair, now: Pair): Promise<void> => {
  if (now.blocking && !before.blocking && (await blockedBy(tx, me)) > BLOCKS_MAX) {
    throw fail('QUOTA_REACHED', `${BLOCKS_MAX} whom you block`)
  }
  if (now.standing === before.standing) return
  if (now.standing === 'requested' && (await countOf(tx, me, 'requested')) > REQUESTS_MAX) {
    throw fail('QUOTA_REACHED', `${REQUESTS_MAX} who have not answered yet`)
  }
  if (now.standing !== 'friends') return
  for (const user of [me, them]) {
    if ((await countOf(tx, user, 'accepted')) > FRIENDS_MAX) throw fail('QUOTA_REACHED', `${FRIENDS_MAX} friends`)
  }
}

/** How many friends `user` has, or how many people they have asked. */
const countOf = async (tx: Tx, user: string, state: 'requested' | 'accepted'): Promise<number> => {
  const { count } = await tx
    .selectFrom('friendships')
    .select(sql<number>`count(*)::int`.as('count'))
    .where(eb => eb.or({ low_id: user, high_id: user }))
    .where('state', '=', state)
    .$if(state === 'requested', query => query.where('requester_id', '=', user))
    .executeTakeFirstOrThrow()
  return count
}

const blockedBy = async (tx: Tx, user: string): Promise<number> => {
  const { count } = await tx
    .selectFrom('blocks')
    .select(sql<number>`count(*)::int`.as('count'))
    .where('user_id', '=', user)
    .executeTakeFirstOrThrow()
  return count
}

const tellingOf = (user: string, other: string, before: Pair, now: Pair): Telling[] => {
  const state = shown(now)
  if (state === shown(before)) return []
  return [{ user, event: { type: 'friendship', body: { user: other, state } } }]
}

/** A request is notified of as long as it stands. */
const notices = async (tx: Tx, me: string, them: string, before: Pair, now: Pair): Promise<Telling[]> => {
  const telling: (Telling | undefined)[] = []
  for (const [user, other, was, is] of [
    [them, me, shown(mirror(before)), shown(mirror(now))],
    [me, them, shown(before), shown(now)],
  ] as const) {
    if (was !== 'asked' && is === 'asked') {
      telling.push(await notify(tx, user, { kind: 'requested', subject: other, actor: other }))
    }
    if (was === 'asked' && is !== 'asked') telling.push(await withdraw(tx, user, { kind: 'requested', subject: other }))
  }
  return telling.filter(each => each !== undefined)
}

/** Ends everything between `user`, whose account ends, and others. Resolves with what to tell those. */
export const partFromAll = async (tx: Tx, user: string): Promise<Telling[]> => {
  const friendships = await tx
    .deleteFrom('friendships')
    .where(eb => eb.or({ low_id: user, high_id: user }))
    .returning(['low_id', 'high_id'])
    .execute()
  const blocks = await tx
    .deleteFrom('blocks')
    .where(eb => eb.or({ user_id: user, blocked_id: user }))
    .returning('user_id')
    .execute()
  const notifications = await tx
    .deleteFrom('notifications')
    // Of an invitation those are told who are notified of it: that goes with it, when the room is left.
    .where(eb => eb.or([eb('user_id', '=', user), eb.and([eb('actor_id', '=', user), eb('kind', '<>', 'invited')])]))
    .returning('user_id')
    .execute()
  const telling: Telling[] = friendships.map(({ low_id: low, high_id: high }) => ({
    user: low === user ? high : low,
    event: { type: 'friendship', body: { user, state: 'none' } },
  }))
  for (const { user_id: other } of blocks) {
    if (other !== user) telling.push({ user: other, event: { type: 'block', body: { user, blocked: false } } })
  }
  for (const other of new Set(notifications.map(({ user_id }) => user_id))) {
    if (other !== user) telling.push(await unreadNews(tx, other))
  }
  return telling
}
