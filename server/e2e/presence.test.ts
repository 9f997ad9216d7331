import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { openDatabase, type Db } from '../database/database.ts'
import { TOLD_UP_TO } from '../people/sight.ts'
import { silent } from '../testkit/database.ts'
import { startFleet, type FleetNode } from '../testkit/fleet.ts'
import { makeRoom, person, sharedServices, type Json, type Person } from '../testkit/product.ts'
import type { Probe } from '../testkit/probe.ts'
import { bodyOf, change, typeOf, watching } from './testkit/events.ts'

t.setTimeout(180_000)
const { brokers, env } = await sharedServices(t)
const [one, two] = (await startFleet(t, 2, brokers, env)) as [FleetNode, FleetNode]

/** Makes friends of somebody who watches and somebody who is not there, which is what new friends are told first. */
const befriend = async (t: Test, probe: Probe, one: Person, other: Person): Promise<void> => {
  await one.does(two, 'PUT', `/friend-requests/${other.id}`)
  await other.does(two, 'PUT', `/friend-requests/${one.id}`)
  t.same(await change(probe), [other.id, false])
}

/** Those of `users` that `who` is told are there, when asking. */
const asked = async (who: Person, node: FleetNode, ...users: readonly Person[]): Promise<unknown> => {
  const { items } = await who.does(node, 'GET', `/presence?${users.map(({ id }) => `user=${id}`).join('&')}`)
  return (items as Json[]).filter(({ online }) => online).map(({ id }) => id)
}

void t.test(
  'with two devices on two nodes one comes with the first and goes with the last, each told once',
  async t => {
    const [ann, bob] = [await person(one, 'ann'), await person(two, 'bob')]
    const friend = await watching(t, ann, one)
    await befriend(t, friend, ann, bob)
    for (let round = 0; round < 4; round++) {
      const [phone, laptop] = [await bob.again(one), await bob.again(two)]
      await Promise.all([phone.connect(t, 'tcp', one), laptop.connect(t, 'websocket', two)])
      t.same(await change(friend), [bob.id, true])
      if (round % 2 === 0) {
        await phone.does(two, 'DELETE', '/session')
        t.same(await asked(ann, two, bob), [bob.id], 'by the other device')
        await laptop.does(one, 'DELETE', '/session')
      } else {
        await Promise.all([phone.does(two, 'DELETE', '/session'), laptop.does(one, 'DELETE', '/session')])
      }
      t.same(await change(friend), [bob.id, false], 'neither that one of two went, nor anything twice')
      t.same(await asked(ann, two, bob), [])
    }
  },
)

void t.test(
  'who signs out is gone at once, who only closes after a while; who comes back in time never was',
  async t => {
    const [ann, bob, cem, dan] = [
      await person(one, 'ann'),
      await person(one, 'bob'),
      await person(one, 'cem'),
      await person(one, 'dan'),
    ]
    const friend = await watching(t, ann, one)
    for (const each of [bob, cem, dan]) await befriend(t, friend, ann, each)
    const devices: Probe[] = []
    for (const each of [bob, cem, dan]) {
      devices.push(await each.connect(t, 'tcp', two))
      t.same(await change(friend), [each.id, true])
    }
    const [bobs, , dans] = devices as [Probe, Probe, Probe]
    await dans.request('DISCONNECT')
    await bobs.request('DISCONNECT')
    await cem.does(one, 'DELETE', '/session')
    t.same(await change(friend), [cem.id, false], 'the last one first')
    await dan.connect(t, 'tcp', one)
    t.same(await change(friend), [bob.id, false], 'by then')
    t.same(await asked(ann, one, bob, cem, dan), [dan.id])
  },
)

/** Rows for so many members that nobody is, and the count that goes with them. */
const crowd = async (db: Db, room: string, members: number): Promise<void> => {
  await sql`insert into users (id, name, name_key, display_name, password_hash)
    select ${room} || i, ${room} || i, ${room} || i, 'crowd', 'x' from generate_series(1, ${members}::int) as i`.execute(
    db,
  )
  await sql`insert into members (room_id, user_id, name_key)
    select ${room}, ${room} || i, ${room} || i from generate_series(1, ${members}::int) as i`.execute(db)
  await sql`update rooms set member_count = member_count + ${members}, max_members = 50000 where id = ${room}`.execute(
    db,
  )
}

void t.test('[S-70] friends and fellow members alone are told; in a large room they ask', async t => {
  const config = { DATABASE_URL: env['DATABASE_URL']!, DATA_DIR: '', DATABASE_POOL: 1, DATABASE_TIMEOUT: 5_000 }
  const { db, close } = await openDatabase(config, silent)
  t.teardown(close)
  const [ann, bob, fay, eve] = [
    await person(one, 'ann'),
    await person(one, 'bob'),
    await person(one, 'fay'),
    await person(one, 'eve'),
  ]
  const [small, large] = [
    await makeRoom(one, ann, 'public', [bob, fay]),
    await makeRoom(one, ann, 'public', [bob, fay]),
  ]
  await crowd(db, large, TOLD_UP_TO)
  const [fellow, stranger] = [await watching(t, fay, two), await watching(t, eve, one)]
  for (const probe of [fellow, stranger]) {
    for (const room of [small, large]) {
      await probe.request('SUBSCRIBE', { id: room, destination: `/signal/${room}` })
    }
  }
  const device = await bob.connect(t, 'tcp', two)
  const told = await fellow.take(frame => typeOf(frame) === 'presence' && bodyOf(frame)['user'] === bob.id, 'bob')
  t.match([told.headers['destination'], bodyOf(told)], [`/signal/${small}`, { online: true }])
  // Said on the node that has told of bob, and so after that.
  for (const room of [small, large]) await fellow.request('SEND', { destination: `/signal/${room}`, type: 'typing' })
  for (const probe of [fellow, stranger]) {
    for (const room of [small, large]) {
      const typing = await probe.take(frame => typeOf(frame) === 'typing', 'typing')
      t.equal(typing.headers['destination'], `/signal/${room}`)
    }
    const more = probe.frames.filter(frame => typeOf(frame) === 'presence' && bodyOf(frame)['user'] === bob.id)
    t.same(more, [], 'nobody is told of the large room, and a stranger of neither')
  }
  t.same(await asked(fay, one, bob), [bob.id])
  t.same(await asked(eve, two, bob), [])
  t.same((await eve.does(two, 'GET', `/presence?user=${bob.id}`))['items'], [], 'nor when bob was last there')
  await device.settled()
})
