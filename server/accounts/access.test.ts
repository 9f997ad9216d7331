import { randomUUID } from 'node:crypto'
import t from 'tap'
import { recordChange, type NewAccessChange } from '../database/access-changes.ts'
import { transaction } from '../database/database.ts'
import { accessContract } from '../ports/access.contract.ts'
import { silent, testDatabase, testDatabases } from '../testkit/database.ts'
import { until } from '../testkit/node.ts'
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
    const byToken = { user: ann.id, session: ann.session }
    t.match(await port.authenticate({ token: ann.token }), byToken)
    t.match(await port.authenticate({ passcode: ann.token }), byToken)
    t.match(await port.authenticate({ login: 'whoever', passcode: ann.token }), byToken)
    t.ok((await port.authenticate({ token: ann.token })).expires! > Date.now())
    const byPassword = await port.authenticate({ login: ann.name.toUpperCase(), passcode: PASSWORD })
    t.equal(byPassword.user, ann.id)
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

  await t.test('who was here is written down; a connection whose row is gone has ended', async t => {
    const node = await openTestAccounts(t, db)
    const ann = await node.newcomer()
    const connected = await node.port.authenticate({ login: ann.name, passcode: PASSWORD })
    const gone = await node.port.authenticate({ login: ann.name, passcode: PASSWORD })
    const clock = { now: Date.now() + 60_000 }
    const told: Change[] = []
    const watch = new Watch({
      db,
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
    clock.now += 16 * 60_000
    watch.ended(['s9'])
    t.doesNotThrow(() => watch.here('s0'), 'no token of it holds any more')
    t.equal(told.filter(({ session }) => session === 's0').length, 1, 'told once')
  })
})

await t.test('before the database was heard of no token is taken; afterwards it may be away', async t => {
  const database = await testDatabase(t, 'embedded')
  const node = await openTestAccounts(t, database.db)
  const ann = await node.newcomer()
  const connected = await node.port.authenticate({ login: ann.name, passcode: PASSWORD })
  const deaf = new Watch({ db: database.db, logger: silent, now: Date.now, listener: () => undefined })
  t.throws(() => deaf.here(ann.session), { code: 'DATABASE_UNAVAILABLE' })
  await deaf.begun
  t.doesNotThrow(() => deaf.here(ann.session))
  await deaf.close()
  await database.close()
  t.match(await node.port.authenticate({ token: ann.token }), { user: ann.id })
  t.doesNotThrow(() => node.port.left!(connected), 'its row ends by itself')
})
