import { sql } from 'kysely'
import t, { type Test } from 'tap'
import type { Db } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import { memoryPresence } from '../drivers/memory/presence.ts'
import { memorySignals } from '../drivers/memory/signals.ts'
import { hearing } from '../people/testkit/hearing.ts'
import type { Telling } from '../people/index.ts'
import { PRESENCE_AT_ONCE, type Client } from '../ports/presence.ts'
import { userChannel } from '../ports/signals.ts'
import { people, roomOf } from '../rooms/testkit/people.ts'
import { openTestApi } from '../testkit/api.ts'
import { testDatabases } from '../testkit/database.ts'
import { fleetRoutes, followOrders, type Node } from './index.ts'

const clientOf = (user: string, more: Partial<Client> = {}): Client => ({
  connection: crypto.randomUUID(),
  user,
  device: 'session',
  node: 'one:8080',
  address: '203.0.113.7',
  since: 1_795_251_122_000,
  rooms: ['a'],
  ...more,
})

const setUp = async (t: Test, db: Db) => {
  const presence = memoryPresence({ ttl: 60_000 }).port
  const signals = memorySignals().port
  let hints = 0
  const forgotten: string[] = []
  const forget = [
    async (_tx: unknown, user: string): Promise<readonly Telling[]> => {
      forgotten.push(user)
      return [{ user: 'friend', event: { type: 'gone', body: user } }]
    },
  ]
  const parts = { db, presence, signals, forget, hint: () => hints++ }
  const ask = await openTestApi(t, db, api => fleetRoutes(api, parts))
  const [admin, ann] = await people(db, 'admin', 'ann')
  await db.updateTable('users').set({ is_admin: true }).where('id', '=', admin).execute()
  const done: unknown[] = []
  const waiting: (() => void)[] = []
  const doing = (what: unknown): void => {
    done.push(what)
    for (const look of waiting) look()
  }
  const node: Node = { disconnect: connection => doing(connection), tellAll: event => doing(event) }
  await followOrders(signals, node)
  const until = (count: number): Promise<unknown[]> =>
    new Promise(resolve => {
      const look = (): void => void (done.length >= count && resolve(done))
      waiting.push(look)
      look()
    })
  /** What `user` is told from now on. */
  const listen = async (user: string) => {
    const each = hearing()
    await signals.subscribe(userChannel(user), each.listener)
    return each
  }
  return { ask, presence, admin, ann, until, done, forgotten, listen, hints: () => hints }
}

