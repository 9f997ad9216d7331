import t, { type Test } from 'tap'
import { transaction, type Db } from '../database/database.ts'
import { memoryPresence } from '../drivers/memory/presence.ts'
import { memorySignals } from '../drivers/memory/signals.ts'
import { fail } from '../errors.ts'
import type { Client, Presence } from '../ports/presence.ts'
import { roomChannel, userChannel, type RoomSignal, type UserEvent } from '../ports/signals.ts'
import { people, roomOf } from '../rooms/testkit/people.ts'
import { silent, testDatabases } from '../testkit/database.ts'
import { ComingAndGoing, WAITING_MOST } from './coming-and-going.ts'
import { introduce, onlineOf, userEvents } from './events.ts'
import { relate } from './relations.ts'
import { friendsOf } from './lists.ts'
import { befriend } from './testkit/friends.ts'
import { hearing } from './testkit/hearing.ts'

const clientOf = (user: string): Client => ({
  connection: crypto.randomUUID(),
  user,
  device: '',
  node: '',
  address: '',
  since: 0,
  rooms: [],
})

const setUp = (t: Test, db: Db) => {
  const presence = memoryPresence({ ttl: 60_000 })
  const signals = memorySignals()
  t.teardown(() => signals.close())
  const logged: string[] = []
  const logger = { ...silent, debug: (_fields: object, message: string) => void logged.push(message) }
  const options = { db, presence: presence.port, signals: signals.port, logger }
  const events = userEvents(options)
  const comingAndGoing = new ComingAndGoing(options)
  const listen = async (user: string) => {
    const each = hearing<UserEvent>()
    const stop = await events.subscribe({ user }, each.listener)
    return { ...each, stop }
  }
  return { ...options, presence: presence.port, options, comingAndGoing, listen, logged }
}

