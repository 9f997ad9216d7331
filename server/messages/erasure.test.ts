import t from 'tap'
import { deleteAccount } from '../accounts/index.ts'
import { transaction } from '../database/database.ts'
import { ENTRY_ID } from '../database/outbox.ts'
import { people, roomOf } from '../rooms/testkit/people.ts'
import { testDatabases } from '../testkit/database.ts'
import { until } from '../testkit/node.ts'
import { eraseRoom, forgetMessages } from './erasure.ts'
import { archive, caughtUp, lives, numbered, scene } from './testkit/archive.ts'
import { archived, say, texts } from './testkit/log.ts'

t.setTimeout(180_000)

await testDatabases(t, async (t, { db, another }) => {
  await t.test('what somebody wrote goes with their account, also what is copied only afterwards', async t => {
    const { log, ann, bob, room } = await scene(t, db)
    await log.append(room, numbered(bob, 0, 1_200))
    const mine = await say(log, room, ann, 'mine')
    for (const each of ['👍', '👎']) await say(log, room, bob, each, { type: 'reaction', ref: mine })
    await say(log, room, bob, '{}', { type: 'system', [ENTRY_ID]: 'e' })
    const { hint } = archive(t, { db, log, every: 20 })
    await caughtUp(db, log, room)
    await deleteAccount(db, bob, [forgetMessages])
    const gone = async (): Promise<boolean> => (await db.selectFrom('erasures').selectAll().execute()).length === 0
    await until(gone)
    t.same(
      (await texts(db, room)).filter(text => text !== ''),
      ['mine', '{}'],
    )
    t.ok(
      (await archived(db, room)).every(
        ({ sender, kind, deleted_at }) => sender === ann || kind === 'system' || deleted_at,
      ),
    )
    t.same(await db.selectFrom('reactions').selectAll().where('room_id', '=', room).execute(), [])
    await say(log, room, bob, 'a word from the grave')
    await say(log, room, bob, '👍', { type: 'reaction', ref: mine })
    hint(room)
    await caughtUp(db, log, room)
    t.match((await archived(db, room)).at(-1), { sender: bob, body: '', deleted_at: Number })
    t.same(await db.selectFrom('reactions').selectAll().where('room_id', '=', room).execute(), [])
  })

  await t.test('an account that ends while its messages are copied', async t => {
    const { log, ann } = await scene(t, db)
    const { db: elsewhere } = await another()
    const { hint } = archive(t, { db: elsewhere, log, every: 20 })
    for (let i = 0; i < 8; i++) {
      const [bob] = await people(db, 'bob')
      const room = await roomOf(db, ann, { members: [bob] })
      await log.create([room])
      await log.append(room, numbered(bob, 0, 100))
      hint(room)
      await deleteAccount(db, bob, [forgetMessages])
      await caughtUp(db, log, room)
      await until(async () => (await db.selectFrom('erasures').selectAll().execute()).length === 0)
      t.ok((await texts(db, room)).every(text => text === ''))
    }
  })

  await t.test('a deleted room takes its messages along', async t => {
    const { log, ann, room } = await scene(t, db)
    await log.append(room, numbered(ann, 0, 1_100))
    await say(log, room, ann, '👍', { type: 'reaction', ref: await say(log, room, ann, 'x') })
    const { hint } = archive(t, { db, log, every: 20 })
    await caughtUp(db, log, room)
    await transaction(db, async tx => {
      await tx.deleteFrom('rooms').where('id', '=', room).execute()
      await eraseRoom(tx, room)
    })
    await until(async () => (await db.selectFrom('erasures').selectAll().execute()).length === 0)
    t.same(await archived(db, room), [])
    t.same(await db.selectFrom('reactions').selectAll().where('room_id', '=', room).execute(), [])
    t.same(await lives(db, room), [])
    const other = await roomOf(db, ann)
    await log.create([other])
    for (const each of [room, other]) {
      await say(log, each, ann, 'late')
      hint(each)
    }
    await caughtUp(db, log, other)
    t.same(await archived(db, room), [], 'it is not copied again')
  })
})
