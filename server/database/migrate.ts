import { join } from 'node:path'
import Postgrator from 'postgrator'
import type { Client } from './pool.ts'

/** Any number that nothing else in the database locks. */
const LOCK = 4_861_703_295

/**
 * Brings the database to what this version needs. All of it is one transaction, and one node at a time does it: the
 * others wait for it and then find nothing to do. A database that is ahead, of a newer version, is left as it is.
 */
export const migrate = async (client: Client, folder = join(import.meta.dirname, 'migrations')): Promise<number> => {
  const postgrator = new Postgrator({
    driver: 'pg',
    migrationPattern: join(folder, '*.sql'),
    schemaTable: 'hoofbeat_migrations',
    execQuery: text => client.query(text),
    execSqlScript: async text => void (await client.query(text)),
  })
  await client.query('begin')
  try {
    await client.query(`select pg_advisory_xact_lock(${LOCK})`)
    const done = await postgrator.migrate()
    await client.query('commit')
    return done.length
  } catch (error) {
    // Where the connection has gone, so has the transaction.
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}
