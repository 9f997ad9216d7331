import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Test } from 'tap'
import { exclusively } from '../../scripts/services/process.ts'
import { openDatabase, type Database } from '../database/database.ts'
import { scratch } from './node.ts'
import { postgresUrl } from './services.ts'

export const silent = { debug() {}, info() {}, warn() {}, error() {} }

export type Kind = 'postgres' | 'embedded'

export interface TestDatabase extends Database {
  readonly kind: Kind
  /** What tells a node to use it. */
  readonly env: Readonly<Record<string, string>>
  /** The database as another node has it: on PostgreSQL over connections of its own. */
  another(): Promise<Database>
}

const root = join(import.meta.dirname, '../..')
const limits = { DATABASE_POOL: 10, DATABASE_TIMEOUT: 5_000 }

/** A new, empty database in the PostgreSQL at `url`, which is gone after the test. Resolves with its URL. */
export const freshPostgres = async (t: Test, url: string): Promise<string> => {
  const name = `test_${randomBytes(6).toString('hex')}`
  const operate = async (text: string): Promise<void> => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(text)
    await client.end()
  }
  await operate(`create database ${name}`)
  t.teardown(() => operate(`drop database ${name} with (force)`))
  return Object.assign(new URL(url), { pathname: `/${name}` }).href
}

/** An embedded database is slow to make: once made and migrated, it is kept for as long as the migrations stay as they are. */
const template = async (): Promise<string> => {
  const hash = createHash('sha256').update(await readFile(join(root, 'node_modules/@electric-sql/pglite/package.json')))
  const migrations = join(root, 'server/database/migrations')
  for (const file of (await readdir(migrations)).toSorted()) hash.update(await readFile(join(migrations, file)))
  const cache = join(root, '.cache/embedded')
  const folder = join(cache, hash.digest('hex').slice(0, 12))
  if (existsSync(folder)) return folder
  await mkdir(cache, { recursive: true })
  await exclusively(`${folder}.lock`, async () => {
    if (existsSync(folder)) return
    const partial = `${folder}.partial`
    await rm(partial, { recursive: true, force: true })
    await (await openDatabase({ DATA_DIR: partial, ...limits }, silent)).close()
    await rename(partial, folder)
  })
  return folder
}

const embedded = async (t: Test): Promise<TestDatabase> => {
  const folder = await scratch(t)
  // A thousand files, which Node.js takes a second for.
  await promisify(execFile)('cp', ['-r', `${await template()}/.`, folder])
  const database = await openDatabase({ DATA_DIR: folder, ...limits }, silent)
  return { ...database, kind: 'embedded', env: { DATA_DIR: folder }, another: async () => database }
}

const postgres = async (t: Test): Promise<TestDatabase> => {
  const url = await freshPostgres(t, await postgresUrl(t))
  const another = async (): Promise<Database> => {
    const database = await openDatabase({ DATABASE_URL: url, DATA_DIR: '', ...limits }, silent)
    t.teardown(() => database.close())
    return database
  }
  return { ...(await another()), kind: 'postgres', env: { DATABASE_URL: url }, another }
}

/** A migrated database of the test's own, which is gone after it. */
export const testDatabase = async (t: Test, kind: Kind): Promise<TestDatabase> => {
  if (kind === 'postgres') return postgres(t)
  const database = await embedded(t)
  t.teardown(() => database.close())
  return database
}

/** Runs `suite` once on PostgreSQL and once embedded, each time with a database of its own. */
export const testDatabases = async (
  t: Test,
  suite: (t: Test, database: TestDatabase) => Promise<void> | void,
): Promise<void> => {
  for (const kind of ['postgres', 'embedded'] as const) {
    await t.test(kind, async t => suite(t, await testDatabase(t, kind)))
  }
}
