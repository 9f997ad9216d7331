import { sql } from 'kysely'
import type { Db } from '../database/database.ts'

/** In rooms of more members than this nobody is told who comes and goes: they ask. */
export const TOLD_UP_TO = 200

/** Each of `users` with their friends. */
export const friendsOfAll = async (db: Db, users: readonly string[]): Promise<Map<string, string[]>> => {
  const rows = await db
    .selectFrom('friendships')
    .select(['low_id', 'high_id'])
    .where('state', '=', 'accepted')
    .where(eb => eb.or([eb('low_id', 'in', [...users]), eb('high_id', 'in', [...users])]))
    .execute()
  const friends = new Map<string, string[]>(users.map(user => [user, []]))
  for (const { low_id: low, high_id: high } of rows) {
    friends.get(low)?.push(high)
    friends.get(high)?.push(low)
  }
  return friends
}

/** The rooms of `users` whose members are told who comes and goes, each with those of them who are members. */
export const smallRoomsOf = async (
  db: Db,
  users: readonly string[],
): Promise<readonly { room: string; user: string }[]> =>
  db
    .selectFrom('members')
    // Each by its key: where that is left to the database it may rather read all the rooms that there are.
    .innerJoinLateral(
      eb => eb.selectFrom('rooms').select('member_count').whereRef('id', '=', 'members.room_id').offset(0).as('rooms'),
      join => join.onTrue(),
    )
    .select(['members.room_id as room', 'members.user_id as user'])
    .where('members.user_id', 'in', [...users])
    .where('rooms.member_count', '<=', TOLD_UP_TO)
    .execute()

/** Each of `users` with those whom they block or who block them. */
export const estrangedFrom = async (db: Db, users: readonly string[]): Promise<Map<string, Set<string>>> => {
  const rows = await db
    .selectFrom('blocks')
    .select(['user_id', 'blocked_id'])
    .where(eb => eb.or([eb('user_id', 'in', [...users]), eb('blocked_id', 'in', [...users])]))
    .execute()
  const estranged = new Map<string, Set<string>>(users.map(user => [user, new Set()]))
  for (const { user_id: user, blocked_id: blocked } of rows) {
    estranged.get(user)?.add(blocked)
    estranged.get(blocked)?.add(user)
  }
  return estranged
}

/** Which of `users` are members of which of `rooms`. */
export const membersAmong = async (
  db: Db,
  rooms: readonly string[],
  users: readonly string[],
): Promise<readonly { room: string; user: string }[]> => {
  if (users.length === 0) return []
  return db
    .selectFrom('members')
    .select(['room_id as room', 'user_id as user'])
    .where(sql<boolean>`room_id = any(${rooms}::text[]) and user_id = any(${users}::text[])`)
    .execute()
}

/** Somebody whom the asker may see, and when they were last seen, epoch ms. */
export interface Seen {
  readonly id: string
  readonly lastSeen: number | null
}

/** Those of `users` whose presence `viewer` may see: friends and fellow members, unless one of the two has blocked the other. */
export const seenBy = async (db: Db, viewer: string, users: readonly string[]): Promise<Seen[]> => {
  if (users.length === 0) return []
  const { rows } = await sql<Seen>`
    select u.id, u.last_seen_at as "lastSeen" from users u
    where u.id in (${sql.join(users)}) and u.deleted_at is null
      and not exists (
        select from blocks b
        where (b.user_id = u.id and b.blocked_id = ${viewer}) or (b.user_id = ${viewer} and b.blocked_id = u.id)
      )
      and (
        u.id = ${viewer}
        or exists (
          select from friendships f
          where f.state = 'accepted'
            and f.low_id = least(u.id, ${viewer} collate "C") and f.high_id = greatest(u.id, ${viewer} collate "C")
        )
        or exists (
          select from members mine join members theirs on theirs.room_id = mine.room_id and theirs.user_id = u.id
          where mine.user_id = ${viewer}
        )
      )`.execute(db)
  return rows
}

/** Writes down when `users` were last seen: now. */
export const markSeen = async (db: Db, users: readonly string[]): Promise<void> => {
  await db
    .updateTable('users')
    .set({ last_seen_at: sql<number>`now()` })
    .where('id', 'in', [...users])
    .where('deleted_at', 'is', null)
    .execute()
}
