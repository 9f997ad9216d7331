import fc from 'fast-check'
import t from 'tap'
import { at, type Db } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import { testDatabases } from '../testkit/database.ts'
import {
  beginSession,
  CONNECTION_KEPT,
  DEVICE_KEPT,
  DEVICES,
  endSession,
  endSessions,
  GRACE,
  listSessions,
  refreshSession,
} from './sessions.ts'
import { transaction } from '../database/database.ts'

const HASH = 'hash'
const START = 1_795_251_122_000

const newUser = async (db: Db): Promise<string> => {
  const id = newId()
  const row = { id, name: id, name_key: id, display_name: id, password_hash: HASH }
  await db.insertInto('users').values(row).execute()
  return id
}
const beginning = (db: Db, user: string, now = START, kind: 'device' | 'connection' = 'device') =>
  beginSession(db, { user, kind, device: 'x', address: '192.0.2.1', hash: HASH }, now)
const begin = async (...given: Parameters<typeof beginning>) => (await beginning(...given)).session
const refresh = (db: Db, session: string, generation: number, now: number) =>
  refreshSession(db, { session, generation }, { now, address: '192.0.2.2' })
const ENDED = { code: 'SESSION_ENDED' }
const changesOf = (db: Db, session: string) =>
  db.selectFrom('access_changes').select(['kind', 'user_id']).where('session_id', '=', session).execute()

/** What a session should do, in a few lines: generations that were handed out, and when the newest came into use. */
class Model {
  newest = 0
  turnedAt: number
  expires: number
  over = false

  constructor(now: number) {
    this.turnedAt = now
    this.expires = now + DEVICE_KEPT
  }

  /** The generation that `given` is exchanged for; undefined: the session has ended. */
  refresh(given: number, now: number): number | undefined {
    if (this.over || now >= this.expires) return undefined
    const isNewest = given === this.newest
    const isBefore = given === this.newest - 1
    const wasBefore = given === this.newest - 2 && now < this.turnedAt + GRACE
    if (!isNewest && !isBefore && !wasBefore) {
      this.over = true
      return undefined
    }
    this.expires = now + DEVICE_KEPT
    if (isNewest) {
      this.newest++
      this.turnedAt = now
    }
    return given + 1
  }
}

type Step = { readonly wait: number } | { readonly back: number } | 'end'
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ back: fc.constantFrom(0, 0, 0, 0, 1, 1, 2, 2, 3) }) },
    {
      weight: 4,
      arbitrary: fc.record({ wait: fc.constantFrom(1, GRACE - 1, GRACE, GRACE + 1, DEVICE_KEPT - 1, DEVICE_KEPT) }),
    },
    { weight: 1, arbitrary: fc.constant('end' as const) },
  ),
  { maxLength: 20 },
)

