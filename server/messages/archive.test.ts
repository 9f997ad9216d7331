import t from 'tap'
import { ENTRY_ID } from '../database/outbox.ts'
import type { NewRecord } from '../ports/room-log.ts'
import { roomOf } from '../rooms/testkit/people.ts'
import { testDatabases } from '../testkit/database.ts'
import { until } from '../testkit/node.ts'
import { archive, caughtUp, lastMessage, lives, numbered, reading, scene } from './testkit/archive.ts'
import { archived, record, say, texts } from './testkit/log.ts'

t.setTimeout(180_000)

await testDatabases(t, async (t, { db }) => {
  await t.test(
    'what is appended is copied in its order; edits, reactions and deletions change what there is',
    async t => {
      const { log, ann, bob, room } = await scene(t, db)
      const one = await say(log, room, ann, 'one', { 'content-type': 'text/plain', 'x': '1' })
      const two = await say(log, room, bob, '둘')
      const three = await say(log, room, ann, 'three')
      await say(log, room, ann, 'ONE', { type: 'edit', ref: one })
      await say(log, room, bob, 'forged', { type: 'edit', ref: one })
      await say(log, room, ann, '👍', { type: 'reaction', ref: two })
      await say(log, room, bob, '👍', { type: 'reaction', ref: two, op: 'add' })
      await say(log, room, ann, '👍', { type: 'reaction', ref: two, op: 'remove' })
      await say(log, room, bob, '', { type: 'delete', ref: three })
      await say(log, room, ann, 'too late', { type: 'edit', ref: three })
      archive(t, { db, log }).hint(room)
      await caughtUp(db, log, room)
      const [first, second, third, ...more] = await archived(db, room)
      t.match(first, { offset: 0, sender: ann, body: 'ONE', edited_at: Number, changed: 3, kind: 'message' })
      t.same(first!.headers, [
        ['content-type', 'text/plain'],
        ['x', '1'],
      ])
      t.match(second, {
        offset: 1,
        sender: bob,
        body: '둘',
        headers: null,
        changed: 7,
        edited_at: null,
        deleted_at: null,
      })
      t.match(third, { offset: 2, sender: ann, body: '', changed: 8, deleted_at: Number, edited_at: null })
      t.same(more, [])
      const reactions = await db.selectFrom('reactions').selectAll().where('room_id', '=', room).execute()
      t.match(reactions, [{ user_id: bob, emoji: '👍', at_offset: 1n }])
      t.equal(reactions.length, 1)
      const log0 = await log.read(room, 0n, 3)
      t.equal(await lastMessage(db, room), Math.max(...log0.map(({ time }) => time)), 'only messages count')
    },
  )

  await t.test(
    'what is no text, or nobody of this server wrote, is unreadable, and what follows is copied',
    async t => {
      const { log, ann, room } = await scene(t, db)
      const system = { type: 'system' }
      const bad: NewRecord[] = [
        record(ann, 'a\0b'),
        record(ann, Buffer.from([0xff, 0xfe])),
        record(ann, 'x', { 'a\0': 'b' }),
        record(ann, 'x', { a: 'b\0' }),
        record('', 'an outsider'),
        record('nobody.of.ours', 'an outsider'),
        record('no\0body', 'an outsider'),
        record('x'.repeat(100), 'an outsider'),
        record(ann, 'not by the server', system),
        record(ann, 'as if by the server', { [ENTRY_ID]: 'forged' }),
        record(ann, 'what is that', { type: 'weather' }),
        record(ann, 'x', { to: 'y'.repeat(65) }),
        record(ann, 'x', { to: '' }),
        record(ann, 'x', { ...system, [ENTRY_ID]: 'e', to: ann }),
      ]
      await log.append(room, [...bad, record(ann, 'good'), record(ann, '{}', { ...system, [ENTRY_ID]: 'e1' })])
      archive(t, { db, log })
      await caughtUp(db, log, room)
      t.same(await texts(db, room), [...bad.map(() => 'unreadable'), 'good', '{}'])
      const rows = await archived(db, room)
      t.ok(
        rows
          .slice(0, bad.length)
          .every(({ sender, body, headers }) => sender === null && body === '' && headers === null),
      )
      t.match(rows.at(-1), { kind: 'system', sender: ann, entry_id: 'e1', headers: null })
    },
  )

  await t.test('what is about nothing that there is changes nothing', async t => {
    const { log, ann, bob, room } = await scene(t, db)
    const other = await roomOf(db, ann)
    await log.create([other])
    const elsewhere = await say(log, other, ann, 'elsewhere')
    const one = await say(log, room, ann, 'one')
    const whisper = await say(log, room, ann, 'to myself', { to: ann })
    const event = await say(log, room, ann, '{}', { type: 'system', [ENTRY_ID]: 'e1' })
    const next = one.replace(/0$/, '999')
    for (const ref of [elsewhere, next, 'x', '', one.replace('-', '-0'), event]) {
      for (const type of ['edit', 'delete', 'reaction']) await say(log, room, ann, 'x', { type, ref })
    }
    for (const type of ['edit', 'delete', 'reaction']) await say(log, room, ann, 'x', { type })
    for (const [body, op] of [
      ['', 'add'],
      ['x'.repeat(65), 'add'],
      ['👍', 'swap'],
    ] as const) {
      await say(log, room, ann, body, { type: 'reaction', ref: one, op })
    }
    await say(log, room, bob, '👍', { type: 'reaction', ref: whisper })
    archive(t, { db, log })
    await caughtUp(db, log, room)
    t.same(await texts(db, room), ['one', 'to myself', '{}'])
    const rows = await db.selectFrom('reactions').selectAll().where('room_id', '=', room).execute()
    t.same(rows, [])
    t.ok((await archived(db, room)).every(({ edited_at, deleted_at }) => edited_at === null && deleted_at === null))
  })

  await t.test('what the transactional outbox appended twice is there once', async t => {
    const { log, ann, room } = await scene(t, db)
    const note = (id: string) => record(ann, id, { type: 'system', [ENTRY_ID]: id })
    await log.append(room, [note('e1'), note('e2'), note('e1')])
    const { hint } = archive(t, { db, log })
    await caughtUp(db, log, room)
    await log.append(room, [note('e2'), note('e3')])
    hint(room)
    await caughtUp(db, log, room)
    t.same(await texts(db, room), ['e1', 'e2', 'e3'])
  })

  await t.test('10,000 records behind', async t => {
    const { log, ann, room } = await scene(t, db)
    for (let i = 0; i < 10; i++) await log.append(room, numbered(ann, 1000 * i, 1000))
    archive(t, { db, log })
    await caughtUp(db, log, room)
    const found = await texts(db, room)
    t.equal(found.length, 10_000)
    t.ok(found.every((text, i) => text === String(i)))
  })

  await t.test('a log that is made anew goes on behind the old one', async t => {
    const { log, ann, room } = await scene(t, db)
    const old = await say(log, room, ann, 'old')
    const { hint } = archive(t, { db, log })
    await caughtUp(db, log, room)
    await log.remove(room)
    await log.create([room])
    await say(log, room, ann, 'new')
    await say(log, room, ann, 'x', { type: 'edit', ref: old })
    hint(room)
    await until(async () => (await lives(db, room)).length === 2)
    await caughtUp(db, log, room)
    t.match(await archived(db, room), [
      { generation: 1, offset: 0, body: 'old' },
      { generation: 2, offset: 0, body: 'new' },
    ])
    t.same(await lives(db, room), [1, 2])
  })

  await t.test('made anew while it is being read', async t => {
    const { log, ann, room } = await scene(t, db)
    await say(log, room, ann, 'old')
    let reads = 0
    const slow = reading(log, {
      read: async (...asked) => {
        const records = await log.read(...asked)
        if (reads++ === 0) {
          await log.remove(room)
          await log.create([room])
          await say(log, room, ann, 'new')
        }
        return records
      },
    })
    archive(t, { db, log: slow })
    await caughtUp(db, log, room)
    t.same(await texts(db, room), ['new'], 'what was read of the old one belongs to no place of the new one')
  })

  await t.test('a hole at the end of the log is passed over', async t => {
    const { log, ann, room } = await scene(t, db)
    await say(log, room, ann, 'one')
    const beyond = reading(log, {
      bounds: async each => {
        const bounds = await log.bounds(each)
        return { ...bounds, next: bounds.next + 5n }
      },
    })
    archive(t, { db, log: beyond })
    await until(async () => (await lives(db, room))[0] === 6)
    t.same(await texts(db, room), ['one'])
  })

  await t.test('the time of the last message: of what all may see, no later than now, never back', async t => {
    const { log, ann, bob, room } = await scene(t, db)
    const long = 8_640_000_000_000_000
    let time = long
    const timed = reading(log, {
      read: async (...asked) => (await log.read(...asked)).map(each => ({ ...each, time })),
    })
    const { hint } = archive(t, { db, log: timed })
    const after = async (body: string, at: number, headers = {}): Promise<number> => {
      time = at
      await say(log, room, ann, body, headers)
      hint(room)
      await caughtUp(db, log, room)
      return lastMessage(db, room)
    }
    const begun = await lastMessage(db, room)
    t.equal(await after('{}', begun + 60_000, { type: 'system', [ENTRY_ID]: 'e' }), begun, 'of no use to anybody')
    t.equal(await after('pst', begun + 60_000, { to: bob }), begun, 'a whisper is nobody else’s business')
    const now = await after('one', long)
    t.ok(now > begun && now <= Date.now() + 60_000, 'an outsider may write any time')
    t.equal(await after('two', -5), now)
    t.equal(await after('three', begun), now)
    t.match((await archived(db, room)).map(({ created_at }) => created_at).slice(2), [253_402_300_799_999, 0, begun])
  })
})
