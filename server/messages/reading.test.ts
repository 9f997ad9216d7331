import t from 'tap'
import fc from 'fast-check'
import { transaction, type Db } from '../database/database.ts'
import { fail } from '../errors.ts'
import { people, roomOf } from '../rooms/testkit/people.ts'
import { join } from '../rooms/coming-and-going.ts'
import { testDatabases } from '../testkit/database.ts'
import { moveRead, readPlaceOf, UNREAD_MOST, unreadOf } from './reading.ts'
import { archive, caughtUp, numbered, scene } from './testkit/archive.ts'
import { archived, record, say } from './testkit/log.ts'
import { Model, steps } from './testkit/model.ts'

t.setTimeout(120_000)

const read = async (db: Db, log: Parameters<typeof readPlaceOf>[1], room: string, user: string, message: string) => {
  const place = await readPlaceOf(db, log, room, message)
  return transaction(db, tx => moveRead(tx, room, user, place))
}

await testDatabases(t, async (t, { db }) => {
  await t.test('unread is what others wrote for me behind what I have read', async t => {
    const { log, ann, bob, cem, room } = await scene(t, db)
    const { hint } = archive(t, { db, log })
    const copied = async (): Promise<void> => {
      hint(room)
      await caughtUp(db, log, room)
    }
    const unread = (): Promise<number[]> => Promise.all([ann, bob, cem].map(user => unreadOf(db, room, user)))
    t.same(await unread(), [0, 0, 0])
    const one = await say(log, room, ann, 'one')
    const two = await say(log, room, bob, 'two')
    await say(log, room, ann, 'pst', { to: bob })
    await say(log, room, ann, '👍', { type: 'reaction', ref: two })
    await log.append(room, [record('outsider', 'x')])
    await copied()
    t.same(await unread(), [1, 2, 2])
    t.equal(await read(db, log, room, cem, one), true)
    t.same(await unread(), [1, 2, 1])
    t.equal(await read(db, log, room, cem, one), false, 'once more')
    t.equal(await read(db, log, room, cem, two), true)
    t.equal(await read(db, log, room, cem, one), false, 'never back')
    t.same(await unread(), [1, 2, 0])
    const five = await say(log, room, ann, 'five')
    t.equal(await read(db, log, room, cem, five), true, 'before it is in the archive')
    await copied()
    t.same(await unread(), [1, 3, 0])
    await say(log, room, ann, '', { type: 'delete', ref: one })
    await copied()
    t.same(await unread(), [1, 2, 0])
  })

  await t.test('whoever joins starts there; whoever comes back too', async t => {
    const { log, ann, room } = await scene(t, db)
    const [dan] = await people(db, 'dan')
    const open = await roomOf(db, ann, { visibility: 'public' })
    await log.create([open])
    const { hint } = archive(t, { db, log })
    await log.append(open, numbered(ann, 0, 5))
    hint(open)
    await caughtUp(db, log, open)
    await transaction(db, tx => join(tx, open, dan))
    t.equal(await unreadOf(db, open, dan), 0)
    await log.append(open, numbered(ann, 5, 2))
    hint(open)
    await caughtUp(db, log, open)
    t.equal(await unreadOf(db, open, dan), 2)
    t.equal(await unreadOf(db, room, dan), 0)
  })

  await t.test('at most 999', async t => {
    const { log, ann, bob, room } = await scene(t, db)
    const { hint } = archive(t, { db, log })
    for (const [count, expected] of [
      [UNREAD_MOST, UNREAD_MOST],
      [1, UNREAD_MOST],
    ] as const) {
      await log.append(room, numbered(ann, 0, count))
      hint(room)
      await caughtUp(db, log, room)
      t.equal(await unreadOf(db, room, bob), expected)
    }
  })

  await t.test('only messages that there are can be read, by members, in the room’s newest log too', async t => {
    const { log, ann, bob, room } = await scene(t, db)
    const other = await roomOf(db, ann)
    const old = await say(log, room, ann, 'old')
    const { hint } = archive(t, { db, log })
    await caughtUp(db, log, room)
    const next = old.replace(/0$/, '1')
    for (const message of ['', 'x', next, old.replace(/0$/, '9'.repeat(18)), `x${old}`]) {
      await t.rejects(readPlaceOf(db, log, room, message), { code: 'BAD_REQUEST' }, message)
    }
    await t.rejects(readPlaceOf(db, log, other, old), { code: 'BAD_REQUEST' }, 'nobody has written there yet')
    const away = { bounds: async () => Promise.reject(fail('LOG_UNAVAILABLE')) }
    t.same(await readPlaceOf(db, away, room, old), { generation: 1, offset: 0n })
    await t.rejects(readPlaceOf(db, away, room, next), { code: 'LOG_UNAVAILABLE' })
    t.equal(await read(db, log, room, bob, old), true)
    await log.remove(room)
    await log.create([room])
    const fresh = await say(log, room, ann, 'fresh')
    const unread = async (): Promise<number> => {
      hint(room)
      await caughtUp(db, log, room)
      return unreadOf(db, room, bob)
    }
    t.same(await readPlaceOf(db, log, room, fresh), { generation: 2, offset: 0n }, 'before the archive knows of it')
    t.equal(await unread(), 1)
    t.equal(await read(db, log, room, bob, fresh), true)
    t.equal(await read(db, log, room, bob, old), false, 'of an earlier life')
    t.equal(await unread(), 0)
    const [stranger] = await people(db, 'stranger')
    t.equal(await read(db, log, room, stranger, fresh), false, 'nobody else has a place')
    await db.deleteFrom('rooms').where('id', '=', room).execute()
    await t.rejects(readPlaceOf(db, log, room, fresh), { code: 'NO_SUCH_ROOM' })
  })

  await t.test('messages, edits, deletions, reactions, reading: as a plain model has it', async t => {
    const { log, ann, bob, cem } = await scene(t, db)
    const users = [ann, bob, cem]
    const { hint } = archive(t, { db, log })
    await fc.assert(
      fc.asyncProperty(steps, async all => {
        const room = await roomOf(db, ann, { members: [bob, cem] })
        await log.create([room])
        const model = new Model(users)
        for (const step of all) {
          if (step.act === 'copy') {
            hint(room)
            await caughtUp(db, log, room)
          } else if (step.act === 'read') {
            const message = model.ids[step.ref % (model.ids.length + 1)]
            if (message !== undefined) {
              const moved = await read(db, log, room, users[step.by]!, message)
              t.equal(moved, model.read(step.by, message))
            }
          } else {
            const sent = model.send(step)
            sent.kept(await say(log, room, users[step.by]!, sent.body, sent.headers))
          }
        }
        hint(room)
        await caughtUp(db, log, room)
        const rows = await archived(db, room)
        const reactions = await db.selectFrom('reactions').selectAll().where('room_id', '=', room).execute()
        t.same(
          rows.map(({ offset, body, changed, edited_at, deleted_at }) => ({
            offset,
            body,
            changed,
            edited: edited_at !== null,
            deleted: deleted_at !== null,
            reactions: reactions
              .filter(({ at_offset }) => Number(at_offset) === offset)
              .map(({ user_id, emoji }) => `${users.indexOf(user_id)} ${emoji}`)
              .toSorted(),
          })),
          model.rows(),
        )
        for (const [i, user] of users.entries()) t.equal(await unreadOf(db, room, user), model.unread(i))
      }),
      { numRuns: 25 },
    )
  })
})
