import t, { type Test } from 'tap'
import { sql } from 'kysely'
import { silent, testDatabases } from '../testkit/database.ts'
import {
  followChanges,
  recordChange,
  type AccessChange,
  type FollowOptions,
  type NewAccessChange,
} from './access-changes.ts'
import { at, transaction, type Db } from './database.ts'
import { newId } from './ids.ts'

/** Follows, and lets a test wait for what it has been told. */
const follow = (t: Test, db: Db, options: Partial<FollowOptions> = {}) => {
  const told: AccessChange[] = []
  let look = (): void => undefined
  const following = followChanges({ db, logger: silent, every: 5, ...options }, change => {
    told.push(change)
    look()
  })
  t.teardown(() => following.close())
  /** Resolves when it has been told of the user's session. */
  const heard = (user: string): Promise<void> =>
    new Promise(resolve => {
      look = () => {
        if (told.some(change => change.user === user)) resolve()
      }
      look()
    })
  return { ...following, told, heard, users: () => told.map(({ user }) => user) }
}
const ended = (user: string): NewAccessChange => ({ kind: 'session', user, session: `${user}'s` })
const record = (db: Db, user: string): Promise<void> => transaction(db, tx => recordChange(tx, ended(user)))

await testDatabases(t, async (t, { db, kind, another }) => {
  await t.test('every kind, with whom it concerns', async t => {
    const changes: NewAccessChange[] = [
      { kind: 'user', user: 'a' },
      { kind: 'session', user: 'a', session: 's' },
      { kind: 'room', room: 'r' },
      { kind: 'visibility', room: 'r' },
      { kind: 'member', user: 'a', room: 'r' },
      { kind: 'role', user: 'a', room: 'r' },
      { kind: 'ban', user: 'a', room: 'r' },
      { kind: 'block', user: 'a', other: 'b' },
    ]
    const { told, heard } = follow(t, db)
    for (const change of changes) await transaction(db, tx => recordChange(tx, change))
    await record(db, 'last')
    await heard('last')
    for (const [index, change] of changes.entries()) {
      const { id, at } = told[index]!
      t.same(told[index], { id, at, ...change })
    }
    const now = await sql<{ now: number }>`select clock_timestamp() as now`.execute(db)
    t.ok(told.every(({ at }) => at <= now.rows[0]!.now && at > now.rows[0]!.now - 60_000))
    t.ok(told.every(({ id }) => typeof id === 'bigint'))
  })

  await t.test('what is undone is not told; what is committed is, on every node, once', async t => {
    const other = await another()
    const nodes = [follow(t, db), follow(t, other.db)]
    const undone = transaction(db, async tx => {
      await recordChange(tx, ended('undone'))
      throw new Error('undone')
    })
    await t.rejects(undone, { message: 'undone' })
    const users = Array.from({ length: 20 }, newId)
    for (const user of users) await record(other.db, user)
    for (const { heard, users: seen } of nodes) {
      await heard(users.at(-1)!)
      const own = seen().filter(user => users.includes(user!) || user === 'undone')
      t.same(own, users)
    }
  })

  await t.test('a hint hastens it', async t => {
    const { begun, hint, heard } = follow(t, db, { every: 3_600_000 })
    await begun
    const user = newId()
    await record(db, user)
    hint()
    await heard(user)
  })

  await t.test('after half a day away anything may have changed', async t => {
    const clock = { now: Date.now() }
    let missed = 0
    const options = { every: 3_600_000, now: () => clock.now, missed: () => void missed++ }
    const { begun, hint, heard } = follow(t, db, options)
    await begun
    for (const [away, times] of [
      [43_200_000, 0],
      [43_200_001, 1],
      [0, 1],
    ] as const) {
      clock.now += away
      const user = newId()
      await record(db, user)
      hint()
      await heard(user)
      t.equal(missed, times)
    }
  })

  await t.test('whoever begins is told of what is recent, or as old as it asks for', async t => {
    const [old, older] = [newId(), newId()]
    await record(db, old)
    await record(db, older)
    for (const [user, age] of [
      [old, 600_000],
      [older, 1_800_000],
    ] as const) {
      await db
        .updateTable('access_changes')
        .set({ at: at(Date.now() - age) })
        .where('user_id', '=', user)
        .execute()
    }
    const recent = newId()
    await record(db, recent)
    const [plain, longer] = [follow(t, db), follow(t, db, { since: 900_000 })]
    await plain.begun
    await longer.begun
    const about = [old, older, recent]
    t.same(
      plain.users().filter(user => about.includes(user!)),
      [recent],
    )
    t.same(
      longer.users().filter(user => about.includes(user!)),
      [old, recent],
    )
  })

  await t.test('after a day a change is forgotten', async t => {
    const [kept, gone] = [newId(), newId()]
    for (const [user, age] of [
      [kept, 86_000_000],
      [gone, 87_000_000],
    ] as const) {
      await record(db, user)
      await db
        .updateTable('access_changes')
        .set({ at: at(Date.now() - age) })
        .where('user_id', '=', user)
        .execute()
    }
    const { close, begun } = follow(t, db)
    await begun
    await close()
    const rows = await db.selectFrom('access_changes').select('user_id').where('user_id', 'in', [kept, gone]).execute()
    t.same(rows, [{ user_id: kept }])
  })

  if (kind === 'embedded') return
  await t.test('ids that are committed out of order', async t => {
    const { users, heard } = follow(t, db)
    const [slow, quick, barrier] = [newId(), newId(), newId()]
    const recorded = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    const open = transaction((await another()).db, async tx => {
      await recordChange(tx, ended(slow))
      recorded.resolve()
      await go.promise
    })
    await recorded.promise
    await record(db, quick)
    await heard(quick)
    t.notOk(users().includes(slow))
    go.resolve()
    await open
    await record(db, barrier)
    await heard(barrier)
    const rows = await db
      .selectFrom('access_changes')
      .select('user_id')
      .where('user_id', 'in', [slow, quick])
      .orderBy('id')
      .execute()
    t.same(rows, [{ user_id: slow }, { user_id: quick }], 'the slow one has the lesser id')
    t.same(
      users().filter(user => [slow, quick].includes(user!)),
      [quick, slow],
      'each once',
    )
  })
})
