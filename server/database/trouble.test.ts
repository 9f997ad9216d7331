import { sql } from 'kysely'
import t from 'tap'
import { fail } from '../errors.ts'
import { silent, testDatabases } from '../testkit/database.ts'
import { until } from '../testkit/node.ts'
import { transaction } from './database.ts'
import { newId } from './ids.ts'
import { Pace } from './pace.ts'
import { openPostgres } from './postgres.ts'
import { isAway, reason, translate } from './trouble.ts'

const said = (code: string): Error => Object.assign(new Error(code), { severity: 'ERROR', code })

await t.test('which errors mean that the database is away', async t => {
  for (const code of [
    '08006',
    '28P01',
    '3D000',
    '53300',
    '53100',
    '57P01',
    '57P03',
    '57014',
    '58030',
    'XX000',
    '25P03',
    '25006',
  ]) {
    t.ok(isAway(said(code)), code)
    t.match(translate(said(code)), { code: 'DATABASE_UNAVAILABLE', cause: { code } })
  }
  for (const code of ['23505', '42601', '22P02', '25P02', '40001', '40P01', '55P03']) {
    t.notOk(isAway(said(code)), code)
    t.match(translate(said(code)), { code })
  }
  t.ok(isAway(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })))
  t.notOk(isAway(new TypeError('a mistake')))
  t.notOk(isAway(new RangeError('a mistake')))
  const ours = fail('FORBIDDEN')
  t.equal(translate(ours), ours)
})

await t.test('a reason is said in words', async t => {
  t.equal(
    reason(new AggregateError([new Error('connect ECONNREFUSED ::1:5432'), new Error('b')])),
    'connect ECONNREFUSED ::1:5432',
  )
  t.equal(reason('a text'), 'a text')
})

await t.test('what a log line calls a PostgreSQL', async t => {
  for (const [url, name] of [
    ['postgres://ann:secret@db.example.org:5433/chat', 'PostgreSQL chat at db.example.org:5433'],
    ['postgres://db.example.org/chat%20room', 'PostgreSQL chat room at db.example.org:5432'],
    ['postgres:///chat?host=/run/postgresql&port=5434', 'PostgreSQL chat at /run/postgresql:5434'],
    ['postgres://', 'PostgreSQL (the user’s own database) at localhost:5432'],
  ] as const) {
    const pool = openPostgres({ url, size: 1, timeout: 1_000 })
    t.equal(pool.name, name)
    await pool.end()
  }
})

await t.test('ids', async t => {
  const ids = new Set(Array.from({ length: 1000 }, newId))
  t.equal(ids.size, 1000)
  t.ok([...ids].every(id => /^[0-9a-z]{25}$/.test(id)))
})

await t.test('a mistake in what is done again and again is logged, and it goes on', async t => {
  const lines: string[] = []
  const error = (_fields: object, message: string): void => void lines.push(message)
  const errors = [fail('DATABASE_UNAVAILABLE'), new Error('a mistake')]
  let times = 0
  const pace = new Pace(1, { ...silent, error }, async () => {
    const error = errors[times++]
    if (error !== undefined) throw error
  })
  await until(() => times > 3)
  await pace.close()
  const ended = times
  pace.hint()
  await new Promise(setImmediate)
  t.equal(times, ended)
  t.same(lines, ['a mistake in what is done again and again'])
})

await testDatabases(t, async (t, { db, another, kind }) => {
  await t.test('a parameter of the wrong type is a mistake, not an outage', async t => {
    const error: unknown = await sql`select ${'perhaps'}::bool`.execute(db).catch(error => error)
    t.ok(error instanceof Error)
    t.not((error as { code?: string }).code, 'DATABASE_UNAVAILABLE')
    await db.selectFrom('rooms').select('id').execute()
  })

  await t.test(
    'trouble of the database’s own in a transaction undoes it, and the next one is none the worse',
    async t => {
      const full = transaction(db, async tx => {
        await sql`create table half_done ()`.execute(tx)
        await sql`do $$ begin raise 'no space' using errcode = '53100'; end $$`.execute(tx)
      })
      await t.rejects(full, { code: 'DATABASE_UNAVAILABLE' })
      const { rows } = await sql`select to_regclass('half_done')::text as found`.execute(db)
      t.same(rows, [{ found: null }])
    },
  )

  await t.test('a conflict is tried again, not for ever', async t => {
    let tries = 0
    const conflict = (times: number) => async (): Promise<string> => {
      if (++tries > times) return 'done'
      throw said('40001')
    }
    t.equal(await transaction(db, conflict(3)), 'done')
    t.equal(tries, 4)
    tries = 0
    await t.rejects(transaction(db, conflict(Infinity)), { code: 'DATABASE_UNAVAILABLE', cause: { code: '40001' } })
    t.equal(tries, 8)
  })

  if (kind === 'embedded') return
  await t.test('a deadlock and a serialization failure, for real', async t => {
    const other = await another()
    await sql`create table pair (id int primary key, n int not null)`.execute(db)
    await sql`insert into pair values (1, 0), (2, 0)`.execute(db)
    const add = (id: number) => sql`update pair set n = n + 1 where id = ${id}`
    const first = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
    const both = (at: 0 | 1, order: readonly [number, number]) =>
      transaction(at === 0 ? db : other.db, async tx => {
        await add(order[0]).execute(tx)
        first[at].resolve()
        await first[1 - at]!.promise
        await add(order[1]).execute(tx)
      })
    await Promise.all([both(0, [1, 2]), both(1, [2, 1])])
    const serial = (database: typeof db) =>
      transaction(database, async tx => {
        await sql`set transaction isolation level serializable`.execute(tx)
        const { rows } = await sql<{ n: number }>`select n from pair where id = 1`.execute(tx)
        await sql`update pair set n = ${rows[0]!.n + 1} where id = 1`.execute(tx)
      })
    await Promise.all([serial(db), serial(other.db), serial(db), serial(other.db)])
    t.same((await sql`select id, n from pair order by id`.execute(db)).rows, [
      { id: 1, n: 6 },
      { id: 2, n: 2 },
    ])
  })
})
