import t, { type Test } from 'tap'
import type { Db } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import { transaction } from '../database/database.ts'
import { memoryPresence } from '../drivers/memory/presence.ts'
import { memorySignals } from '../drivers/memory/signals.ts'
import type { UserEvent } from '../ports/signals.ts'
import { people, roomOf } from '../rooms/testkit/people.ts'
import { openTestApi } from '../testkit/api.ts'
import { silent, testDatabases } from '../testkit/database.ts'
import { notify, openPeople } from './index.ts'
import { markSeen } from './sight.ts'
import { hearing } from './testkit/hearing.ts'

const setUp = async (t: Test, db: Db) => {
  const presence = memoryPresence({ ttl: 60_000 })
  const signals = memorySignals()
  let hints = 0
  const all = openPeople({
    db,
    presence: presence.port,
    signals: signals.port,
    node: 'here',
    ttl: 60_000,
    hint: () => hints++,
    logger: silent,
  })
  t.teardown(async () => {
    await all.close()
    await signals.close()
  })
  const ask = await openTestApi(t, db, all.routes)
  const listen = async (user: string) => {
    const each = hearing<UserEvent>()
    await all.events.subscribe({ user }, each.listener)
    await each.until(1)
    return each
  }
  /** Puts somebody on this node, and resolves when that is known. */
  const arrive = async (user: string): Promise<void> => {
    all.attendance.arrived(newId(), { user }, { address: '', rooms: () => [] })
    while (!(await presence.port.of([user])).online.has(user)) await new Promise(setImmediate)
  }
  return { ask, listen, arrive, presence, hints: () => hints, forget: all.forget }
}

