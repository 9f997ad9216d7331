import { sql } from 'kysely'
import t from 'tap'
import { transaction, type Db } from '../database/database.ts'
import { people, roomOf } from '../rooms/testkit/people.ts'
import { testDatabases } from '../testkit/database.ts'
import { blocksOf, friendsOf, requestsOf } from './lists.ts'
import { relate } from './relations.ts'
import { estrangedFrom, friendsOfAll, markSeen, membersAmong, seenBy, smallRoomsOf, TOLD_UP_TO } from './sight.ts'
import { befriend } from './testkit/friends.ts'

const ids = (rows: readonly { readonly id: string }[]): string[] => rows.map(({ id }) => id)
const personIds = (rows: readonly { readonly person: { readonly id: string } }[]): string[] =>
  ids(rows.map(({ person }) => person))
const relating = (db: Db, me: string, them: string, act: Parameters<typeof relate>[3]) =>
  transaction(db, tx => relate(tx, me, them, act))

await testDatabases(t, async (t, { db }) => {
  await t.test('friends are listed by name, a page at a time', async t => {
    const [ann, ...others] = await people(db, 'ann', 'f', 'd', 'e', 'b', 'c')
    const [f, d, e, b, c] = others
    for (const other of others) await befriend(db, ann, other)
    const [stranger, asked] = await people(db, 'stranger', 'asked')
    await befriend(db, b!, stranger)
    await relating(db, ann, asked, 'request')
    await markSeen(db, [c!])
    const first = await friendsOf(db, ann, { after: undefined, limit: 3 })
    t.same(personIds(first), [b, c, d, e], 'one more than the limit')
    t.match(first[0]!.person, { displayName: 'b', statusText: '' })
    t.equal(first[0]!.lastSeen, null)
    t.ok(Date.now() - first[1]!.lastSeen! < 60_000)
    t.ok(Date.now() - first[0]!.since < 60_000)
    t.same(personIds(await friendsOf(db, ann, { after: first[2]!.nameKey, limit: 3 })), [e, f])
    await sql`update users set name = null, name_key = null, password_hash = null, deleted_at = now() where id = ${e}`.execute(
      db,
    )
    t.same(
      personIds(await friendsOf(db, ann, { after: undefined, limit: 10 })),
      [b, c, d, f],
      'whose account is gone is not',
    )
  })

  await t.test('requests are listed by direction, the newest first; those of people one blocks are not', async t => {
    const [ann, bob, cher, dan] = await people(db, 'ann', 'bob', 'cher', 'dan')
    for (const other of [bob, cher, dan]) await relating(db, other, ann, 'request')
    const asked = await requestsOf(db, ann, 'asked', { after: undefined, limit: 10 })
    t.same(personIds(asked).toSorted(), [bob, cher, dan].toSorted())
    const [first] = await requestsOf(db, ann, 'asked', { after: undefined, limit: 1 })
    t.same(
      personIds(await requestsOf(db, ann, 'asked', { after: [first!.at, first!.person.id], limit: 10 })),
      personIds(asked.slice(1)),
    )
    t.same(personIds(await requestsOf(db, bob, 'requested', { after: undefined, limit: 10 })), [ann])
    t.same(await requestsOf(db, ann, 'requested', { after: undefined, limit: 10 }), [])
    await relating(db, ann, bob, 'block')
    await relating(db, bob, ann, 'request')
    t.same(
      personIds(await requestsOf(db, ann, 'asked', { after: undefined, limit: 10 })).toSorted(),
      [cher, dan].toSorted(),
    )
    t.same(
      personIds(await requestsOf(db, bob, 'requested', { after: undefined, limit: 10 })),
      [ann],
      'they do not know',
    )
  })

  await t.test('blocks are listed, to who made them', async t => {
    const [ann, bob, cher] = await people(db, 'ann', 'bob', 'cher')
    for (const other of [bob, cher]) await relating(db, ann, other, 'block')
    const all = await blocksOf(db, ann, { after: undefined, limit: 10 })
    t.same(personIds(all).toSorted(), [bob, cher].toSorted())
    t.same(
      personIds(await blocksOf(db, ann, { after: [all[0]!.at, all[0]!.person.id], limit: 10 })),
      personIds(all.slice(1)),
    )
    t.same(await blocksOf(db, bob, { after: undefined, limit: 10 }), [])
  })

  await t.test('friends and fellow members are seen, strangers are not, nor who blocks or is blocked', async t => {
    const [ann, friend, fellow, stranger, blocker, blocked, asked] = await people(
      db,
      ...(['ann', 'friend', 'fellow', 'stranger', 'blocker', 'blocked', 'asked'] as const),
    )
    await befriend(db, ann, friend)
    await roomOf(db, ann, { members: [fellow, blocker, blocked] })
    await roomOf(db, stranger, { visibility: 'public', members: [fellow] })
    await relating(db, blocker, ann, 'block')
    await relating(db, ann, blocked, 'block')
    await relating(db, asked, ann, 'request')
    const all = [ann, friend, fellow, stranger, blocker, blocked, asked, 'nobody']
    t.same(ids(await seenBy(db, ann, all)).toSorted(), [ann, friend, fellow].toSorted())
    t.same(ids(await seenBy(db, stranger, all)).toSorted(), [stranger, fellow].toSorted())
    t.same(await seenBy(db, ann, []), [])
    await markSeen(db, [friend])
    const seen = await seenBy(db, ann, [friend, fellow])
    t.same(
      seen.map(({ id, lastSeen }) => [id, lastSeen !== null]).toSorted(),
      [
        [friend, true],
        [fellow, false],
      ].toSorted(),
    )
  })

  await t.test('who is to be told: friends, rooms up to 200 members, and who is left out there', async t => {
    const [ann, bob, cher, dan] = await people(db, 'ann', 'bob', 'cher', 'dan')
    await befriend(db, ann, bob)
    await befriend(db, ann, cher)
    await relating(db, dan, ann, 'block')
    const small = await roomOf(db, ann, { members: [dan, bob] })
    const large = await roomOf(db, ann, { members: [dan] })
    const size = async (room: string, members: number): Promise<void> => {
      await db.updateTable('rooms').set({ member_count: members, max_members: 1_000 }).where('id', '=', room).execute()
    }
    await size(small, TOLD_UP_TO)
    await size(large, TOLD_UP_TO + 1)
    const friends = await friendsOfAll(db, [ann, bob, dan])
    t.same(friends.get(ann)?.toSorted(), [bob, cher].toSorted())
    t.same([friends.get(bob), friends.get(dan)], [[ann], []])
    const rooms = await smallRoomsOf(db, [ann, bob])
    t.same(
      rooms.map(({ room, user }) => [room, user]).toSorted(),
      [
        [small, ann],
        [small, bob],
      ].toSorted(),
    )
    const estranged = await estrangedFrom(db, [ann, bob, dan])
    t.same(
      [ann, bob, dan].map(each => [...estranged.get(each)!]),
      [[dan], [], [ann]],
    )
    const both = [
      { room: small, user: dan },
      { room: large, user: dan },
    ]
    const among = await membersAmong(db, [small, large], [dan, cher])
    t.same(among.map(each => JSON.stringify(each)).toSorted(), both.map(each => JSON.stringify(each)).toSorted())
    t.same(await membersAmong(db, [small], []), [])
  })
})
