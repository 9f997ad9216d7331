import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import t, { type Test } from 'tap'
import { freshPostgres } from '../testkit/database.ts'
import { until } from '../testkit/node.ts'
import { ownPostgres } from '../testkit/services.ts'
import { followChanges, recordChange } from './access-changes.ts'
import { openDatabase, transaction, type Database, type Db } from './database.ts'

interface Line {
  readonly level: string
  readonly fields: object
  readonly message: string
}

const opened = async (t: Test, url: string, timeout = 5_000, size = 3) => {
  const lines: Line[] = []
  const write = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message })
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const config = { DATABASE_URL: url, DATA_DIR: '', DATABASE_POOL: size, DATABASE_TIMEOUT: timeout }
  const database = await openDatabase(config, logger)
  t.teardown(() => database.close())
  const logged = (message: RegExp): Promise<void> => until(() => lines.some(line => message.test(line.message)))
  return { ...database, lines, logged, logger }
}
/** It is stopped, killed and frozen, and runs again after each test. */
const postgres = await ownPostgres(t)
const ask = ({ db }: Pick<Database, 'db'>): Promise<unknown> => db.selectFrom('rooms').select('id').execute()
const AWAY = { name: 'HoofbeatError', code: 'DATABASE_UNAVAILABLE' }
const AWAY_LINE = 'the database is away: start it, or correct DATABASE_URL; what needs it is refused until it answers'

await t.test('away at the start: one line, not ready, refused; then it is there by itself', async t => {
  const url = await freshPostgres(t, postgres.url)
  await postgres.stop()
  const withPassword = url.replace('postgres@', 'postgres:secret@')
  const database = await opened(t, withPassword)
  t.match(database.lines, [
    {
      level: 'error',
      message: AWAY_LINE,
      fields: {
        database: /^PostgreSQL test_\w+ at 127\.0\.0\.1:\d+$/,
        reason: /^connect ECONNREFUSED 127\.0\.0\.1:\d+$/,
      },
    },
  ])
  t.notMatch(JSON.stringify(database.lines), 'secret')
  await t.rejects(ask(database), AWAY)
  await t.rejects(database.check(800), { message: /^PostgreSQL test_\w+ at .*: connect ECONNREFUSED/ })
  await postgres.start()
  await database.logged(/^the database answers$/)
  await ask(database)
  await database.check(800)
  t.equal(database.lines.filter(({ level }) => level === 'error').length, 1)
  t.ok(database.lines.some(({ message }) => message === 'the database was migrated'))
})

await t.test('killed and back under load: refused meanwhile, and nothing that was committed is lost', async t => {
  const database = await opened(t, await freshPostgres(t, postgres.url))
  await sql`create table marks (n int primary key)`.execute(database.db)
  const acknowledged: number[] = []
  let refused = 0
  let next = 0
  let ended = false
  const load = async (): Promise<void> => {
    while (!ended) {
      const n = next++
      try {
        await transaction(database.db, tx => sql`insert into marks values (${n})`.execute(tx))
        acknowledged.push(n)
      } catch (error) {
        if ((error as { code?: string }).code !== 'DATABASE_UNAVAILABLE') throw error
        refused++
      }
      await new Promise(setImmediate)
    }
  }
  const told: string[] = []
  const following = followChanges({ db: database.db, logger: database.logger, every: 5 }, ({ user }) =>
    told.push(user!),
  )
  t.teardown(() => following.close())
  await following.begun
  const loads = Promise.all(Array.from({ length: 6 }, load))
  await until(() => acknowledged.length > 50)
  await postgres.kill()
  await database.logged(/^the database is away/)
  await t.rejects(database.check(800))
  await t.rejects(ask(database), AWAY)
  const before = acknowledged.length
  await postgres.start()
  await database.logged(/^the database answers$/)
  await until(() => acknowledged.length > before + 50)
  ended = true
  await loads
  t.ok(refused > 0)
  const { rows } = await sql<{ n: number }>`select n from marks`.execute(database.db)
  const kept = new Set(rows.map(({ n }) => n))
  t.same(
    acknowledged.filter(n => !kept.has(n)),
    [],
  )
  await transaction(database.db, tx => recordChange(tx, { kind: 'user', user: 'after' }))
  await until(() => told.includes('after'))
  t.equal(database.lines.filter(({ message }) => message === AWAY_LINE).length, 1)
})

