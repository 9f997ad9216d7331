import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { deleteAccount } from '../accounts/index.ts'
import { transaction, type Db } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import { people } from '../rooms/testkit/people.ts'
import { testDatabases } from '../testkit/database.ts'
import { notify, unreadOf } from './notifications.ts'
import { shown, type Act } from './pair.ts'
import { BLOCKS_MAX, FRIENDS_MAX, partFromAll, readPair, relate, REQUESTS_MAX, type Done } from './relations.ts'
import { acts, codeOf, Model, outcome } from './testkit/model.ts'

const doing = (db: Db, me: string, them: string, act: Act): Promise<Done> =>
  transaction(db, tx => relate(tx, me, them, act))
const views = async (db: Db, one: string, other: string): Promise<unknown[]> =>
  Promise.all(
    [
      [one, other],
      [other, one],
    ].map(async ([me, them]) => {
      const pair = await readPair(db, me!, them!)
      return [shown(pair), pair.blocking]
    }),
  )
const rowsOf = async (db: Db, one: string, other: string): Promise<number> =>
  (
    await db
      .selectFrom('friendships')
      .selectAll()
      .where('low_id', 'in', [one, other])
      .where('high_id', 'in', [one, other])
      .execute()
  ).length
/** What is told, shortly, in order of whom. */
const told = ({ telling }: Done): unknown[] =>
  telling.map(({ user, event: { type, body } }) => {
    const { user: about, state, blocked, kind, unread } = body as Record<string, unknown>
    return [user, type, ...[about, state, blocked, kind, unread].filter(each => each !== undefined)]
  })
/** So many accounts. */
const many = async (db: Db, count: number): Promise<string[]> => {
  const ids = Array.from({ length: count }, newId)
  const users = ids.map(id => ({ id, name: id, name_key: id, display_name: id, password_hash: 'x' }))
  await db.insertInto('users').values(users).execute()
  return ids
}
/** So many others who stand to `user` in this way. */
const crowd = async (db: Db, user: string, count: number, state: 'requested' | 'accepted'): Promise<void> => {
  const ids = await many(db, count)
  const rows = ids.map(id => {
    const [low, high] = [id, user].toSorted()
    return { low_id: low!, high_id: high!, requester_id: user, state }
  })
  const accepted = state === 'accepted' ? { accepted_at: sql<number>`now()` } : {}
  await db
    .insertInto('friendships')
    .values(rows.map(row => ({ ...row, ...accepted })))
    .execute()
}

