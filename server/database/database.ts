import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Kysely, PostgresDialect, type PostgresPool, type Transaction } from 'kysely'
import type { Config } from '../config.ts'
import { fail } from '../errors.ts'
import type { Logger } from '../ports/logger.ts'
import { openEmbedded } from './embedded.ts'
import { openPostgres } from './postgres.ts'
import type { Schema } from './schema.ts'
import { isConflict } from './trouble.ts'
import { WatchedPool } from './watched-pool.ts'

export { FolderError } from './lock.ts'
export { isUniqueViolation } from './trouble.ts'
export { at, LAST_TIME, rowsOf } from './values.ts'

/**
 * Queries. All of them reject with DATABASE_UNAVAILABLE where the database is away or takes too long; then a write may have
 * been done or not. Errors of SQL itself come as they are: see `isUniqueViolation`.
 */
export type Db = Kysely<Schema>
/** The same within a transaction. */
export type Tx = Transaction<Schema>

export interface Database {
  readonly db: Db
  /** Rejects, within `timeout` ms, with what is wrong where the database does not answer or is not migrated yet. */
  check(timeout: number): Promise<void>
  /** Waits for what is under way, then frees everything. Queries after it reject. */
  close(): Promise<void>
}

export type DatabaseConfig = Pick<Config, 'DATABASE_URL' | 'DATABASE_POOL' | 'DATABASE_TIMEOUT' | 'DATA_DIR'>

/** How often a transaction that others were in the way of is run, and how long it waits in between at most, ms. */
const ATTEMPTS = 8
const WAIT = 20

/**
 * Opens the database and migrates it: PostgreSQL at `DATABASE_URL`, otherwise PGlite in `DATA_DIR/sql`. A PostgreSQL that is
 * away is said and waited for behind the scenes. Rejects with FolderError where the folder cannot be used, with
 * MigrationError where the migrations do not fit, and with the database's own error where one fails.
 */
export const openDatabase = async (config: DatabaseConfig, logger: Logger): Promise<Database> => {
  const { DATABASE_URL: url, DATABASE_POOL: size, DATABASE_TIMEOUT: timeout, DATA_DIR: data } = config
  const pool = new WatchedPool(
    url === undefined ? await openEmbedded(join(data, 'sql')) : openPostgres({ url, size, timeout }),
    logger,
  )
  try {
    await pool.open()
  } catch (error) {
    await pool.end()
    throw error
  }
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: pool as unknown as PostgresPool }) })
  let closed: Promise<void> | undefined
  const end = async (): Promise<void> => {
    await db.destroy()
    await pool.end()
  }
  return { db, check: timeout => pool.check(timeout), close: () => (closed ??= end()) }
}

/**
 * Runs `work` in a transaction, again where others were in its way (so it does nothing that cannot be done twice); after
 * some times DATABASE_UNAVAILABLE. What `work` rejects with undoes everything.
 */
export const transaction = async <T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> => {
  let conflict: unknown
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      return await db.transaction().execute(work)
    } catch (error) {
      if (!isConflict(error)) throw error
      conflict = error
    }
    await delay(Math.random() * WAIT * attempt)
  }
  throw fail('DATABASE_UNAVAILABLE', 'too many at once', { cause: conflict })
}
