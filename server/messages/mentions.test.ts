import t from 'tap'
import { memorySignals } from '../drivers/memory/signals.ts'
import { userChannel } from '../ports/signals.ts'
import { people, roomOf } from '../rooms/testkit/people.ts'
import { testDatabases } from '../testkit/database.ts'
import { until } from '../testkit/node.ts'
import type { Db } from '../database/database.ts'
import { MENTIONS_MOST, mentionedIn } from './mentions.ts'
import { archive, caughtUp } from './testkit/archive.ts'
import { record, say, testLog } from './testkit/log.ts'

t.setTimeout(180_000)

void t.test('names in a text', async t => {
  const cases: [text: string, names: string[]][] = [
    ['@ann', ['ann']],
    ['hello @Ann, and @bob.lee!', ['ann', 'bob.lee']],
    ['(@ann) "@bob" @cem-', ['ann', 'bob', 'cem']],
    ['@ann... @bob_', ['ann', 'bob']],
    ['ann@example.org and 1@ann and _@ann', []],
    ['@@ann', ['ann']],
    ['@안나 님, ＠ＡＮＮ', ['안나', 'ann']],
    ['@안나'.normalize('NFD'), ['안나']],
    ['@a @ @. @-ann', []],
    ['@ann @ANN @ann', ['ann']],
    [`@${'x'.repeat(300)}`, ['x'.repeat(200)]],
    [Array.from({ length: 30 }, (_, i) => `@n${i}`).join(' '), Array.from({ length: 20 }, (_, i) => `n${i}`)],
    ['', []],
  ]
  for (const [text, names] of cases) t.same(mentionedIn(text), names, text.slice(0, 40))
  t.equal(MENTIONS_MOST, 20)
})

const nameOf = async (db: Db, user: string): Promise<string> =>
  (await db.selectFrom('users').select('name').where('id', '=', user).executeTakeFirstOrThrow()).name!

await testDatabases(t, async (t, { db }) => {
  await t.test('members who are mentioned and may see it are notified, each once a message', async t => {
    const log = await testLog(t)
    const [ann, bob, cem, dan, eve] = await people(db, 'ann', 'bob', 'cem', 'dan', 'eve')
    const room = await roomOf(db, ann, { members: [bob, cem, dan], visibility: 'public' })
    await log.create([room])
    await db.insertInto('blocks').values({ user_id: dan, blocked_id: ann }).execute()
    const at: Record<string, string> = {}
    for (const user of [ann, bob, cem, dan, eve]) at[user] = `@${await nameOf(db, user)}`
    const all = Object.values(at).join(' ')
    const signals = memorySignals().port
    const heard: unknown[] = []
    for (const user of [ann, bob, cem, dan, eve]) {
      await signals.subscribe(userChannel(user), event => void heard.push([user, event]))
    }
    const first = await say(log, room, ann, `${all} ${at[bob]!.toUpperCase()}`)
    const second = await say(log, room, bob, `pst ${all}`, { to: cem })
    await say(log, room, ann, 'nobody')
    const gone = await say(log, room, ann, all)
    await say(log, room, ann, '', { type: 'delete', ref: gone })
    await say(log, room, ann, all, { type: 'edit', ref: first })
    await log.append(room, [record('outsider', all)])
    const { hint } = archive(t, { db, log, signals })
    await caughtUp(db, log, room)
    const kept = async () =>
      (await db.selectFrom('notifications').selectAll().where('room_id', '=', room).orderBy('subject').execute()).map(
        ({ user_id, kind, subject, actor_id }) => [user_id, kind, subject, actor_id],
      )
    const expected = [
      [bob, 'mentioned', first, ann],
      [cem, 'mentioned', first, ann],
      [cem, 'mentioned', second, bob],
    ]
    const sorted = (rows: unknown[][]) => rows.map(row => row.join()).toSorted()
    t.same(sorted(await kept()), sorted(expected))
    await until(() => heard.length === 3)
    const event = (unread: number) => ({ type: 'notification', body: { id: String, kind: 'mentioned', unread } })
    t.match(
      heard.toSorted((a, b) => ((a as string[])[0]! < (b as string[])[0]! ? -1 : 1)),
      [
        [bob, event(1)],
        [cem, event(2)],
        [cem, event(2)],
      ].toSorted((a, b) => ((a[0] as string) < (b[0] as string) ? -1 : 1)),
    )
    await say(log, room, ann, '@nobody.of.that.name')
    hint(room)
    await caughtUp(db, log, room)
    t.equal((await kept()).length, expected.length)
    for (let i = 0; i < 30; i++) await say(log, room, ann, `${at[bob]} ${i}`)
    hint(room)
    await caughtUp(db, log, room)
    t.equal((await kept()).filter(([user]) => user === bob).length, 20, 'whoever floods somebody is not heard any more')
  })
})