await testDatabases(t, async (t, { db, another, kind }) => {
  await t.test('asking, accepting: both are told, each as they see it', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const asked = await doing(db, ann, bob, 'request')
    t.match(asked, { standing: 'requested', met: false })
    t.same(told(asked), [
      [ann, 'friendship', bob, 'requested'],
      [bob, 'friendship', ann, 'asked'],
      [bob, 'notification', 'requested', 1],
    ])
    t.same(told(await doing(db, ann, bob, 'request')), [], 'a second time nothing is told')
    const accepted = await doing(db, bob, ann, 'accept')
    t.match(accepted, { standing: 'friends', met: true })
    t.same(told(accepted), [
      [bob, 'friendship', ann, 'friends'],
      [ann, 'friendship', bob, 'friends'],
      [bob, 'notification', 0],
    ])
    t.match(await doing(db, bob, ann, 'accept'), { standing: 'friends', met: false, telling: [] })
    t.same(await views(db, ann, bob), [
      ['friends', false],
      ['friends', false],
    ])
    const removed = await doing(db, ann, bob, 'remove')
    t.same(told(removed), [
      [ann, 'friendship', bob, 'none'],
      [bob, 'friendship', ann, 'none'],
    ])
    t.equal(await rowsOf(db, ann, bob), 0)
  })

  await t.test('declining and taking back: the notification goes too', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    for (const [who, other, act] of [
      [bob, ann, 'decline'],
      [ann, bob, 'cancel'],
    ] as const) {
      await doing(db, ann, bob, 'request')
      t.equal(await unreadOf(db, bob), 1)
      t.match(await doing(db, who, other, act), { standing: 'none' })
      t.equal(await unreadOf(db, bob), 0)
      await t.rejects(doing(db, who, other, act), { code: 'NO_SUCH_REQUEST' })
    }
    await t.rejects(doing(db, bob, ann, 'accept'), { code: 'NO_SUCH_REQUEST' })
    t.match(await doing(db, bob, ann, 'remove'), { standing: 'none', telling: [] }, 'who is no friend stays so')
  })

  await t.test('nobody is told of a block: it ends a friendship, and what the other asks is not seen', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    await doing(db, ann, bob, 'request')
    await doing(db, bob, ann, 'accept')
    const blocked = await doing(db, ann, bob, 'block')
    t.same(told(blocked), [
      [ann, 'friendship', bob, 'none'],
      [bob, 'friendship', ann, 'none'],
      [ann, 'block', bob, true],
    ])
    const changes = await db.selectFrom('access_changes').selectAll().where('user_id', '=', ann).execute()
    t.match(changes, [{ kind: 'block', other_id: bob }])
    const asked = await doing(db, bob, ann, 'request')
    t.equal(asked.standing, 'requested', 'as if nothing were')
    t.same(told(asked), [[bob, 'friendship', ann, 'requested']])
    t.equal(await unreadOf(db, ann), 0)
    for (const act of ['accept', 'decline'] as const) {
      await t.rejects(doing(db, ann, bob, act), { code: 'NO_SUCH_REQUEST' })
    }
    await t.rejects(doing(db, ann, bob, 'request'), { code: 'FORBIDDEN' })
    t.same(told(await doing(db, ann, bob, 'block')), [], 'once')
    const unblocked = await doing(db, ann, bob, 'unblock')
    t.same(told(unblocked), [
      [bob, 'friendship', ann, 'none'],
      [ann, 'block', bob, false],
    ])
    t.match(await doing(db, ann, bob, 'request'), { standing: 'requested' })
  })

  await t.test('oneself, nobody, and whose account is gone', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    await t.rejects(doing(db, ann, ann, 'request'), { code: 'BAD_REQUEST' })
    for (const act of ['request', 'block'] as const) {
      await t.rejects(doing(db, ann, newId(), act), { code: 'NO_SUCH_USER' })
    }
    const [cher, dan] = await people(db, 'cher', 'dan')
    await doing(db, ann, bob, 'request')
    await doing(db, bob, cher, 'request')
    await doing(db, cher, bob, 'accept')
    await doing(db, dan, bob, 'block')
    await doing(db, bob, dan, 'block')
    const telling = await transaction(db, async tx => {
      await notify(tx, ann, { kind: 'mentioned', subject: 'x', actor: bob })
      const parted = await partFromAll(tx, bob)
      const gone = { name: null, name_key: null, password_hash: null, deleted_at: sql<number>`now()` }
      await tx.updateTable('users').set(gone).where('id', '=', bob).execute()
      return parted
    })
    const none = { type: 'friendship', body: { user: bob, state: 'none' } }
    const expected = [
      { user: ann, event: none },
      { user: cher, event: none },
      { user: dan, event: { type: 'block', body: { user: bob, blocked: false } } },
      { user: ann, event: { type: 'notification', body: { unread: 0 } } },
    ]
    const inOrder = (all: readonly object[]) => all.map(each => JSON.stringify(each)).toSorted()
    t.same(inOrder(telling), inOrder(expected), 'all whom it concerns are told, each once')
    t.equal(await rowsOf(db, ann, bob), 0)
    t.equal(await unreadOf(db, ann), 0)
    await t.rejects(doing(db, ann, bob, 'request'), { code: 'NO_SUCH_USER' })
    for (const act of ['request', 'block'] as const) {
      await t.rejects(doing(db, bob, ann, act), { code: 'SESSION_ENDED' }, 'also who acts may be gone by then')
    }
    t.equal(await rowsOf(db, ann, bob), 0)
    await t.rejects(doing(db, ann, bob, 'accept'), { code: 'NO_SUCH_REQUEST' })
  })

  await t.test('REQUESTS_MAX, FRIENDS_MAX: at the limit, and one past it', async t => {
    const [ann, bob, cher] = await people(db, 'ann', 'bob', 'cher')
    await crowd(db, ann, REQUESTS_MAX - 1, 'requested')
    await doing(db, ann, bob, 'request')
    await t.rejects(doing(db, ann, cher, 'request'), { code: 'QUOTA_REACHED' })
    t.same(await views(db, ann, cher), [
      ['none', false],
      ['none', false],
    ])
    await crowd(db, bob, FRIENDS_MAX - 1, 'accepted')
    await doing(db, bob, ann, 'accept')
    await doing(db, cher, bob, 'request')
    await t.rejects(doing(db, bob, cher, 'accept'), { code: 'QUOTA_REACHED' })
    await doing(db, bob, cher, 'decline')
    await doing(db, bob, cher, 'request')
    await t.rejects(doing(db, cher, bob, 'accept'), { code: 'QUOTA_REACHED' }, 'also of the one who asked')
  })

  await t.test('BLOCKS_MAX: at the limit, and one past it', async t => {
    const [ann, bob, cher] = await people(db, 'ann', 'bob', 'cher')
    const others = await many(db, BLOCKS_MAX - 1)
    await db
      .insertInto('blocks')
      .values(others.map(blocked_id => ({ user_id: ann, blocked_id })))
      .execute()
    await doing(db, ann, bob, 'block')
    await t.rejects(doing(db, ann, cher, 'block'), { code: 'QUOTA_REACHED' })
    await doing(db, cher, ann, 'block')
    t.match(await readPair(db, ann, cher), { blocking: false, blocked: true }, 'by any number of people')
    await doing(db, ann, bob, 'block')
    await doing(db, ann, bob, 'unblock')
    await doing(db, ann, cher, 'block')
  })

  await t.test('FRIENDS_MAX: many whom one person has asked accept at once', async t => {
    const { db: elsewhere } = await another()
    const [cher, ...asked] = await people(db, 'cher', 'a', 'b', 'c', 'd', 'e', 'f')
    await crowd(db, cher, FRIENDS_MAX - 2, 'accepted')
    for (const each of asked) await doing(db, cher, each, 'request')
    const accepted = await Promise.all(
      asked.map((each, i) => doing(i % 2 ? db : elsewhere, each, cher, 'accept').then(() => 'done', codeOf)),
    )
    t.same(accepted.toSorted(), ['QUOTA_REACHED', 'QUOTA_REACHED', 'QUOTA_REACHED', 'QUOTA_REACHED', 'done', 'done'])
  })

  // Embedded there is one session: nothing of it happens while something else does.
  const onceGone = async (t: Test): Promise<void> => {
    const { db: elsewhere } = await another()
    const [ann, bob] = await people(db, 'ann', 'bob')
    await doing(db, ann, bob, 'request')
    let accepting: Promise<unknown> | undefined
    const waits = sql<{ n: number }>`select count(*)::int as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`
    await deleteAccount(db, ann, [
      partFromAll,
      async () => {
        accepting = doing(elsewhere, bob, ann, 'accept').then(told, codeOf)
        while ((await waits.execute(db)).rows[0]!.n === 0) await setImmediate()
      },
    ])
    t.equal(await accepting, 'NO_SUCH_REQUEST', 'nobody is told that they are friends')
    t.equal(await rowsOf(db, ann, bob), 0)
  }
  if (kind === 'postgres') await t.test('one accepts while the account of the other ends', onceGone)

  await t.test('both ask each other at once: they are friends, in one row', async t => {
    const { db: elsewhere } = await another()
    for (let round = 0; round < 10; round++) {
      const [ann, bob] = await people(db, 'ann', 'bob')
      const both = await Promise.all([doing(db, ann, bob, 'request'), doing(elsewhere, bob, ann, 'request')])
      t.same(both.map(({ standing }) => standing).toSorted(), ['friends', 'requested'])
      t.equal(both.filter(({ met }) => met).length, 1)
      t.equal(await rowsOf(db, ann, bob), 1)
      t.same(await views(db, ann, bob), [
        ['friends', false],
        ['friends', false],
      ])
    }
  })

  await t.test('one accepts while the other blocks or takes back: never friends who block', async t => {
    const { db: elsewhere } = await another()
    for (let round = 0; round < 20; round++) {
      const [ann, bob] = await people(db, 'ann', 'bob')
      await doing(db, ann, bob, 'request')
      const act = round % 2 ? 'block' : 'cancel'
      const settled = await Promise.allSettled([doing(elsewhere, bob, ann, 'accept'), doing(db, ann, bob, act)])
      const [accepted, other] = settled.map(each => (each.status === 'fulfilled' ? 'done' : codeOf(each.reason)))
      const pair = await readPair(db, ann, bob)
      if (act === 'block') {
        t.equal(other, 'done')
        t.match(pair, { standing: 'none', blocking: true })
      } else {
        t.same([accepted, other].toSorted(), ['NO_SUCH_REQUEST', 'done'])
        t.equal(pair.standing, accepted === 'done' ? 'friends' : 'none')
      }
    }
  })

  await t.test('whatever two people do, the database has it as the model', async t => {
    await fc.assert(
      fc.asyncProperty(acts, async all => {
        const both = await people(db, 'ann', 'bob')
        const model = new Model()
        for (const [who, act] of all) {
          const expected = outcome(() => model.act(who, act))
          const result = await doing(db, both[who], both[who === 0 ? 1 : 0], act).then(() => 'done', codeOf)
          if (result !== expected) throw new Error(`${act}: ${result}, not ${expected}`)
        }
        const said = JSON.stringify(await views(db, ...both))
        const wanted = JSON.stringify([model.view(0), model.view(1)])
        if (said !== wanted) throw new Error(`${said}, not ${wanted}`)
        const rows = await rowsOf(db, ...both)
        if (rows > 1) throw new Error(`${rows} rows`)
      }),
      { numRuns: 15 },
    )
    t.pass()
  })
})