await testDatabases(t, async (t, { db }) => {
  await t.test('subscribing brings first who of the friends is there, then what changes', async t => {
    const { presence, signals, comingAndGoing, listen } = setUp(t, db)
    const [ann, bob, cher, dan] = await people(db, 'ann', 'bob', 'cher', 'dan')
    await befriend(db, ann, bob)
    await befriend(db, ann, cher)
    const here = [clientOf(bob), clientOf(dan)]
    await presence.touch(here)
    const { heard, until } = await listen(ann)
    t.same(heard, [], 'after it has resolved')
    signals.publish(userChannel(ann), { type: 'x', body: null })
    const [first, second] = await until(2)
    t.match(first, { type: 'presence', body: { known: true, online: [bob] } })
    t.same(second, { type: 'x', body: null })
    comingAndGoing.tell(await presence.touch([clientOf(cher)]))
    comingAndGoing.tell(await presence.off(here, 0))
    const [, , came, went] = await until(4)
    t.match(came, { type: 'presence', body: { user: cher, online: true } })
    t.match(went, { type: 'presence', body: { user: bob, online: false } })
    const at = [first, came, went].map(event => (event!.body as { at: number }).at)
    t.ok(at[0]! < at[1]! && at[1]! < at[2]!)
    await comingAndGoing.settled()
    const [asBob] = await friendsOf(db, ann, { after: undefined, limit: 1 })
    t.ok(Date.now() - asBob!.lastSeen! < 60_000, 'who went was seen last now')
  })

  await t.test('what comes while it is found out who is there comes after that', async t => {
    const { signals, options } = setUp(t, db)
    const [ann] = await people(db, 'ann')
    const asked = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const presence: Presence = {
      ...options.presence,
      of: async () => {
        asked.resolve()
        await gate.promise
        return { at: 5, online: new Set<string>() }
      },
    }
    const { listener, until } = hearing<UserEvent>()
    const subscribing = userEvents({ ...options, presence }).subscribe({ user: ann }, listener)
    await asked.promise
    for (let i = 0; i < 1_005; i++) signals.publish(userChannel(ann), { type: 'x', body: i })
    await new Promise(setImmediate)
    gate.resolve()
    await subscribing
    const all = await until(1_001)
    await new Promise(setImmediate)
    t.equal(all.length, 1_001, 'not without bound')
    t.same(all.slice(0, 2), [
      { type: 'presence', body: { known: true, at: 5, online: [] } },
      { type: 'x', body: 0 },
    ])
  })

  await t.test('who ends it hears nothing more, also when it has only begun', async t => {
    const { signals, listen } = setUp(t, db)
    const [ann] = await people(db, 'ann')
    const one = await listen(ann)
    one.stop()
    const two = await listen(ann)
    await two.until(1)
    two.stop()
    const three = await listen(ann)
    signals.publish(userChannel(ann), { type: 'x', body: null })
    await three.until(2)
    t.same([one.heard.length, two.heard.length], [0, 1])
  })

  await t.test('where it cannot be told who is there, that is said, and what changes comes', async t => {
    const { signals, options, logged } = setUp(t, db)
    const [ann, bob] = await people(db, 'ann', 'bob')
    const of = async () => {
      throw fail('PRESENCE_UNAVAILABLE')
    }
    const presence: Presence = { ...options.presence, of }
    const broken = { ...options, presence }
    const { listener, until } = hearing<UserEvent>()
    await userEvents(broken).subscribe({ user: ann }, listener)
    await introduce(broken, ann, bob)
    signals.publish(userChannel(ann), { type: 'x', body: null })
    t.same(await until(2), [
      { type: 'presence', body: { known: false, at: 0, online: [] } },
      { type: 'x', body: null },
    ])
    t.equal(logged.length, 2)
  })

  await t.test('new friends are told of each other', async t => {
    const { presence, options, listen } = setUp(t, db)
    const [ann, bob] = await people(db, 'ann', 'bob')
    await presence.touch([clientOf(ann)])
    const [anns, bobs] = [await listen(ann), await listen(bob)]
    await introduce(options, ann, bob)
    t.match((await anns.until(2))[1], { type: 'presence', body: { user: bob, online: false } })
    t.match((await bobs.until(2))[1], { type: 'presence', body: { user: ann, online: true } })
  })

  await t.test('small rooms are told who comes and goes; who blocks or is blocked is left out', async t => {
    const { presence, signals, comingAndGoing } = setUp(t, db)
    const [ann, bob, cher, dan] = await people(db, 'ann', 'bob', 'cher', 'dan')
    const room = await roomOf(db, ann, { members: [bob, cher] })
    await transaction(db, tx => relate(tx, bob, ann, 'block'))
    // Who is not in the room does not hear of it anyhow.
    await transaction(db, tx => relate(tx, dan, ann, 'block'))
    await roomOf(db, bob, { members: [dan] })
    const { listener, until } = hearing<RoomSignal>()
    await signals.subscribe(roomChannel(room), listener)
    comingAndGoing.tell(await presence.touch([clientOf(ann), clientOf(cher)]))
    const said = await until(2)
    const anns = said.find(({ body }) => body.includes(ann))
    t.match(anns, { type: 'presence', contentType: 'application/json', inside: true, except: [bob] })
    t.match(JSON.parse(anns!.body), { user: ann, online: true })
    t.notOk(anns?.sender)
    t.notOk(said.find(({ body }) => body.includes(cher))?.except)
  })

  await t.test('of very many it is told in parts, and who is there is asked for in parts', async t => {
    const { presence, signals, comingAndGoing, listen } = setUp(t, db)
    const names = Array.from({ length: 205 }, (_, i) => `n${i}`)
    const [ann, ...all] = await people(db, 'ann', ...names)
    await befriend(db, ann, all.at(-1)!)
    const room = await roomOf(db, ann)
    const members = all.slice(0, 150).map(user => ({ room_id: room, user_id: user, name_key: user }))
    await db.insertInto('members').values(members).execute()
    const inRoom = hearing<RoomSignal>()
    await signals.subscribe(roomChannel(room), inRoom.listener)
    const { until } = await listen(ann)
    comingAndGoing.tell(await presence.touch(all.map(clientOf)))
    t.equal((await inRoom.until(150)).length, 150)
    t.match((await until(2))[1], { body: { user: all.at(-1), online: true } })
    const asked = Array.from({ length: 1_001 }, (_, i) => all[i] ?? `nobody-${i}`)
    t.equal((await onlineOf(presence, asked)).online.size, 205)
  })

  await t.test('where the database fails who comes and goes is not told, and nothing breaks', async t => {
    const { comingAndGoing, logged } = setUp(t, db)
    // No database takes such an id.
    const one = { user: '\0', online: true, at: 1 }
    comingAndGoing.tell([one])
    await comingAndGoing.settled()
    t.equal(logged.length, 1)
    comingAndGoing.tell(Array.from({ length: 100 * WAITING_MOST }, () => one))
    await comingAndGoing.settled()
    t.equal(logged.length, 1 + WAITING_MOST, 'it does not wait without bound')
  })
})
