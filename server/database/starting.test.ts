import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { freshPostgres, silent, testDatabase } from '../testkit/database.ts'
import { scratch } from '../testkit/node.ts'
import { postgresUrl } from '../testkit/services.ts'
import { openDatabase } from './database.ts'
import { openEmbedded } from './embedded.ts'
import { lockFolder } from './lock.ts'
import { migrate } from './migrate.ts'
import { openPostgres } from './postgres.ts'

const limits = { DATABASE_POOL: 2, DATABASE_TIMEOUT: 5_000 }
const migrations = join(import.meta.dirname, 'migrations')

interface Started {
  readonly process: ChildProcess
  /** What it has said up to how it went. */
  readonly lines: Promise<string[]>
}
/** Opens a database in a process of its own. */
const start = (t: Test, env: Readonly<Record<string, string>>): Started => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'testkit/open.ts')], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const read = async (): Promise<string[]> => {
    const lines: string[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line)
      if (/^open$|^refused/.test(line)) break
    }
    return lines
  }
  return { process: child, lines: read() }
}

await t.test('three nodes that start at once on an empty database', async t => {
  const url = await freshPostgres(t, await postgresUrl(t))
  const nodes = Array.from({ length: 3 }, () => start(t, { DATABASE_URL: url }))
  const lines = await Promise.all(nodes.map(({ lines }) => lines))
  t.same(
    lines.toSorted((a, b) => a.length - b.length),
    [['open'], ['open'], ['the database was migrated', 'open']],
  )
})

await t.test('a migration that fails changes nothing, and stops the start', async t => {
  const url = await freshPostgres(t, await postgresUrl(t))
  const folder = await scratch(t)
  await cp(migrations, folder, { recursive: true })
  const pool = openPostgres({ url, size: 1, timeout: 5_000 })
  t.teardown(() => pool.end())
  const client = await pool.connectAlone()
  t.teardown(() => client.release())
  const tables = async (): Promise<unknown> =>
    (await client.query(`select count(*)::int as n from pg_tables where schemaname = 'public'`)).rows[0]?.['n']
  await writeFile(join(folder, '9998.do.good.sql'), 'create table good ();')
  await writeFile(join(folder, '9999.do.bad.sql'), 'create table good ();')
  await t.rejects(migrate(client, folder), { message: 'relation "good" already exists' })
  t.equal(await tables(), 0)

  await rm(join(folder, '9999.do.bad.sql'))
  const files = await readdir(folder)
  t.equal(await migrate(client, folder), files.length)
  t.equal(await migrate(client, folder), 0)
  t.equal(await migrate(client), 0, 'an older version leaves what a newer one made')

  await writeFile(join(folder, files.toSorted()[0]!), 'select 1;')
  await t.rejects(migrate(client, folder), {
    name: 'MigrationError',
    message: 'the migrations: MD5 checksum failed for migration [1]',
  })
  await client.query(`delete from hoofbeat_migrations where version > 1`)
  await client.query(`update hoofbeat_migrations set md5 = 'another'`)
  const opening = openDatabase({ DATABASE_URL: url, DATA_DIR: '', ...limits }, silent)
  await t.rejects(opening, { name: 'MigrationError' })
})

await t.test('embedded: one process at a time; after kill -9 the next one gets it', async t => {
  const { env, close, db } = await testDatabase(t, 'embedded')
  const folder = join(env['DATA_DIR']!, 'sql')
  const inUse = `${folder} is in use by another node: stop that one, or give this one a folder of its own`
  t.same(await start(t, env).lines, [`refused: ${inUse}`])
  await t.rejects(openEmbedded(folder), { name: 'FolderError', message: inUse }, 'nor twice in one process')
  t.same(await start(t, env).lines, [`refused: ${inUse}`], 'after that too')
  await sql`create table kept as select 1 as n`.execute(db)
  await close()
  const first = start(t, env)
  t.same(await first.lines, ['open'])
  t.same(await start(t, env).lines, [`refused: ${inUse}`])
  first.process.kill('SIGKILL')
  await once(first.process, 'exit')
  const again = await openDatabase({ DATA_DIR: env['DATA_DIR']!, ...limits }, silent)
  t.teardown(() => again.close())
  t.same((await sql`select n from kept`.execute(again.db)).rows, [{ n: 1 }])
})

await t.test('embedded: made anew, also after an end in the middle of that', async t => {
  const folder = join(await scratch(t), 'data')
  await mkdir(join(folder, 'sql.partial'), { recursive: true })
  await writeFile(join(folder, 'sql.partial/PG_VERSION'), '18')
  const database = await openDatabase({ DATA_DIR: folder, ...limits }, silent)
  t.same(await database.db.selectFrom('users').selectAll().execute(), [])
  await database.check(5_000)
  await database.close()
  await database.close()
  t.notOk(existsSync(join(folder, 'sql.partial')))
  await t.rejects(database.db.selectFrom('users').selectAll().execute(), 'closed')
  await t.rejects(database.check(5_000), 'closed')
})

await t.test('embedded: a folder that cannot be used', async t => {
  const folder = await scratch(t)
  await writeFile(join(folder, 'file'), '')
  await t.rejects(openEmbedded(join(folder, 'file/sql')), { name: 'FolderError', message: /EEXIST/ })
  await mkdir(join(folder, 'other'))
  await writeFile(join(folder, 'other/PG_VERSION'), '9')
  await t.rejects(openEmbedded(join(folder, 'other')), { name: 'FolderError' })
  await writeFile(join(folder, 'other.lock/CURRENT'), 'nonsense')
  await t.rejects(lockFolder(join(folder, 'other')), { name: 'FolderError', message: /other\.lock: / })
})
