import { createHash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { sql } from 'kysely'
import { transaction, type Db, type Tx } from '../database/database.ts'
import { idsIn } from '../database/ids.ts'
import { fail } from '../errors.ts'

/** How long a key is remembered, ms. */
const KEPT = 86_400_000

export interface Creation<Body> {
  readonly request: Pick<FastifyRequest, 'headers' | 'method' | 'url'>
  readonly reply: { statusCode: number }
  /** Who may repeat it: a user's id, or where nobody is signed in an address. */
  readonly scope: string
  /** What a repeat has in common with the first beside method and address; the body, where it holds no secret. */
  readonly same: unknown
  /** Creates it, in the transaction that remembers the key too. May be run again where others were in the way. */
  readonly work: (tx: Tx) => Promise<Body>
}

/**
 * Answers a POST that creates something: 201, unless `work` sets another status. With an `Idempotency-Key` that was used for
 * the same before, it does nothing and answers what was answered then, also where the first is still under way. Rejects with
 * KEY_REUSED where it was used for something else; what `work` rejects with leaves the key free.
 */
export const createOnce = async <Body extends object>(db: Db, creation: Creation<Body>): Promise<Body> => {
  const { request, reply, scope, work } = creation
  const key = request.headers['idempotency-key']
  return transaction(db, async tx => {
    reply.statusCode = 201
    if (typeof key !== 'string') return work(tx)
    const hash = hashOf(creation)
    // One at a time: who comes second sees what the first has done.
    await sql`select pg_advisory_xact_lock(hashtextextended(${`${scope} ${key}`}, 0))`.execute(tx)
    const known = await tx
      .selectFrom('idempotency_keys')
      .select(['request_hash', 'status', 'body'])
      .where('scope', '=', scope)
      .where('key', '=', key)
      .executeTakeFirst()
    if (known) {
      if (known.request_hash !== hash) throw fail('KEY_REUSED')
      reply.statusCode = known.status
      return JSON.parse(known.body) as Body
    }
    const body = await work(tx)
    const json = JSON.stringify(body)
    await tx
      .insertInto('idempotency_keys')
      .values({ scope, key, request_hash: hash, status: reply.statusCode, body: json, ids: idsIn(json) })
      .execute()
    return body
  })
}

const hashOf = ({ request, same }: Pick<Creation<object>, 'request' | 'same'>): string =>
  createHash('sha256')
    .update(JSON.stringify([request.method, request.url, same]))
    .digest('base64url')

/** Forgets what `user`, whose account ends, has created, and all that others were answered of them. */
export const forgetCreations = async (tx: Tx, user: string): Promise<void> => {
  await tx
    .deleteFrom('idempotency_keys')
    .where(sql<boolean>`scope = ${user} or ids @> ${[user]}::text[]`)
    .execute()
}

/** Forgets the keys of yesterday. */
export const forgetKeys = async (db: Db): Promise<void> => {
  await db
    .deleteFrom('idempotency_keys')
    .where('created_at', '<', sql<number>`now() - ${KEPT} * interval '1 millisecond'`)
    .execute()
}