await testDatabases(t, async (t, { db, kind, another }) => {
  const user = await newUser(db)

  await t.test('a refresh token is exchanged for the next one', async t => {
    const session = await begin(db, user)
    for (let i = 0; i < 5; i++) {
      t.same(await refresh(db, session, i, START + i), { user, session, generation: i + 1 })
    }
    const [row] = await listSessions(db, user, { now: START, after: undefined, limit: 1 })
    t.match(row, { id: session, address: '192.0.2.2', last_seen_at: START + 4, expires_at: START + 4 + DEVICE_KEPT })
  })

  await t.test('the predecessor has the same successor until that was used, and 10 s after', async t => {
    const session = await begin(db, user)
    const used = START + 1_000_000
    for (const time of [START, START + 1, used - 1]) t.match(await refresh(db, session, 0, time), { generation: 1 })
    t.match(await refresh(db, session, 1, used), { generation: 2 })
    t.match(await refresh(db, session, 0, used + GRACE - 1), { generation: 1 })
    t.match(await refresh(db, session, 1, used + GRACE - 1), { generation: 2 })
    t.same(await changesOf(db, session), [])
    await t.rejects(refresh(db, session, 0, used + GRACE), ENDED)
    t.same(await changesOf(db, session), [{ kind: 'session', user_id: user }])
    await t.rejects(refresh(db, session, 2, used + GRACE), ENDED, 'for its owner too')
  })

  await t.test('anything older ends the session at once', async t => {
    const session = await begin(db, user)
    for (let i = 0; i < 3; i++) await refresh(db, session, i, START)
    await t.rejects(refresh(db, session, 0, START), ENDED)
    await t.rejects(refresh(db, session, 3, START), ENDED)
    t.equal((await changesOf(db, session)).length, 1)
  })

  await t.test('one of the future, as after a restored backup, ends it too', async t => {
    const session = await begin(db, user)
    await t.rejects(refresh(db, session, 1, START), ENDED)
    await t.rejects(refresh(db, session, 0, START), ENDED)
  })

  await t.test('it ends by itself 30 days after it was used last', async t => {
    const session = await begin(db, user)
    t.match(await refresh(db, session, 0, START + DEVICE_KEPT - 1), { generation: 1 })
    t.match(await refresh(db, session, 1, START + 2 * DEVICE_KEPT - 2), { generation: 2 })
    await t.rejects(refresh(db, session, 2, START + 3 * DEVICE_KEPT - 2), ENDED)
  })

  await t.test('a connection has nothing to refresh, and is not believed for long', async t => {
    const session = await begin(db, user, START, 'connection')
    await t.rejects(refresh(db, session, 0, START), ENDED)
    const ids = async (now: number) =>
      (await listSessions(db, user, { now, after: undefined, limit: 100 })).map(({ id }) => id)
    t.ok((await ids(START + CONNECTION_KEPT - 1)).includes(session))
    t.notOk((await ids(START + CONNECTION_KEPT)).includes(session))
  })

  await t.test('nothing begins where the password is another one by now', async t => {
    const other = await newUser(db)
    await db.updateTable('users').set({ password_hash: 'another' }).where('id', '=', other).execute()
    await t.rejects(begin(db, other), { code: 'BAD_CREDENTIALS' })
    await t.rejects(begin(db, newId()), { code: 'BAD_CREDENTIALS' })
  })

  await t.test('ended: one, all but one, all; each is told to all nodes', async t => {
    const owner = await newUser(db)
    const [a, b, c] = [await begin(db, owner), await begin(db, owner), await begin(db, owner)]
    await t.rejects(endSession(db, user, a), { code: 'NO_SUCH_SESSION' }, 'of somebody else')
    await endSession(db, owner, a)
    await t.rejects(endSession(db, owner, a), { code: 'NO_SUCH_SESSION' })
    t.same(await transaction(db, tx => endSessions(tx, owner, b)), [c])
    t.same(await transaction(db, tx => endSessions(tx, owner, b)), [])
    t.same(await transaction(db, tx => endSessions(tx, owner)), [b])
    t.same(await transaction(db, tx => endSessions(tx, owner)), [])
    for (const session of [a, b, c]) {
      t.same(await changesOf(db, session), [{ kind: 'session', user_id: owner }])
      await t.rejects(refresh(db, session, 0, START), ENDED)
    }
  })

  await t.test('so many devices, and with one more the one ends that was not seen for the longest time', async t => {
    const owner = await newUser(db)
    const idsOf = async (kind: 'device' | 'connection'): Promise<string[]> => {
      const rows = db.selectFrom('sessions').select('id').where('user_id', '=', owner).where('kind', '=', kind)
      return (await rows.execute()).map(({ id }) => id).toSorted()
    }
    const connected = await begin(db, owner, START - 1, 'connection')
    const made: string[] = []
    for (let i = 0; i < DEVICES; i++) {
      const { session, ended } = await beginning(db, owner, START + i)
      t.same(ended, [])
      made.push(session)
    }
    t.same(await idsOf('device'), made.toSorted())
    await refresh(db, made[0]!, 0, START + DEVICES)
    const { session, ended } = await beginning(db, owner, START - 2)
    t.same(ended, [made[1]], 'never the new one, whatever its clock says')
    t.same(await changesOf(db, made[1]!), [{ kind: 'session', user_id: owner }])
    await t.rejects(refresh(db, made[1]!, 0, START), ENDED)
    t.same((await beginning(db, owner, START, 'connection')).ended, [])
    t.ok((await idsOf('connection')).includes(connected))
    t.same(await idsOf('device'), [made[0]!, session, ...made.slice(2)].toSorted())
    const other = (await another()).db
    const atOnce = Array.from({ length: 8 }, (_, i) => beginning(i % 2 ? other : db, owner, START + DEVICES + 1))
    const all = await Promise.all(atOnce)
    t.equal(new Set(all.flatMap(each => each.ended)).size, 8)
    t.equal((await idsOf('device')).length, DEVICES)
  })

  await t.test('listed the newest first, page by page', async t => {
    const owner = await newUser(db)
    const made: string[] = []
    for (let i = 0; i < 7; i++) made.push(await begin(db, owner, START + Math.floor(i / 3)))
    const seen: string[] = []
    let after: [number, string] | undefined
    for (;;) {
      const rows = await listSessions(db, owner, { now: START, after, limit: 2 })
      const page = rows.slice(0, 2)
      seen.push(...page.map(({ id }) => id))
      if (rows.length <= 2) break
      after = [page[1]!.created_at, page[1]!.id]
    }
    t.same(seen.toSorted(), made.toSorted())
    t.equal(seen[0], made[6])
    t.equal(new Set(seen).size, 7)
  })

  await t.test('whatever is done in whatever order, a session does as its model does', async () => {
    const run = fc.asyncProperty(steps, async steps => {
      const session = await begin(db, user)
      let now = START
      const model = new Model(now)
      for (const step of steps) {
        if (step === 'end') {
          await endSession(db, user, session).catch(() => undefined)
          model.over = true
        } else if ('wait' in step) now += step.wait
        else {
          const given = Math.max(0, model.newest - step.back)
          const expected = model.refresh(given, now)
          const got = await refresh(db, session, given, now).then(
            ({ generation }) => generation,
            ({ code }: { code: string }) => code,
          )
          if (got !== (expected ?? 'SESSION_ENDED')) {
            throw new Error(`${given} at ${now - START}: ${got}, not ${expected}`)
          }
        }
      }
    })
    await fc.assert(run, { numRuns: kind === 'postgres' ? 60 : 25 })
  })

  await t.test('one token used twice at once, on two nodes: both get the same, and the session goes on', async t => {
    const other = (await another()).db
    for (let round = 0; round < 10; round++) {
      const session = await begin(db, user)
      const both = await Promise.all([refresh(db, session, 0, START), refresh(other, session, 0, START)])
      t.match(both, [{ generation: 1 }, { generation: 1 }])
      t.match(await refresh(other, session, 1, START), { generation: 2 })
      t.same(await changesOf(db, session), [])
    }
  })

  await t.test(
    'a session that begins while the password changes, on two nodes: never with the old one after it',
    async t => {
      const other = (await another()).db
      for (let round = 0; round < 10; round++) {
        const owner = await newUser(db)
        const changing = transaction(other, async tx => {
          await tx.updateTable('users').set({ password_hash: 'next' }).where('id', '=', owner).execute()
          return endSessions(tx, owner)
        })
        await Promise.allSettled([begin(db, owner), changing])
        t.same(await listSessions(db, owner, { now: START, after: undefined, limit: 10 }), [])
      }
    },
  )

  await t.test('times are those of the clock that is given', async t => {
    const session = await begin(db, user, START)
    const row = await db.selectFrom('sessions').selectAll().where('id', '=', session).executeTakeFirstOrThrow()
    t.match(row, { created_at: START, last_seen_at: START, rotated_at: START, expires_at: START + DEVICE_KEPT })
    t.equal((await db.selectFrom('sessions').selectAll().where('expires_at', '<', at(START)).execute()).length, 0)
  })
})
