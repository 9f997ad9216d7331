import { sql } from 'kysely'
import type { Db, Tx } from '../database/database.ts'

/** Whether one of the two has blocked the other. */
export const areBlocked = async (db: Db | Tx, one: string, other: string): Promise<boolean> => {
  const { rows } = await sql<{ blocked: boolean }>`select exists (
    select from blocks where (user_id = ${one} and blocked_id = ${other}) or (user_id = ${other} and blocked_id = ${one})
  ) as blocked`.execute(db)
  return rows[0]!.blocked
}

/** Whether the two are friends. */
export const areFriends = async (db: Db | Tx, one: string, other: string): Promise<boolean> => {
  const [low, high] = one < other ? [one, other] : [other, one]
  const friendship = await db
    .selectFrom('friendships')
    .select('state')
    .where('low_id', '=', low)
    .where('high_id', '=', high)
    .executeTakeFirst()
  return friendship?.state === 'accepted'
}
