import { join } from 'node:path'
import Postgrator from 'postgrator'
import type { Answer, Client } from './pool.ts'
import { MigrationError, reason } from './trouble.ts'

/** Any number that nothing else in the database locks. */
const LOCK = 4_861_703_295

/**
 * Brings the database to what this version needs. All of it is one transaction, and one node at a time does it: the
 * others wait for it and then find nothing to do. A database that is ahead, of a newer version, is left as it is.
 * Rejects with MigrationError where the migrations do not fit what has been done.
 */
export const migrate = async (client: Client, folder = join(import.meta.dirname, 'migrations')): Promise<number> => {
  let refused = false
  const query = async (text: string): Promise<Answer> => {
    try {
      return await client.query(text)
    } catch (error) {
      refused = true
      throw error
    }
  }
  const postgrator = new Postgrator({
    driver: 'pg',
    migrationPattern: join(folder, '*.sql'),
    schemaTable: 'hoofbeat_migrations',
    execQuery: query,
    execSqlScript: async text => void (await query(text)),
  })
  await query('begin')
  try {
    await query(`select pg_advisory_xact_lock(${LOCK})`)
    const done = await postgrator.migrate()
    await query('commit')
    return done.length
  } catch (error) {
    // Where the connection has gone, so has the transaction.
    await client.query('rollback').catch(() => undefined)
    if (refused) throw error
    // postgrator's own, such as of a file that was changed since.
    throw new MigrationError(`the migrations: ${reason(error)}`, { cause: error })
  }
}
