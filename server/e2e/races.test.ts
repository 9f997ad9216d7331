import { randomBytes } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'
import t, { type Test } from 'tap'
import { startFleet, type FleetNode } from '../testkit/fleet.ts'
import { until } from '../testkit/node.ts'
import {
  call,
  makeRoom,
  PASSWORD,
  person,
  removal,
  said,
  sharedServices,
  system,
  to,
  type Answer,
  type Json,
  type Person,
} from '../testkit/product.ts'
import { wire } from '../testkit/probe.ts'

// Both sides of each at once, on two nodes: processes that share nothing but the services.
t.setTimeout(180_000)
const { brokers, env } = await sharedServices(t)
const [one, two] = (await startFleet(t, 2, brokers, env)) as [FleetNode, FleetNode]

/** A race may go either way: it is run so often that both are likely. */
const rounds = async (run: () => Promise<void>, count = 6): Promise<void> => {
  for (let i = 0; i < count; i++) await run()
}
const newcomers = <Names extends readonly string[]>(...names: Names) =>
  Promise.all(names.map(name => person(one, name))) as Promise<{ [Name in keyof Names]: Person }>

/** What each of those that are asked at once came to: a status, or the code of an error. */
const atOnce = async (...asked: readonly Promise<Answer>[]): Promise<unknown[]> =>
  (await Promise.all(asked)).map(({ status, body }) => (status < 400 ? status : body['code']))

/** The members of a room who have a role. */
const having = async (role: string, who: Person, room: string): Promise<unknown[]> => {
  const { items } = await who.does(two, 'GET', `/rooms/${room}/members`)
  return (items as { role: string; person: Json }[]).filter(each => each.role === role).map(({ person: { id } }) => id)
}

void t.test('one name signed up on both nodes: one has it', async t => {
  await rounds(async () => {
    const body = { name: `twin.${randomBytes(6).toString('hex')}`, password: PASSWORD }
    const results = await atOnce(...[one, two].map(node => call(node, 'POST', '/api/users', { body })))
    t.same(new Set(results), new Set([201, 'NAME_TAKEN']))
    for (const node of [one, two]) {
      t.equal((await call(node, 'POST', '/api/session', { body: { ...body, keep: 'body' } })).status, 200)
    }
  })
})

void t.test('one invitation accepted on both: one membership, told once', async t => {
  await rounds(async () => {
    const [ann, bob] = await newcomers('ann', 'bob')
    const room = await makeRoom(one, ann, 'private')
    const sent = await ann.does(one, 'POST', `/rooms/${room}/invitations`, { users: [bob.id] })
    const [{ id }] = sent['invitations'] as [{ id: string }]
    const reader = await ann.connect(t, 'tcp', two)
    await reader.request('SEND', to(room), 'before')
    await reader.request('SUBSCRIBE', { id: 'r', ...to(room) })
    const accept = (node: FleetNode) => bob.tries(node, 'POST', `/invitations/${id}/accept`)
    t.same(await atOnce(accept(one), accept(two)), [200, 200])
    t.match(await ann.does(two, 'GET', `/rooms/${room}`), { memberCount: 2 })
    await ann.does(two, 'PATCH', `/rooms/${room}`, { name: 'barrier' })
    t.same(await system(reader), { event: 'joined', user: bob.id })
    t.same(await system(reader), { event: 'renamed', name: 'barrier' })
    const guest = await bob.connect(t, 'tcp', one)
    await guest.request('SUBSCRIBE', { id: 'r', last: 10, ...to(room) })
    t.same(await said(guest, 'before'), ['before'], 'who comes later sees all of it')
  })
})

void t.test('a room handed on to two, and handed on again at the same time: it has one owner', async t => {
  await rounds(async () => {
    const [ann, bob, cem] = await newcomers('ann', 'bob', 'cem')
    const room = await makeRoom(one, ann, 'private', [bob, cem])
    const handOn = (node: FleetNode, from: Person, on: Person) =>
      from.tries(node, 'PUT', `/rooms/${room}/members/${on.id}/role`, { role: 'owner' })
    const first = await atOnce(handOn(one, ann, bob), handOn(two, ann, cem))
    t.same(new Set(first), new Set([204, 'FORBIDDEN']))
    const [owner, other] = first[0] === 204 ? [bob, cem] : [cem, bob]
    t.same(await having('owner', ann, room), [owner.id])
    const second = await atOnce(handOn(one, owner, other), handOn(two, other, ann))
    t.equal(second[0], 204)
    t.match(String(second[1]), /^(204|FORBIDDEN)$/)
    t.same(await having('owner', ann, room), [second[1] === 204 ? ann.id : other.id])
  })
})

void t.test('the last free place, by joining and by a link: one of two', async t => {
  await rounds(async () => {
    const [ann, bob, cem] = await newcomers('ann', 'bob', 'cem')
    const { id: room } = await ann.does(one, 'POST', '/rooms', { name: 'n', visibility: 'public', maxMembers: 2 })
    const { token } = await ann.does(one, 'POST', `/rooms/${String(room)}/links`, { maxUses: 1 })
    const results = await atOnce(
      bob.tries(one, 'PUT', `/rooms/${String(room)}/membership`),
      cem.tries(two, 'POST', '/links/join', { token }),
    )
    t.same(new Set(results), new Set([200, 'ROOM_FULL']))
    const { items } = await ann.does(two, 'GET', `/rooms/${String(room)}/links`)
    t.match(items, [{ uses: results[1] === 200 ? 1 : 0 }])
    t.match(await ann.does(one, 'GET', `/rooms/${String(room)}`), { memberCount: 2 })
  })
})