await t.test('frozen: whoever asks is refused in time, and it recovers', async t => {
  const database = await opened(t, await freshPostgres(t, postgres.url), 300)
  await ask(database)
  postgres.signal('SIGSTOP')
  const refused = await Promise.allSettled(Array.from({ length: 6 }, () => ask(database)))
  t.ok(refused.every(result => result.status === 'rejected' && result.reason.code === 'DATABASE_UNAVAILABLE'))
  await database.logged(/^the database is away/)
  await t.rejects(database.check(100))
  postgres.signal('SIGCONT')
  await database.logged(/^the database answers$/)
  await ask(database)
})

await t.test('a check waits no longer than it is told to', async t => {
  const database = await opened(t, await freshPostgres(t, postgres.url))
  await ask(database)
  postgres.signal('SIGSTOP')
  t.teardown(() => postgres.signal('SIGCONT'))
  // What was answered a moment ago counts, for a second.
  await database.check(50)
  await delay(1_001)
  await t.rejects(database.check(50), { message: /no answer in 50 ms$/ })
  postgres.signal('SIGCONT')
})

await t.test('one connection that is ended is not the database’s end', async t => {
  const url = await freshPostgres(t, postgres.url)
  const database = await opened(t, url, 5_000, 1)
  const operator = new pg.Client({ connectionString: postgres.url })
  await operator.connect()
  t.teardown(() => operator.end())
  const pid = async (db: Db): Promise<number> =>
    (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)).rows[0]!.pid
  const end = (pid: number): Promise<unknown> => operator.query('select pg_terminate_backend($1, 5000)', [pid])
  const open = transaction(database.db, async tx => {
    await end(await pid(tx))
    await sql`select 1`.execute(tx)
  })
  await t.rejects(open, AWAY, 'in the middle of a transaction')
  await ask(database)
  await end(await pid(database.db))
  await ask(database).catch(() => undefined)
  await ask(database)
  t.notOk(database.lines.some(({ level }) => level === 'error'))
})

await t.test('a statement, and waiting for a connection, take no longer than they may', async t => {
  const database = await opened(t, await freshPostgres(t, postgres.url), 200, 1)
  await t.rejects(sql`select pg_sleep(10)`.execute(database.db), AWAY)
  const go = Promise.withResolvers<void>()
  const holding = transaction(database.db, async tx => {
    await sql`select 1`.execute(tx)
    await t.rejects(ask(database), AWAY, 'the only connection is taken')
    go.resolve()
  })
  await go.promise
  await holding
  await ask(database)
  await t.rejects(
    transaction(database.db, async tx => {
      await sql`set local idle_in_transaction_session_timeout = 1`.execute(tx)
      await delay(50)
      await sql`select 1`.execute(tx)
    }),
    AWAY,
    'a transaction that does nothing',
  )
  t.notOk(database.lines.some(({ level }) => level === 'error'))
})

await t.test('a server that refuses us says why, and then another reason', async t => {
  const database = await opened(t, Object.assign(new URL(postgres.url), { pathname: '/nowhere' }).href)
  t.match(database.lines[0]?.fields, { reason: 'database "nowhere" does not exist' })
  await postgres.stop()
  await database.logged(/still away, for another reason/)
  await postgres.start()
  const operator = new pg.Client({ connectionString: postgres.url })
  await operator.connect()
  await operator.query('create database nowhere')
  await operator.end()
  await database.logged(/^the database answers$/)
  await ask(database)
})

await t.test('what answers and is no PostgreSQL', async t => {
  const server = createServer(socket => socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const database = await opened(t, `postgres://127.0.0.1:${port}/chat`)
  t.match(database.lines, [{ level: 'error', message: AWAY_LINE }])
  await database.close()
  await t.rejects(ask(database), 'closed while it was away')
})
