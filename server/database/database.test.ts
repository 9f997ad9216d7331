import t from 'tap'
import { sql } from 'kysely'
import { testDatabases } from '../testkit/database.ts'
import { at, isUniqueViolation, transaction } from './database.ts'
import { newId } from './ids.ts'
import type { NewRow } from './schema.ts'

const person = (name: string): NewRow<'users'> => ({
  id: newId(),
  name,
  name_key: name.toLowerCase(),
  display_name: name,
  password_hash: 'x',
})

await testDatabases(t, async (t, { db, check, another }) => {
  await t.test('values are the same on both kinds', async t => {
    const time = 1_795_268_661_703
    const { rows } = await sql`select 9007199254740993::int8 as big, count(*) as n, 5::int4 as small,
      ${at(time)} as time, '\\x0001ff'::bytea as bytes, 'infinity'::timestamptz as never, null::int8 as nothing,
      '{"a": [1]}'::jsonb as json, true as yes from (select 1) as one`.execute(db)
    t.same(rows, [
      {
        big: 9007199254740993n,
        n: 1n,
        small: 5,
        time,
        bytes: Buffer.from([0, 1, 255]),
        never: Infinity,
        nothing: null,
        json: { a: [1] },
        yes: true,
      },
    ])
    const [row] = rows as { bytes: unknown }[]
    t.ok(Buffer.isBuffer(row?.bytes))
  })

  await t.test('what is written is read', async t => {
    const ann = { ...person('Ann'), last_seen_at: at(1_795_268_661_703) }
    const row = await db.insertInto('users').values(ann).returningAll().executeTakeFirstOrThrow()
    t.match(row, { name: 'Ann', last_seen_at: 1_795_268_661_703, status_text: '', is_admin: false, deleted_at: null })
    t.match(await db.selectFrom('users').selectAll().where('last_seen_at', '=', at(1_795_268_661_703)).execute(), [row])
    const bare = db.selectFrom('users').selectAll().where('last_seen_at', '>', 1_795_268_661_703)
    await t.rejects(
      bare.execute(),
      { message: /^(date\/time field value out of range|invalid input syntax)/ },
      'a bare number',
    )
  })

  await t.test('a row that exists already can be told, by its constraint', async t => {
    await db.insertInto('users').values(person('Bob')).execute()
    const error: unknown = await db
      .insertInto('users')
      .values(person('BOB'))
      .execute()
      .catch(error => error)
    t.ok(isUniqueViolation(error))
    t.ok(isUniqueViolation(error, 'users_name_key_key'))
    t.notOk(isUniqueViolation(error, 'users_pkey'))
    t.notOk(isUniqueViolation(new Error('no')))
    t.notMatch(JSON.stringify(error), /bob/i, 'nobody’s data is in the error')
  })

  await t.test('a transaction is all or nothing', async t => {
    const names = async () => (await db.selectFrom('users').select('name').where('name', 'like', 'T%').execute()).length
    const failing = transaction(db, async tx => {
      await tx.insertInto('users').values(person('Tess')).execute()
      throw new Error('no')
    })
    await t.rejects(failing, { message: 'no' })
    t.equal(await names(), 0)
    t.equal(
      await transaction(db, async tx => {
        await tx.insertInto('users').values(person('Tess')).execute()
        return 5
      }),
      5,
    )
    t.equal(await names(), 1)
    const swallowed = transaction(db, async tx => {
      await tx.insertInto('users').values(person('Tim')).execute()
      await tx
        .insertInto('users')
        .values(person('Tim'))
        .execute()
        .catch(() => undefined)
    })
    await t.rejects(swallowed, 'an error that was caught does not make half of it')
    t.equal(await names(), 1)
  })

  await t.test('many at once', async t => {
    const other = await another()
    const counts = await Promise.all(
      Array.from({ length: 40 }, async (_, i) =>
        transaction(i % 2 === 0 ? db : other.db, async tx => {
          await tx
            .insertInto('users')
            .values(person(`Many ${i}`))
            .execute()
          const { rows } = await sql<{
            n: number
          }>`select count(*)::int as n from users where name like 'Many%'`.execute(tx)
          return rows[0]!.n
        }),
      ),
    )
    t.equal(counts.length, 40)
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from users where name like 'Many%'`.execute(db)
    t.same(rows, [{ n: 40 }])
  })

  await t.test('it answers', async () => {
    await check(1_000)
    const other = await another()
    await other.check(5_000)
  })
})