await testDatabases(t, async (t, { db }) => {
  await t.test('from a request to a friendship and its end, told live to both', async t => {
    const { ask, listen, arrive } = await setUp(t, db)
    const [ann, bob] = await people(db, 'ann', 'bob')
    await arrive(bob)
    const [anns, bobs] = [await listen(ann), await listen(bob)]
    t.match(await ask(ann, 'PUT', `/friend-requests/${bob}`), { status: 200, body: { state: 'requested' } })
    t.match(await bobs.until(3), [
      {},
      { type: 'friendship', body: { user: ann, state: 'asked' } },
      { type: 'notification', body: { kind: 'requested', unread: 1 } },
    ])
    t.match(await ask(bob, 'GET', '/friend-requests'), {
      body: { items: [{ person: { id: ann, displayName: 'ann' } }] },
    })
    t.match(await ask(ann, 'GET', '/friend-requests?direction=requested'), {
      body: { items: [{ person: { id: bob } }] },
    })
    t.match(await ask(bob, 'GET', `/friends/${ann}`), { status: 200, body: { state: 'asked', blocking: false } })
    t.match(await ask(bob, 'POST', `/friend-requests/${ann}/accept`), { status: 200, body: { state: 'friends' } })
    t.match(await anns.until(4), [
      {},
      { type: 'friendship', body: { state: 'requested' } },
      { type: 'friendship', body: { user: bob, state: 'friends' } },
      { type: 'presence', body: { user: bob, online: true } },
    ])
    const { body } = await ask(ann, 'GET', '/friends')
    t.match(body, { items: [{ person: { id: bob }, online: true }], next: undefined })
    t.notOk('lastSeen' in (body['items'] as object[])[0]!)
    await markSeen(db, [bob])
    t.match(await ask(ann, 'GET', '/friends'), { body: { items: [{ lastSeen: Number }] } })
    t.match(await ask(ann, 'DELETE', `/friends/${bob}`), { status: 200, body: { state: 'none' } })
    t.match(await ask(ann, 'GET', '/friends'), { body: { items: [] } })
  })

  await t.test('declining and taking back', async t => {
    const { ask } = await setUp(t, db)
    const [ann, bob] = await people(db, 'ann', 'bob')
    await ask(ann, 'PUT', `/friend-requests/${bob}`)
    t.match(await ask(bob, 'POST', `/friend-requests/${ann}/decline`), { status: 200, body: { state: 'none' } })
    await ask(ann, 'PUT', `/friend-requests/${bob}`)
    t.match(await ask(ann, 'DELETE', `/friend-requests/${bob}`), { status: 200, body: { state: 'none' } })
    t.match(await ask(ann, 'DELETE', `/friend-requests/${bob}`), { status: 404, body: { code: 'NO_SUCH_REQUEST' } })
    t.match(await ask(ann, 'PUT', `/friend-requests/${newId()}`), { status: 404, body: { code: 'NO_SUCH_USER' } })
    t.match(await ask(ann, 'PUT', `/friend-requests/${ann}`), { status: 400, body: { code: 'BAD_REQUEST' } })
  })

  await t.test('blocking and unblocking', async t => {
    const { ask, hints } = await setUp(t, db)
    const [ann, bob, cher] = await people(db, 'ann', 'bob', 'cher')
    t.equal((await ask(ann, 'PUT', `/blocks/${bob}`)).status, 204)
    t.equal(hints(), 1, 'nodes are to look at rights at once')
    await ask(ann, 'PUT', `/blocks/${cher}`)
    const { body } = await ask(ann, 'GET', '/blocks?limit=1')
    t.match(body, { items: [{ person: {} }], next: String })
    const rest = await ask(ann, 'GET', `/blocks?limit=1&cursor=${String(body['next'])}`)
    const shown = [body, rest.body].flatMap(({ items }) => (items as { person: { id: string } }[])[0]!.person.id)
    t.same(shown.toSorted(), [bob, cher].toSorted())
    t.match(await ask(ann, 'PUT', `/friend-requests/${bob}`), { status: 403, body: { code: 'FORBIDDEN' } })
    t.equal((await ask(ann, 'DELETE', `/blocks/${bob}`)).status, 204)
    t.match(await ask(ann, 'GET', `/friends/${bob}`), { body: { state: 'none', blocking: false } })
    t.equal(hints(), 2)
  })

  await t.test('lists go on where they ended', async t => {
    const { ask } = await setUp(t, db)
    const [ann, ...others] = await people(db, 'ann', 'bob', 'cher', 'dan')
    for (const other of others) {
      await ask(other, 'PUT', `/friend-requests/${ann}`)
    }
    const all = async (path: string): Promise<string[]> => {
      const found: string[] = []
      let next: string | undefined
      do {
        const { body } = await ask(ann, 'GET', `${path}?limit=2${next === undefined ? '' : `&cursor=${next}`}`)
        found.push(...(body['items'] as { person: { id: string } }[]).map(({ person }) => person.id))
        next = body['next'] as string | undefined
      } while (next !== undefined)
      return found
    }
    t.same((await all('/friend-requests')).toSorted(), others.toSorted())
    for (const other of others) await ask(ann, 'POST', `/friend-requests/${other}/accept`)
    t.same(await all('/friends'), others)
    t.match(await ask(ann, 'GET', '/friends?cursor=x'), { status: 400, body: { code: 'BAD_REQUEST' } })
  })

  await t.test('who is there, of those whom one may see', async t => {
    const { ask, arrive, presence } = await setUp(t, db)
    const [ann, fellow, stranger, away] = await people(db, 'ann', 'fellow', 'stranger', 'away')
    await roomOf(db, ann, { members: [fellow, away] })
    for (const user of [fellow, stranger]) await arrive(user)
    await markSeen(db, [away])
    const query = [fellow, stranger, away].map(user => `user=${user}`).join('&')
    const { body } = await ask(ann, 'GET', `/presence?${query}`)
    const items = body['items'] as { id: string; online: boolean }[]
    t.match(
      items.find(({ id }) => id === away),
      { lastSeen: Number },
    )
    t.same(
      new Map(items.map(({ id, online }) => [id, online])),
      new Map([
        [fellow, true],
        [away, false],
      ]),
    )
    t.match(await ask(ann, 'GET', `/presence?user=${fellow}`), { body: { items: [{ id: fellow }] } }, 'one alone')
    t.match(await ask(ann, 'GET', `/presence?user=${stranger}`), { status: 200, body: { items: [] } })
    t.match(await ask(ann, 'GET', '/presence'), { status: 400, body: { code: 'BAD_REQUEST' } })
    const many = Array.from({ length: 101 }, () => `user=${ann}`).join('&')
    t.equal((await ask(ann, 'GET', `/presence?${many}`)).status, 400)
    await presence.close()
    t.match(await ask(ann, 'GET', `/presence?${query}`), { status: 503, body: { code: 'PRESENCE_UNAVAILABLE' } })
  })

  await t.test('friends are listed also when it cannot be told who is there', async t => {
    const { ask, presence, arrive } = await setUp(t, db)
    const [ann, bob] = await people(db, 'ann', 'bob')
    await arrive(bob)
    await ask(ann, 'PUT', `/friend-requests/${bob}`)
    await ask(bob, 'PUT', `/friend-requests/${ann}`)
    await presence.close()
    const { status, body } = await ask(ann, 'GET', '/friends')
    t.equal(status, 200)
    t.notOk('online' in (body['items'] as object[])[0]!)
  })

  await t.test('notifications: listed, counted, marked as read on all devices', async t => {
    const { ask, listen, forget } = await setUp(t, db)
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, bob)
    for (let i = 0; i < 3; i++) {
      const news = { kind: 'mentioned' as const, subject: `m${i}`, actor: bob, ...(i > 0 && { room }) }
      await transaction(db, tx => notify(tx, ann, news))
    }
    await db.insertInto('notifications').values({ id: newId(), user_id: ann, kind: 'invited', subject: 'i' }).execute()
    const { body } = await ask(ann, 'GET', '/notifications?limit=3')
    const rest = await ask(ann, 'GET', `/notifications?limit=3&cursor=${String(body['next'])}`)
    const all = [body, rest.body].flatMap(({ items }) => items as Record<string, unknown>[])
    t.equal(all.length, 4)
    t.match(
      all.find(({ subject }) => subject === 'm1'),
      { kind: 'mentioned', actor: { id: bob }, room, read: false },
    )
    t.notOk('room' in all.find(({ subject }) => subject === 'm0')!)
    t.notOk('actor' in all.find(({ subject }) => subject === 'i')!)
    t.match(await ask(ann, 'GET', '/notifications/unread'), { body: { unread: 4 } })
    const anns = await listen(ann)
    const ids = [all[0]!['id']]
    t.match(await ask(ann, 'POST', '/notifications/read', { body: { ids } }), { status: 200, body: { unread: 3 } })
    t.match((await anns.until(2))[1], { type: 'notification', body: { unread: 3 } })
    t.match(await ask(ann, 'POST', '/notifications/read', { body: { ids } }), { body: { unread: 3 } })
    t.match(await ask(ann, 'POST', '/notifications/read', { body: {} }), { body: { unread: 0 } })
    await transaction(db, tx => forget(tx, bob))
    t.equal((await ask(ann, 'GET', '/notifications')).body['items']?.toString().split(',').length, 1)
  })
})
