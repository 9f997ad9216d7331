import { randomUUID } from 'node:crypto'
import t from 'tap'
import { recordChange, type NewAccessChange } from '../database/access-changes.ts'
import { at, transaction } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import { memoryCounters } from '../drivers/memory/counters.ts'
import { memorySignals } from '../drivers/memory/signals.ts'
import { fail } from '../errors.ts'
import { accessContract } from '../ports/access.contract.ts'
import { silent, testDatabase, testDatabases } from '../testkit/database.ts'
import { until } from '../testkit/node.ts'
import { deleteAccount } from './closing.ts'
import { Erased } from './erased.ts'
import { openAccounts } from './index.ts'
import { Keys } from './keys.ts'
import { derive } from './secret.ts'
import { CONNECTION_KEPT } from './sessions.ts'
import { openTestAccounts, PASSWORD, SECRET } from './testkit/accounts.ts'
import { signAccess } from './tokens.ts'
import { Watch, type Change } from './watch.ts'

await testDatabases(t, async (t, { db, another }) => {
  await t.test('contract', async t => {
    const keys = new Keys({ db, sealing: derive(SECRET).sealing, logger: silent, now: Date.now })
    accessContract(t, async t => {
      const driver = await openTestAccounts(t, db)
      return {
        driver,
        valid: async user => ({ token: (await signAccess(keys, { user, session: randomUUID() }, Date.now())).token }),
        invalid: async () => ({ login: 'nobody at all', passcode: 'no password of anybody', address: '192.0.2.1' }),
      }
    })
  })

  await t.test('credentials: a token in either place, or a name and a password', async t => {
    const node = await openTestAccounts(t, db)
    const { port } = node
    const ann = await node.newcomer()
    const byToken = { user: ann.id, name: ann.name, session: ann.session }
    t.match(await port.authenticate({ token: ann.token }), byToken)
    t.match(await port.authenticate({ passcode: ann.token }), byToken)
    t.match(await port.authenticate({ login: 'whoever', passcode: ann.token }), byToken)
    t.ok((await port.authenticate({ token: ann.token })).expires! > Date.now())
    const byPassword = await port.authenticate({ login: ann.name.toUpperCase(), passcode: PASSWORD })
    t.match(byPassword, { user: ann.id, name: ann.name }, 'as it was signed up with')
    t.not(byPassword.session, ann.session)
    t.equal(byPassword.expires, undefined)
    const bad = [
      {},
      { login: ann.name },
      { login: ann.name, passcode: '' },
      { login: '', passcode: PASSWORD },
      { login: ann.name, passcode: 'wrong wrong' },
      { login: ann.name, passcode: PASSWORD, token: '' },
      { token: 'x' },
    ]
    for (const credentials of bad) await t.rejects(port.authenticate(credentials), { code: 'BAD_CREDENTIALS' })
  })

  await t.test(
    'a connection that gave a password has a session that is listed, can be ended, and ends with it',
    async t => {
      const node = await openTestAccounts(t, db)
      const ann = await node.newcomer()
      const connect = () => node.port.authenticate({ login: ann.name, passcode: PASSWORD, address: '192.0.2.4' })
      const listed = async () =>
        (await node.ask('GET', '/api/sessions', ann)).body['items'] as unknown as { id: string; kind: string }[]
      const one = await connect()
      const two = await connect()
      t.match(
        (await listed()).find(({ id }) => id === one.session),
        { kind: 'connection', address: '192.0.2.4', device: 'STOMP' },
      )
      t.equal((await listed()).length, 3)
      node.port.left!(one)
      await until(async () => (await listed()).length === 2)
      t.match((await listed()).map(({ id }) => id).toSorted(), [ann.session, two.session!].toSorted())
      await node.ask('DELETE', `/api/sessions/${two.session}`, ann)
      t.match(node.told.at(-1), { session: two.session })
      node.port.left!(two)
      node.port.left!(await node.port.authenticate({ token: ann.token }))
      node.port.left!({ user: ann.id })
      t.equal((await node.ask('GET', '/api/me', ann)).status, 200, 'a device goes on without connections')
    },
  )

  await t.test('what ended before a node started is known when it takes its first token', async t => {
    const node = await openTestAccounts(t, db)
    const ann = await node.newcomer()
    await node.ask('DELETE', '/api/session', ann)
    const other = await openTestAccounts(t, (await another()).db)
    await t.rejects(other.port.authenticate({ token: ann.token }), { code: 'SESSION_ENDED' })
  })

  await t.test('each kind of change reaches the bridge as what is to be looked at again', async t => {
    const before: Change[] = []
    const node = await openTestAccounts(t, db, { onChange: change => void before.push(change) })
    node.told.length = before.length = 0
    const [user, room, session, other] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
    const cases: [NewAccessChange, object[]][] = [
      [{ kind: 'user', user }, [{ user }]],
      [{ kind: 'session', user, session }, [{ session }]],
      [{ kind: 'room', room }, [{ room }]],
      [{ kind: 'visibility', room }, [{ room }]],
      [{ kind: 'member', user, room }, [{ user, room }]],
      [{ kind: 'role', user, room }, [{ user, room }]],
      [{ kind: 'ban', user, room }, [{ user, room }]],
      [{ kind: 'block', user, other }, [{ user }, { user: other }]],
    ]
    for (const [change] of cases) await transaction(db, tx => recordChange(tx, change))
    node.hint()
    await until(() => before.length === cases.length)
    t.same(
      node.told,
      cases.flatMap(([, told]) => told),
    )
    t.same(
      before.map(({ kind }) => kind),
      cases.map(([{ kind }]) => kind),
    )
  })

  await t.test('[S-76] who is gone is known on every node, after a start too', async t => {
    const [one, two] = [await openTestAccounts(t, db), await openTestAccounts(t, (await another()).db)]
    const [ann, cat, dan] = [await one.newcomer(), await one.newcomer(), await one.newcomer()]
    await one.ask('POST', '/api/me/deletion', { token: cat.token, body: { password: PASSWORD } })
    await deleteAccount(db, dan.id, [])
    const isTold = (node: typeof one, user: string): boolean =>
      node.told.some(change => 'erased' in change && (change as { user?: string }).user === user)
    for (const node of [one, two]) {
      for (const gone of [cat, dan]) {
        await until(() => isTold(node, gone.id))
        t.equal(node.port.erased!(gone.id), true)
      }
      t.equal(node.port.erased!(ann.id), false)
      t.equal(node.told.filter(change => 'erased' in change).length, 2, 'each once')
    }
    await transaction(db, tx => recordChange(tx, { kind: 'user', user: cat.id }))
    await transaction(db, tx => recordChange(tx, { kind: 'user', user: ann.id }))
    one.hint()
    await until(() => one.told.some(change => (change as { user?: string }).user === ann.id))
    const three = await openTestAccounts(t, (await another()).db)
    t.same(
      [cat, dan, ann].map(({ id }) => three.port.erased!(id)),
      [true, true, false],
    )
    t.equal(isTold(one, ann.id), false)
    t.equal(one.told.filter(change => 'erased' in change).length, 2)
  })

  await t.test('[S-76] a node that was away too long looks at everybody, and who is gone, anew', async t => {
    const clock = { now: Date.now() }
    const node = await openTestAccounts(t, db, { now: () => clock.now })
    const [ann, cat] = [await node.newcomer(), await node.newcomer()]
    const nothing = { name: null, name_key: null, password_hash: null }
    await db
      .updateTable('users')
      .set({ ...nothing, deleted_at: at(clock.now) })
      .where('id', '=', cat.id)
      .execute()
    node.hint()
    t.equal(node.port.erased!(cat.id), false, 'nobody told of it')
    clock.now += 43_200_001
    await until(() => {
      node.hint()
      return node.told.some(change => (change as { user?: string }).user === cat.id)
    })
    t.ok(node.told.some(change => Object.keys(change).length === 0))
    t.equal(node.port.erased!(cat.id), true)
    t.equal(node.port.erased!(ann.id), false)
  })

  await t.test('what changes on one node the others look for at once', async t => {
    const told: Change[] = []
    const options = { db, signals: memorySignals().port, logger: silent, now: Date.now, every: 3_600_000 }
    const one = new Watch({ ...options, listener: () => undefined })
    const two = new Watch({ ...options, listener: change => void told.push(change) })
    t.teardown(() => Promise.all([one.close(), two.close()]))
    await Promise.all([one.begun, two.begun])
    const [room, later] = [newId(), newId()]
    for (const each of [room, later]) {
      await transaction(db, tx => recordChange(tx, { kind: 'room', room: each }))
      one.hint()
      one.hint()
      await until(() => told.some(change => change.room === each))
    }
  })

  await t.test('who was here is written down; a connection whose row is gone has ended', async t => {
    const node = await openTestAccounts(t, db)
    const ann = await node.newcomer()
    const connected = await node.port.authenticate({ login: ann.name, passcode: PASSWORD })
    const gone = await node.port.authenticate({ login: ann.name, passcode: PASSWORD })
    const clock = { now: Date.now() + 60_000 }
    const told: Change[] = []
    const watch = new Watch({
      db,
      signals: memorySignals().port,
      logger: silent,
      now: () => clock.now,
      listener: change => void told.push(change),
      beat: 20,
    })
    t.teardown(() => watch.close())
    await watch.begun
    watch.here(ann.session)
    watch.opened(connected.session!)
    const rowOf = async (id: string) => db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirst()
    await until(async () => (await rowOf(ann.session))!.last_seen_at === clock.now)
    await until(async () => (await rowOf(connected.session!))!.last_seen_at === clock.now)
    t.equal((await rowOf(connected.session!))!.expires_at, clock.now + CONNECTION_KEPT)
    watch.opened(gone.session!)
    await db.deleteFrom('sessions').where('id', '=', gone.session!).execute()
    await until(() => told.some(({ session }) => session === gone.session))
    clock.now += CONNECTION_KEPT + 1
    watch.left(connected.session!)
    await until(async () => (await rowOf(connected.session!)) === undefined)
    t.ok(await rowOf(ann.session))
    for (let i = 0; i < 3; i++) watch.ended([`s${i}`, `s${i}`])
    t.throws(() => watch.here('s0'), { code: 'SESSION_ENDED' })
    t.throws(() => watch.opened('s0'), { code: 'SESSION_ENDED' }, 'nobody would end that connection')
    clock.now += 16 * 60_000
    watch.ended(['s9'])
    t.doesNotThrow(() => watch.here('s0'), 'no token of it holds any more')
    t.equal(told.filter(({ session }) => session === 's0').length, 1, 'told once')
  })

  await t.test('after an outage the connections of other nodes have the time to say that they are there', async t => {
    const node = await openTestAccounts(t, db)
    const ann = await node.newcomer()
    const clock = { now: Date.now() }
    let away = false
    let refused = 0
    const watch = new Watch({
      db: db.withPlugin({
        transformQuery: ({ node: query }) => {
          if (!away) return query
          refused++
          throw fail('DATABASE_UNAVAILABLE')
        },
        transformResult: async ({ result }) => result,
      }),
      signals: memorySignals().port,
      logger: silent,
      now: () => clock.now,
      listener: () => undefined,
      beat: 5,
    })
    t.teardown(() => watch.close())
    await watch.begun
    /** Resolves when a beat has ended that began no earlier than now: one is seen in what it writes, its end in the next one. */
    const beaten = async (): Promise<void> => {
      for (let i = 0; i < 2; i++) {
        const last_seen_at = at(0)
        await db.updateTable('sessions').set({ last_seen_at }).where('id', '=', ann.session).execute()
        await until(async () => {
          watch.here(ann.session)
          const row = db.selectFrom('sessions').select('last_seen_at').where('id', '=', ann.session)
          return (await row.executeTakeFirstOrThrow()).last_seen_at === clock.now
        })
      }
    }
    const connect = async (): Promise<string> => {
      const { session } = await node.port.authenticate({ login: ann.name, passcode: PASSWORD })
      const expires_at = at(clock.now + CONNECTION_KEPT)
      await db.updateTable('sessions').set({ expires_at }).where('id', '=', session!).execute()
      return session!
    }
    const isThere = async (id: string): Promise<boolean> =>
      (await db.selectFrom('sessions').select('id').where('id', '=', id).execute()).length > 0
    await beaten()
    const other = await connect()
    away = true
    await until(() => refused > 3)
    clock.now += CONNECTION_KEPT - 1
    away = false
    await beaten()
    clock.now += CONNECTION_KEPT - 1
    await beaten()
    t.ok(await isThere(other), 'the database was away')
    clock.now += 1
    await beaten()
    t.notOk(await isThere(other), 'its node had the time')

    const another = await connect()
    clock.now += CONNECTION_KEPT + 1
    await beaten()
    t.ok(await isThere(another), 'all slept')
    clock.now += CONNECTION_KEPT - 1
    await beaten()
    clock.now += 1
    await beaten()
    t.notOk(await isThere(another))
  })
})

