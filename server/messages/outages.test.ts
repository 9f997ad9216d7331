import t from 'tap'
import { sql } from 'kysely'
import { deleteAccount } from '../accounts/index.ts'
import type { Db } from '../database/database.ts'
import { fail } from '../errors.ts'
import { roomOf } from '../rooms/testkit/people.ts'
import { silent, testDatabases } from '../testkit/database.ts'
import { until } from '../testkit/node.ts'
import { forgetMessages } from './erasure.ts'
import { archive, caughtUp, holdRoom, lives, numbered, reading, scene } from './testkit/archive.ts'
import { say, texts } from './testkit/log.ts'

t.setTimeout(180_000)

/**
 * Has a page of these rooms refused at the very end of its transaction, when all its rows have been written, by an error of this
 * SQLSTATE. Resolves with how to end that.
 */
const refuse = async (db: Db, rooms: readonly string[], code: string): Promise<() => Promise<void>> => {
  await sql`create sequence refusals`.execute(db)
  await sql`create table refused as select unnest(${rooms}::text[]) as name`.execute(db)
  await sql`create function refuse() returns trigger language plpgsql as $$
    begin
      if new.room_id in (select name from refused) then
        perform nextval('refusals');
        raise exception 'no' using errcode = ${sql.lit(code)};
      end if;
      return new;
    end $$`.execute(db)
  await sql`create trigger refuse before update on room_epochs for each row execute function refuse()`.execute(db)
  return async () => {
    await sql`drop trigger refuse on room_epochs`.execute(db)
    await sql`drop function refuse`.execute(db)
    await sql`drop table refused`.execute(db)
    await sql`drop sequence refusals`.execute(db)
  }
}

/** How often it was refused; what a sequence counts is not rolled back. */
const refusals = async (db: Db): Promise<number> => {
  const { rows } = await sql<{ last: bigint }>`select last_value as last from refusals`.execute(db)
  return Number(rows[0]!.last)
}

