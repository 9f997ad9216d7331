import t from 'tap'
import { transaction, type Db } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import { people, roomOf } from '../rooms/testkit/people.ts'
import { testDatabases } from '../testkit/database.ts'
import {
  markRead,
  notificationsOf,
  notify,
  unreadOf,
  UNREAD_BY_ACTOR,
  withdraw,
  type Notification,
  type NotificationPlace,
} from './notifications.ts'
import { relate } from './relations.ts'

const mention = (db: Db, user: string, actor: string, subject = newId()) =>
  transaction(db, tx => notify(tx, user, { kind: 'mentioned', subject, actor }))

t.setTimeout(90_000)

await testDatabases(t, async (t, { db, another }) => {
  await t.test('kept, listed with the newest first, marked as read', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, bob, { members: [ann] })
    t.equal(await unreadOf(db, ann), 0)
    const invited = await transaction(db, tx => notify(tx, ann, { kind: 'invited', subject: 'i1', actor: bob, room }))
    t.match(invited, { user: ann, event: { type: 'notification', body: { kind: 'invited', unread: 1 } } })
    for (let i = 0; i < 4; i++) await mention(db, ann, bob, `m${i}`)
    const seen: Notification[] = []
    let after: NotificationPlace | undefined
    for (;;) {
      const page = await notificationsOf(db, ann, { after, limit: 2 })
      seen.push(...page.slice(0, 2))
      if (page.length <= 2) break
      after = [page[1]!.createdAt, page[1]!.id]
    }
    t.same(seen.map(({ subject }) => subject).toSorted(), ['i1', 'm0', 'm1', 'm2', 'm3'])
    t.ok(seen.every(({ createdAt }, i) => i === 0 || createdAt <= seen[i - 1]!.createdAt))
    t.match(
      seen.find(({ kind }) => kind === 'invited'),
      { actor: bob, room, read: false },
    )
    const [first, second] = seen
    const read = await transaction(db, tx => markRead(tx, ann, [first!.id, second!.id]))
    t.match(read, { user: ann, event: { type: 'notification', body: { unread: 3 } } })
    t.equal(await transaction(db, tx => markRead(tx, ann, [first!.id])), undefined, 'once')
    t.equal(await transaction(db, tx => markRead(tx, bob, 'all')), undefined, 'nobody else’s')
    t.equal(await transaction(db, tx => markRead(tx, ann, [])), undefined)
    t.equal(await unreadOf(db, ann), 3)
    await transaction(db, tx => markRead(tx, ann, 'all'))
    t.equal(await unreadOf(db, ann), 0)
    t.ok((await notificationsOf(db, ann, { after: undefined, limit: 10 })).every(({ read }) => read))
  })

  await t.test('the same kind and subject is notified of once, also at the same time', async t => {
    const [ann, bob, cher] = await people(db, 'ann', 'bob', 'cher')
    const { db: elsewhere } = await another()
    const all = await Promise.all(
      [db, elsewhere, db, elsewhere].map((each, i) => mention(each, ann, i % 2 ? bob : cher, 'm')),
    )
    t.equal(all.filter(Boolean).length, 1)
    t.equal(await unreadOf(db, ann), 1)
    await transaction(db, tx => markRead(tx, ann, 'all'))
    t.equal(await mention(db, ann, bob, 'm'), undefined, 'read or not')
    t.ok(await mention(db, bob, ann, 'm'), 'of each user')
  })

  await t.test('what is of no interest any more is taken back', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    await mention(db, ann, bob, 'm')
    const taken = await transaction(db, tx => withdraw(tx, ann, { kind: 'mentioned', subject: 'm' }))
    t.match(taken, { user: ann, event: { body: { unread: 0 } } })
    t.equal(await transaction(db, tx => withdraw(tx, ann, { kind: 'mentioned', subject: 'm' })), undefined)
    t.ok(await mention(db, ann, bob, 'm'), 'it may come again')
  })

  await t.test('nothing comes from whom one has blocked, nor goes to them', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    await transaction(db, tx => relate(tx, ann, bob, 'block'))
    t.equal(await mention(db, ann, bob), undefined)
    t.equal(await mention(db, bob, ann), undefined)
  })

  await t.test('whoever floods somebody is not heard any more, and all others are', async t => {
    const [ann, bob, cher, dan] = await people(db, 'ann', 'bob', 'cher', 'dan')
    for (let i = 0; i < UNREAD_BY_ACTOR; i++) t.ok(await mention(db, ann, bob))
    t.equal(await mention(db, ann, bob), undefined)
    t.ok(await mention(db, ann, cher))
    t.ok(await mention(db, dan, bob), 'others hear of them')
    t.equal(await unreadOf(db, ann), UNREAD_BY_ACTOR + 1)
    await transaction(db, tx => markRead(tx, ann, 'all'))
    t.ok(await mention(db, ann, bob), 'what was read does not count')
  })

  await t.test('more than 999 unread ones are not counted', async t => {
    const [ann] = await people(db, 'ann')
    const rows = Array.from({ length: 1_001 }, () => ({
      id: newId(),
      user_id: ann,
      kind: 'mentioned' as const,
      subject: newId(),
    }))
    await db.insertInto('notifications').values(rows).execute()
    t.equal(await unreadOf(db, ann), 999)
  })
})