await testDatabases(t, async (t, { db }) => {
  await t.test('everybody who is connected is listed, by user', async t => {
    const { ask, presence, admin, ann } = await setUp(t, db)
    const clients = [clientOf(ann), clientOf(ann, { node: 'two:8080', rooms: [] }), clientOf('gone')]
    await presence.touch(clients)
    const all: Record<string, unknown>[] = []
    let next: string | undefined
    do {
      const cursor = next === undefined ? '' : `&cursor=${next}`
      const { status, body } = await ask(admin, 'GET', `/admin/connections?limit=2${cursor}`)
      t.equal(status, 200)
      all.push(...(body['items'] as Record<string, unknown>[]))
      next = body['next'] as string | undefined
    } while (next !== undefined)
    t.same(all.map(({ id }) => id).toSorted(), clients.map(({ connection }) => connection).toSorted())
    const { connection: id, since, address } = clients[0]!
    t.match(
      all.find(each => each['id'] === id),
      { user: ann, person: { id: ann }, session: 'session', node: 'one:8080', address, since, rooms: ['a'] },
    )
    t.notOk('person' in all.find(each => each['user'] === 'gone')!)
  })

  await t.test('a connection is ended, and everybody told something, by every node; both are written down', async t => {
    const { ask, admin, until } = await setUp(t, db)
    const id = crypto.randomUUID()
    t.equal((await ask(admin, 'DELETE', `/admin/connections/${id}`)).status, 204)
    const headers = { 'idempotency-key': newId() }
    for (let i = 0; i < 2; i++) {
      const said = await ask(admin, 'POST', '/admin/announcements', { body: { text: 'at noon' }, headers })
      t.match(said, { status: 201, body: { text: 'at noon' } })
    }
    await ask(admin, 'POST', '/admin/announcements', { body: { text: 'at one' } })
    t.same(await until(3), [
      id,
      { type: 'announcement', body: { text: 'at noon' } },
      { type: 'announcement', body: { text: 'at one' } },
    ])
    const first = await ask(admin, 'GET', '/admin/audit?limit=2')
    t.match(first.body['items'], [
      { actor: admin, act: 'announce', address: '127.0.0.1', detail: { text: 'at one' } },
      { act: 'announce', detail: { text: 'at noon' } },
    ])
    const rest = await ask(admin, 'GET', `/admin/audit?limit=1&cursor=${String(first.body['next'])}`)
    t.match(rest.body['items'], [{ act: 'disconnect', detail: { connection: id } }])
    t.notOk('user' in (rest.body['items'] as object[])[0]!, 'whose it was nobody knew')
  })

  await t.test('whose a connection was, and where, is written down', async t => {
    const { ask, presence, admin, ann } = await setUp(t, db)
    const session = newId()
    const expires_at = sql<number>`now() + interval '1 hour'`
    await db
      .insertInto('sessions')
      .values({ id: session, user_id: ann, kind: 'device', device: 'Her phone', expires_at })
      .execute()
    // They come first in the list, which is read by so many at a time.
    const crowd = Array.from({ length: PRESENCE_AT_ONCE }, () => clientOf('0'))
    const [phone, signedOut] = [
      clientOf(ann, { device: session, node: 'two:8080' }),
      clientOf(ann, { device: newId() }),
    ]
    await presence.touch(crowd)
    await presence.touch([phone, signedOut])
    for (const { connection } of [phone, signedOut]) {
      t.equal((await ask(admin, 'DELETE', `/admin/connections/${connection}`)).status, 204)
    }
    const { items } = (await ask(admin, 'GET', '/admin/audit?limit=2')).body
    t.match((items as object[])[1], {
      act: 'disconnect',
      user: ann,
      detail: { connection: phone.connection, node: 'two:8080', device: 'Her phone' },
    })
    t.strictSame((items as { detail: object }[])[0]!.detail, { connection: signedOut.connection, node: 'one:8080' })
  })

  await t.test('accounts and rooms are deleted, which is written down', async t => {
    const { ask, admin, ann, forgotten, listen, hints } = await setUp(t, db)
    const room = await roomOf(db, ann)
    const [anns, friends] = [await listen(ann), await listen('friend')]
    t.equal((await ask(admin, 'DELETE', `/admin/rooms/${room}`)).status, 204)
    t.same(await anns.until(1), [{ type: 'membership', body: { room, role: 'none' } }])
    t.match(await ask(admin, 'DELETE', `/admin/rooms/${room}`), { status: 404, body: { code: 'NO_SUCH_ROOM' } })
    t.equal((await ask(admin, 'DELETE', `/admin/users/${ann}`)).status, 204)
    t.same(await friends.until(1), [{ type: 'gone', body: ann }], 'whom it concerns is told')
    t.match(await ask(admin, 'DELETE', `/admin/users/${ann}`), { status: 404, body: { code: 'NO_SUCH_USER' } })
    t.same([forgotten, hints()], [[ann], 2])
    const { body } = await ask(admin, 'GET', '/admin/audit?limit=2')
    t.match(body['items'], [
      { act: 'delete user', user: ann, detail: {} },
      { act: 'delete room', room },
    ])
    await t.resolves(
      db.selectFrom('users').selectAll().where('id', '=', ann).where('name', 'is', null).executeTakeFirstOrThrow(),
    )
  })

  await t.test('nobody else may', async t => {
    const { ask, admin, ann, done } = await setUp(t, db)
    const asked = [
      await ask(ann, 'GET', '/admin/connections'),
      await ask(ann, 'DELETE', `/admin/connections/${newId()}`),
      await ask(ann, 'POST', '/admin/announcements', { body: { text: 'x' } }),
      await ask(ann, 'GET', '/admin/audit'),
      await ask(ann, 'DELETE', `/admin/users/${admin}`),
      await ask(ann, 'DELETE', `/admin/rooms/${newId()}`),
    ]
    for (const each of asked) t.match(each, { status: 403, body: { code: 'FORBIDDEN' } })
    await new Promise(setImmediate)
    t.same(done, [])
  })
})