void t.test('one refresh token used on both: both get the same, and the session goes on', async t => {
  await rounds(async () => {
    const [ann] = await newcomers('ann')
    const refresh = (node: FleetNode, refreshToken: unknown) =>
      call(node, 'POST', '/api/session/refresh', { body: { refreshToken } })
    const signIn = { name: ann.name, password: PASSWORD, keep: 'body' }
    let { refreshToken } = (await call(one, 'POST', '/api/session', { body: signIn })).body
    for (let i = 0; i < 3; i++) {
      const [first, second] = await Promise.all([refresh(one, refreshToken), refresh(two, refreshToken)])
      t.same([first.status, second.status], [200, 200])
      t.equal(first.body['refreshToken'], second.body['refreshToken'])
      refreshToken = first.body['refreshToken']
    }
  })
})

/** Asks Kafka for its topics of some rooms. */
const topicsOf = async (t: Test) => {
  const admin = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  t.teardown(() => admin.disconnect())
  return async (rooms: readonly string[]): Promise<string[]> =>
    (await admin.listTopics()).filter(topic => rooms.some(room => topic.includes(room)))
}

void t.test('a room deleted on one while a member of it sends on the other', async t => {
  const deleted: string[] = []
  const topics = await topicsOf(t)
  const [ann, bob] = await newcomers('ann', 'bob')
  await rounds(async () => {
    const room = await makeRoom(one, ann, 'private', [bob])
    const [sender, reader] = [await bob.connect(t, 'tcp', two), await bob.connect(t, 'websocket', one)]
    await reader.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
    await reader.request('SUBSCRIBE', { id: 'r', ...to(room) })
    let acknowledged = 0
    const begun = Promise.withResolvers<void>()
    const sending = async (): Promise<unknown> => {
      try {
        for (;;) {
          await sender.request('SEND', to(room), String(acknowledged))
          if (++acknowledged === 10) begun.resolve()
        }
      } catch {
        return (await sender.error()).headers['code']
      }
    }
    const refused = sending()
    await begun.promise
    t.equal((await topics([room])).length, 1)
    await ann.does(one, 'DELETE', `/rooms/${room}`)
    t.equal(await refused, 'FORBIDDEN', 'each SEND has a RECEIPT or the ERROR')
    t.equal(await removal(reader), room)
    const got = reader.frames.filter(({ headers }) => headers['destination'] === `/topic/${room}` && !headers['type'])
    t.same(
      got.map(({ body }) => body.toString()),
      Array.from(got, (_, i) => String(i)),
      'in order, without a gap',
    )
    t.ok(got.length >= 1 && got.length <= acknowledged)
    for (const node of [one, two]) {
      const again = await ann.connect(t, 'tcp', node)
      again.send('SEND', to(room), 'to nobody')
      t.match((await again.error()).headers, { code: 'FORBIDDEN' })
      t.match(await bob.tries(node, 'GET', `/rooms/${room}`), { status: 404, body: { code: 'NO_SUCH_ROOM' } })
    }
    deleted.push(room)
  }, 3)
  await until(async () => (await topics(deleted)).length === 0)
})

wire(t, '[S-72] [S-74] kicked on one while catching up on the other', async (t, transport) => {
  const MESSAGES = 100
  const [ann, bob] = await newcomers('ann', 'bob')
  const [room, stays] = [await makeRoom(one, ann, 'private', [bob]), await makeRoom(one, ann, 'private', [bob])]
  const host = await ann.connect(t, 'tcp', one)
  const body = 'x'.repeat(200_000)
  for (let i = 0; i < MESSAGES; i++) await host.request('SEND', to(room), body)
  const [guest, witness] = [await bob.connect(t, transport, two), await bob.connect(t, transport, two)]
  for (const probe of [guest, witness]) {
    await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
    await probe.request('SUBSCRIBE', { id: 'stays', ...to(stays) })
  }
  await witness.request('SUBSCRIBE', { id: 'r', ...to(room) })
  guest.send('SUBSCRIBE', { id: 'r', last: 1000, ...to(room) })
  await guest.when(() => guest.frames.some(({ headers }) => headers['subscription'] === 'r'), 'the first of them')
  // From now on it takes nothing: what it is to get waits on the node, or has not been read yet.
  guest.pause(true)
  await ann.does(one, 'DELETE', `/rooms/${room}/members/${bob.id}`)
  t.equal(await removal(witness), room)
  guest.pause(false)
  await host.request('SEND', to(room), 'among us')
  await host.request('SEND', to(stays), 'barrier')
  await guest.when(() => guest.frames.at(-1)?.body.toString() === 'barrier', 'the barrier')
  const got = guest.frames.map(({ headers }) => headers['type'] ?? headers['subscription'])
  const ofRoom = got.filter(each => each === 'r').length
  t.ok(ofRoom > 0 && ofRoom < MESSAGES, `${ofRoom} of ${MESSAGES} were on their way`)
  t.same(got.slice(got.indexOf('removed')), ['removed', 'stays'], 'after that none')
})