await t.test('before the database was heard of no token is taken; afterwards it may be away', async t => {
  const database = await testDatabase(t, 'embedded')
  const node = await openTestAccounts(t, database.db)
  const ann = await node.newcomer()
  const connected = await node.port.authenticate({ login: ann.name, passcode: PASSWORD })
  const { port: signals } = memorySignals()
  const deaf = new Watch({ db: database.db, signals, logger: silent, now: Date.now, listener: () => undefined })
  t.throws(() => deaf.here(ann.session), { code: 'DATABASE_UNAVAILABLE' })
  await deaf.begun
  t.doesNotThrow(() => deaf.here(ann.session))
  await deaf.close()
  await database.close()
  t.match(await node.port.authenticate({ token: ann.token }), { user: ann.id })
  t.doesNotThrow(() => node.port.left!(connected), 'its row ends by itself')
})

await t.test(
  '[S-76] before it is known who is gone nobody is let in, and what could not be asked is asked again',
  async t => {
    const database = await testDatabase(t, 'embedded')
    const node = await openTestAccounts(t, database.db)
    const [ann, cat] = [await node.newcomer(), await node.newcomer()]
    let away = true
    const db = database.db.withPlugin({
      transformQuery: ({ node: query }) => {
        if (away) throw fail('DATABASE_UNAVAILABLE')
        return query
      },
      transformResult: async ({ result }) => result,
    })
    const starting = await openAccounts({
      config: { SESSION_SECRET: SECRET, DATA_DIR: '/nowhere', SIGN_UPS_PER_HOUR: 1, LOGIN_TRIES: 10 },
      db,
      counters: memoryCounters().port,
      signals: memorySignals().port,
      rights: { mayRead: () => true, maySend: () => true },
      mayConnect: () => true,
      tell: () => {},
      logger: silent,
    })
    t.teardown(() => starting.close())
    const told: object[] = []
    starting.port.changes(change => void told.push(change))
    for (const credentials of [{ token: ann.token }, { login: ann.name, passcode: PASSWORD }]) {
      await t.rejects(starting.port.authenticate(credentials), { code: 'DATABASE_UNAVAILABLE' })
    }
    await t.rejects(starting.check(1_000), { code: 'DATABASE_UNAVAILABLE' })
    away = false
    await starting.begun
    await starting.check(1_000)
    t.match(await starting.port.authenticate({ token: ann.token }), { user: ann.id })
    const gone: string[] = []
    const erased = new Erased({ db, logger: silent, listener: user => void gone.push(user) })
    t.teardown(() => erased.close())
    await erased.begun
    await deleteAccount(database.db, cat.id, [])
    await until(() => told.some(change => 'erased' in change))
    away = true
    erased.look(cat.id)
    erased.look(ann.id)
    await new Promise(setImmediate)
    t.equal(erased.has(cat.id), false)
    away = false
    await until(() => erased.has(cat.id))
    t.same(gone, [cat.id])
    t.equal(erased.has(ann.id), false)
  },
)
