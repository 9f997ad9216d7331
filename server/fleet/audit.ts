import type { Db, Tx } from '../database/database.ts'
import type { Row } from '../database/schema.ts'

export interface AdminAct {
  readonly actor: string
  /** What was done, such as `disconnect`. */
  readonly act: string
  readonly user?: string
  readonly room?: string
  /** Where it was asked from. */
  readonly address: string
  readonly detail?: Readonly<Record<string, unknown>>
}

/** Writes down what an admin does, in the transaction that does it, or before. */
export const writeDown = async (db: Db | Tx, { actor, act, user, room, address, detail }: AdminAct): Promise<void> => {
  await db
    .insertInto('audit')
    .values({
      actor_id: actor,
      act,
      user_id: user ?? null,
      room_id: room ?? null,
      address,
      detail: JSON.stringify(detail ?? {}),
    })
    .execute()
}

/** What admins did, the last first: one more than `limit`. `before`: the number of an earlier one. */
export const actsOf = (
  db: Db,
  { before, limit }: { readonly before: bigint | undefined; readonly limit: number },
): Promise<Row<'audit'>[]> =>
  db
    .selectFrom('audit')
    .selectAll()
    .$if(before !== undefined, query => query.where('id', '<', before!))
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