await testDatabases(t, async (t, { db, kind, another }) => {
  await t.test('two nodes copy the same rooms at the same time: each record once', async t => {
    const { log, ann, bob, room } = await scene(t, db)
    const other = await roomOf(db, bob)
    await log.create([other])
    const { db: elsewhere } = await another()
    const nodes = [archive(t, { db, log, every: 20 }), archive(t, { db: elsewhere, log, every: 20 })]
    for (let i = 0; i < 40; i++) {
      for (const each of [room, other]) await log.append(each, numbered(bob, 10 * i, 10))
      for (const node of nodes) for (const each of [room, other]) node.hint(each)
    }
    for (const each of [room, other]) {
      await caughtUp(db, log, each)
      t.same(
        await texts(db, each),
        numbered(ann, 0, 400).map(({ body }) => body.toString()),
      )
    }
  })

  await t.test(
    'a transaction that is rolled back leaves nothing out and nothing twice; other rooms go on meanwhile',
    async t => {
      const { log, ann, room } = await scene(t, db)
      const other = await roomOf(db, ann)
      await log.create([other])
      for (const each of [room, other]) await log.append(each, numbered(ann, 0, 20))
      const allow = await refuse(db, [room], 'P0001')
      const lines: string[] = []
      const logger = {
        ...silent,
        warn: (_: object, line: string) => void lines.push(line),
        info: (_: object, line: string) => void lines.push(line),
      }
      archive(t, { db, log, every: 20, logger })
      await caughtUp(db, log, other)
      await until(() => lines.length > 0)
      t.same(await texts(db, room), [])
      await log.append(other, numbered(ann, 20, 1))
      await caughtUp(db, log, other)
      t.equal(lines.length, 1, 'it is said once')
      await allow()
      await caughtUp(db, log, room)
      t.same(
        await texts(db, room),
        numbered(ann, 0, 20).map(({ body }) => body.toString()),
      )
      await until(() => lines.length === 2)
      t.match(lines, [/not in the archive yet/, /copied to the archive again/])
    },
  )

  await t.test('the database cannot do its work for a while', async t => {
    const { log, ann, room } = await scene(t, db)
    const other = await roomOf(db, ann)
    await log.create([other])
    const { hint } = archive(t, { db, log, every: 20, gathered: 50 })
    // As where its disk is full.
    const allow = await refuse(db, [room, other], '53100')
    for (const each of [room, other]) await log.append(each, numbered(ann, 0, 20))
    for (const each of [room, other]) hint(each)
    await until(async () => (await refusals(db)) > 2)
    await allow()
    for (const each of [room, other]) {
      await caughtUp(db, log, each)
      t.equal((await texts(db, each)).length, 20)
    }
  })

  await t.test('the log is away: the others do not wait, and what came meanwhile is copied afterwards', async t => {
    const { log, ann, room } = await scene(t, db)
    const [silentRoom, away] = [await roomOf(db, ann), await roomOf(db, ann)]
    await log.create([silentRoom, away])
    const [silence, back] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let broken = true
    let asked = 0
    const partly = reading(log, {
      bounds: async each => {
        if (each === silentRoom) await silence.promise
        if (each === away && asked++ > 3) back.resolve()
        if (each === away && broken) throw fail('LOG_UNAVAILABLE')
        return log.bounds(each)
      },
    })
    const { hint } = archive(t, { db, log: partly, every: 20, patience: 10 })
    await back.promise
    for (const each of [room, silentRoom, away]) await say(log, each, ann, 'meanwhile')
    hint(silentRoom)
    hint(room)
    await caughtUp(db, log, room)
    t.same(await texts(db, room), ['meanwhile'])
    for (const each of [silentRoom, away]) t.same(await texts(db, each), [])
    broken = false
    silence.resolve()
    for (const each of [silentRoom, away]) {
      await caughtUp(db, log, each)
      t.same(await texts(db, each), ['meanwhile'])
    }
  })

  await t.test('rooms that nobody hints at are found, one part after the other', async t => {
    const { log, ann } = await scene(t, db)
    const rooms: string[] = []
    for (let i = 0; i < 60; i++) rooms.push(await roomOf(db, ann))
    const without = await roomOf(db, ann)
    await log.create(rooms)
    for (const room of rooms) await say(log, room, ann, 'one')
    archive(t, { db, log, every: 20 })
    for (const room of rooms) await caughtUp(db, log, room)
    for (const room of rooms) await say(log, room, ann, 'two')
    for (const room of rooms) await caughtUp(db, log, room)
    for (const room of rooms) t.same(await texts(db, room), ['one', 'two'])
    t.same(await lives(db, without), [], 'a room in which nobody has written has no log')
  })

  await t.test('where there is always something to copy, all else has its turn', async t => {
    const { log, ann, bob, room } = await scene(t, db)
    const [quiet, skipped] = [await roomOf(db, ann, { members: [bob] }), await roomOf(db, ann)]
    await log.create([quiet, skipped])
    let refused = 0
    const busy = reading(log, {
      bounds: async each => {
        if (each === room) {
          // Before it is copied it is hinted at again.
          await say(log, room, ann, 'and so on')
          hint(room)
        }
        if (each === skipped && refused++ === 0) throw fail('LOG_UNAVAILABLE')
        return log.bounds(each)
      },
    })
    const { hint } = archive(t, { db, log: busy, every: 20 })
    hint(room)
    await until(() => refused > 0)
    for (const each of [quiet, skipped]) {
      await say(log, each, bob, 'one')
      await caughtUp(db, log, each)
    }
    await deleteAccount(db, bob, [forgetMessages])
    await until(async () => (await texts(db, quiet))[0] === '')
    t.ok((await texts(db, room)).length > 0)
  })

  await t.test('who is behind does not wait for hints to gather, and a node that stops for nothing', async t => {
    const { log, ann, room } = await scene(t, db)
    await log.append(room, numbered(ann, 0, 1_000))
    const { close } = archive(t, { db, log, gathered: 3_600_000 })
    await caughtUp(db, log, room)
    t.equal((await texts(db, room)).length, 1_000)
    await close()
  })

  await t.test('nobody is waited for who changes the room; then it is copied', async t => {
    if (kind === 'embedded') return
    const { log, ann, room } = await scene(t, db)
    const other = await roomOf(db, ann)
    await log.create([other])
    const { db: elsewhere } = await another()
    const { hint } = archive(t, { db: elsewhere, log, every: 20 })
    // A transaction that does nothing is not waited for long.
    const release = await holdRoom(db, room)
    for (const each of [room, other]) {
      await say(log, each, ann, 'one')
      hint(each)
    }
    await caughtUp(db, log, other)
    t.same(await texts(db, room), [])
    await release()
    await caughtUp(db, log, room)
    t.same(await texts(db, room), ['one'])
  })
})
