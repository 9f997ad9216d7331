import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
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
  type Json,
  type Person,
} from '../testkit/product.ts'
import { Probe, transports, type TransportName } from '../testkit/probe.ts'

t.setTimeout(180_000)
const { brokers, env } = await sharedServices(t)
const nodes = await startFleet(t, 3, brokers, env)
const [one, two, three] = nodes as [FleetNode, FleetNode, FleetNode]
const [ann, bob, eve] = [await person(one, 'ann'), await person(one, 'bob'), await person(one, 'eve')]

/** Somebody on a node, subscribed to these rooms and told of removals. */
const listen = async (t: Test, transport: TransportName, node: FleetNode, who: Person, rooms: readonly string[]) => {
  const probe = await who.connect(t, transport, node)
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  for (const room of rooms) await probe.request('SUBSCRIBE', { id: room, ...to(room) })
  return probe
}
/** The same on each node. */
const everywhere = (t: Test, transport: TransportName, who: Person, rooms: readonly string[]): Promise<Probe[]> =>
  Promise.all(nodes.map(node => listen(t, transport, node, who, rooms)))

/** That a SEND is refused, which ends the connection. */
const refused = async (t: Test, probe: Probe, room: string): Promise<void> => {
  probe.send('SEND', { ...to(room), receipt: 'no' })
  t.match((await probe.error()).headers, { 'code': 'FORBIDDEN', 'receipt-id': 'no' })
}

/** That all of these get what is said last, and nothing before it. */
const hear = async (t: Test, probes: readonly Probe[], body: string): Promise<void> => {
  for (const probe of probes) t.same(await said(probe, body), [body])
}

for (const transport of transports) {
  void t.test(`[S-72] a kick on one node ends reading and sending on three (${transport})`, async t => {
    const [room, stays] = [await makeRoom(three, ann, 'private', [bob]), await makeRoom(three, ann, 'private', [bob])]
    const host = await listen(t, transport, one, ann, [room])
    const guests = await everywhere(t, transport, bob, [room, stays])
    await host.request('SEND', to(room), 'before')
    await hear(t, guests, 'before')
    await ann.does(two, 'DELETE', `/rooms/${room}/members/${bob.id}`)
    t.same(await Promise.all(guests.map(removal)), [room, room, room])
    await host.request('SEND', to(room), 'after')
    await host.request('SEND', to(stays), 'barrier')
    await hear(t, guests, 'barrier')
    for (const guest of guests) {
      await guest.request('UNSUBSCRIBE', { id: room })
      await refused(t, guest, room)
    }
    // That they had joined it may have been said after it was subscribed to.
    t.same(await system(host, 'left'), { event: 'left', user: bob.id })
  })

  void t.test(`[S-72] a ban ends reading a public room on three nodes, and coming back (${transport})`, async t => {
    const [room, stays] = [await makeRoom(one, ann, 'public', [bob]), await makeRoom(one, ann, 'public')]
    const host = await listen(t, transport, two, ann, [])
    const [members, strangers] = [
      await everywhere(t, transport, bob, [room, stays]),
      await everywhere(t, transport, eve, [room, stays]),
    ]
    await host.request('SEND', to(room), 'before')
    await hear(t, [...members, ...strangers], 'before')
    for (const who of [bob, eve]) await ann.does(three, 'PUT', `/rooms/${room}/bans/${who.id}`)
    for (const probe of [...members, ...strangers]) t.equal(await removal(probe), room)
    await host.request('SEND', to(room), 'after')
    await host.request('SEND', to(stays), 'barrier')
    await hear(t, [...members, ...strangers], 'barrier')
    for (const probe of strangers) {
      probe.send('SUBSCRIBE', { id: 'again', ...to(room) })
      t.match((await probe.error()).headers, { code: 'FORBIDDEN' }, 'as a room that there never was')
    }
    t.match(await bob.tries(one, 'PUT', `/rooms/${room}/membership`), { status: 404, body: { code: 'NO_SUCH_ROOM' } })
  })
}

void t.test('[S-72] a room that becomes private, and one that is deleted, on three nodes', async t => {
  const [room, stays] = [await makeRoom(one, ann, 'public', [bob]), await makeRoom(one, ann, 'public')]
  const strangers = await everywhere(t, 'tcp', eve, [room, stays])
  const members = await everywhere(t, 'websocket', bob, [room, stays])
  const host = await listen(t, 'tcp', three, ann, [])
  await ann.does(one, 'PATCH', `/rooms/${room}`, { visibility: 'private' })
  t.same(await Promise.all(strangers.map(removal)), [room, room, room])
  await host.request('SEND', to(room), 'among us')
  await host.request('SEND', to(stays), 'barrier')
  await hear(t, strangers, 'barrier')
  // Rooms do not wait for each other.
  for (const member of members) {
    const both = new Set([...(await said(member, 'barrier')), 'barrier'])
    if (!both.has('among us')) t.same(await said(member, 'among us'), ['among us'])
  }
  await ann.does(two, 'DELETE', `/rooms/${room}`)
  t.same(await Promise.all(members.map(removal)), [room, room, room])
  await host.request('SEND', to(stays), 'still here')
  await hear(t, members, 'still here')
  for (const member of members) {
    member.send('SUBSCRIBE', { id: 'again', ...to(room) })
    t.match((await member.error()).headers, { code: 'FORBIDDEN' }, 'as a room that there never was')
  }
})

void t.test('a block ends writing in the direct room of the two, for both, on three nodes', async t => {
  const [other, stays] = [await makeRoom(one, ann, 'private', [bob]), await makeRoom(one, ann, 'private', [bob])]
  const { id } = await ann.does(one, 'POST', '/direct-rooms', { user: bob.id })
  const direct = id as string
  const rooms = [direct, other, stays]
  const [anns, bobs] = [await everywhere(t, 'tcp', ann, rooms), await everywhere(t, 'websocket', bob, rooms)]
  for (const [i, probe] of bobs.entries()) {
    await probe.request('SEND', to(direct), `before ${i}`)
    await hear(t, [...anns, ...bobs], `before ${i}`)
  }
  await ann.does(two, 'PUT', `/blocks/${bob.id}`)
  t.teardown(() => ann.does(two, 'DELETE', `/blocks/${bob.id}`))
  // They are not told. But nodes hear of what ends in its order, and this is later.
  await ann.does(two, 'DELETE', `/rooms/${other}/members/${bob.id}`)
  t.same(await Promise.all(bobs.map(removal)), [other, other, other])
  for (const probe of bobs) await refused(t, probe, direct)
  await refused(t, anns[0]!, direct)
  const late = await listen(t, 'tcp', one, bob, [direct])
  await anns[1]!.request('SEND', to(stays), 'barrier')
  t.same(await said(anns[2]!, 'barrier'), ['barrier'])
  t.same(
    late.frames.filter(({ headers }) => headers['destination'] === `/topic/${direct}`),
    [],
  )
})

void t.test('a session that ends ends its connections on three nodes, and no other', async t => {
  const room = await makeRoom(one, ann, 'private', [bob])
  const gone = await bob.again(two)
  const host = await listen(t, 'tcp', two, ann, [])
  const [ending, staying] = [await everywhere(t, 'websocket', gone, [room]), await everywhere(t, 'tcp', bob, [room])]
  await host.request('SEND', to(room), 'before')
  await hear(t, [...ending, ...staying], 'before')
  await bob.does(three, 'DELETE', `/sessions/${gone.session}`)
  for (const probe of ending) t.match((await probe.error()).headers, { code: 'SESSION_ENDED' })
  await host.request('SEND', to(room), 'after')
  await hear(t, staying, 'after')
  for (const probe of ending) t.notOk(probe.frames.some(({ body }) => body.toString() === 'after'))
  for (const node of nodes) {
    t.match(await gone.tries(node, 'GET', '/me'), { status: 401, body: { code: 'SESSION_ENDED' } })
    const probe = await Probe.open(t, 'tcp', node)
    probe.send('CONNECT', { 'accept-version': '1.2', 'host': 'test', 'passcode': gone.token })
    t.match((await probe.error()).headers, { code: 'SESSION_ENDED' })
  }
})

void t.test('an account that is deleted ends all that is theirs on three nodes, and what they own goes on', async t => {
  const cat = await person(two, 'cat')
  const room = await makeRoom(one, cat, 'private', [bob])
  const [theirs, bobs] = [await everywhere(t, 'tcp', cat, [room]), await everywhere(t, 'websocket', bob, [room])]
  await theirs[0]!.request('SEND', to(room), 'before')
  await hear(t, [...theirs, ...bobs], 'before')
  await cat.does(three, 'POST', '/me/deletion', { password: PASSWORD })
  for (const probe of theirs) t.match((await probe.error()).headers, { code: 'SESSION_ENDED' })
  await bobs[1]!.request('SEND', to(room), 'after')
  await hear(t, bobs, 'after')
  await until(async () => (await bob.does(one, 'GET', `/rooms/${room}`))['role'] === 'owner')
  t.match(await bob.does(one, 'GET', `/rooms/${room}`), { memberCount: 1 })
  const signIn = { name: cat.name, password: PASSWORD, keep: 'body' }
  t.match(await call(two, 'POST', '/api/session', { body: signIn }), { status: 401, body: { code: 'BAD_CREDENTIALS' } })
})

for (const transport of transports) {
  void t.test(`[S-72] [S-73] who leaves by one device has left on all, signals too (${transport})`, async t => {
    const [room, stays] = [await makeRoom(one, ann, 'private', [bob]), await makeRoom(one, ann, 'private', [bob])]
    const host = await listen(t, transport, one, ann, [])
    const guests = await everywhere(t, transport, bob, [stays])
    for (const guest of guests) {
      await guest.request('SUBSCRIBE', { id: 'acked', ack: 'client-individual', ...to(room) })
      for (const each of [room, stays]) {
        await guest.request('SUBSCRIBE', { id: `signals of ${each}`, destination: `/signal/${each}` })
      }
    }
    await host.request('SEND', to(room), 'before')
    const acks: string[] = []
    for (const guest of guests) acks.push((await guest.take(({ headers }) => 'ack' in headers, 'it')).headers['ack']!)
    await bob.does(two, 'DELETE', `/rooms/${room}/membership`)
    t.same(await Promise.all(guests.map(removal)), [room, room, room])
    // What one node says of rooms comes in its order.
    for (const each of [room, stays]) await host.request('SEND', { destination: `/signal/${each}`, type: 'typing' })
    for (const [i, guest] of guests.entries()) {
      const typing = await guest.take(({ headers }) => headers['type'] === 'typing', 'typing')
      t.equal(typing.headers['destination'], `/signal/${stays}`)
      await guest.request('ACK', { id: acks[i]! })
      for (const id of ['acked', `signals of ${room}`]) await guest.request('UNSUBSCRIBE', { id })
      await refused(t, guest, room)
    }
  })
}

void t.test('a role that is taken away takes what it allowed, on three nodes', async t => {
  const [room, other] = [await makeRoom(one, ann, 'private', [bob]), await makeRoom(one, ann, 'private', [bob])]
  const rename = (node: FleetNode) => bob.tries(node, 'PATCH', `/rooms/${room}`, { name: 'of bob' })
  const roleOf = (role: string) => ann.does(two, 'PUT', `/rooms/${room}/members/${bob.id}/role`, { role })
  await roleOf('admin')
  const host = await listen(t, 'websocket', three, ann, [])
  const theirs = async (): Promise<Record<string, string>> => {
    const { headers } = await host.request('SEND', to(room), 'of ann')
    return { ...to(room), type: 'delete', ref: headers['message-id']! }
  }
  const admins = await everywhere(t, 'tcp', bob, [other])
  for (const probe of admins) await probe.request('SEND', await theirs())
  for (const node of nodes) t.equal((await rename(node)).status, 200)
  await roleOf('member')
  // They are not told. But nodes hear of what ends in its order, and this is later.
  await ann.does(two, 'DELETE', `/rooms/${other}/members/${bob.id}`)
  t.same(await Promise.all(admins.map(removal)), [other, other, other])
  for (const probe of admins) {
    await probe.request('SEND', to(room), 'still a member')
    probe.send('SEND', { ...(await theirs()), receipt: 'no' })
    t.match((await probe.error()).headers, { 'code': 'FORBIDDEN', 'receipt-id': 'no' })
  }
  for (const node of nodes) t.match(await rename(node), { status: 403, body: { code: 'FORBIDDEN' } })
})

/** What admins may do beside reading: each with what it is asked with. */
const adminActs = (ids: { user: string; room: string; connection: string }): Record<string, [string, object?]> => ({
  'DELETE /api/admin/connections/{id}': [`/admin/connections/${ids.connection}`],
  'POST /api/admin/announcements': ['/admin/announcements', { text: 'at noon' }],
  'DELETE /api/admin/rooms/{id}': [`/admin/rooms/${ids.room}`],
  'DELETE /api/admin/users/{id}': [`/admin/users/${ids.user}`],
})

/** Makes somebody an admin, as whoever runs the nodes does. */
const promote = async ({ name }: Person): Promise<void> => {
  const script = join(import.meta.dirname, '../../scripts/admin.ts')
  await promisify(execFile)(process.execPath, [script], { env: { ...process.env, ...env, NAME: name } })
}

void t.test('[S-71] what an admin does is done on three nodes, and each act is written down', async t => {
  const [root, cat, fay] = [await person(one, 'root'), await person(two, 'cat'), await person(two, 'fay')]
  await promote(root)
  const [room, theirs] = [await makeRoom(one, ann, 'private', [bob]), await makeRoom(two, cat, 'private', [bob])]
  const bobs = await everywhere(t, 'tcp', bob, [room, theirs])
  const cats = await everywhere(t, 'websocket', cat, [theirs])
  const ending = await listen(t, 'tcp', three, fay, [])
  let listed: Json | undefined
  await until(async () => {
    const { items } = await root.does(two, 'GET', '/admin/connections?limit=100')
    listed = (items as Json[]).find(({ user }) => user === fay.id)
    return listed !== undefined
  })
  const connection = String(listed?.['id'])
  const acts = adminActs({ user: cat.id, room, connection })
  const { paths } = (await call(two, 'GET', '/docs/json')).body as { paths: Record<string, object> }
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
  )
  t.same(
    documented.filter(route => route.includes('/admin/') && !route.startsWith('GET')).toSorted(),
    Object.keys(acts).toSorted(),
    'there is nothing else that they may do',
  )
  for (const [route, [path, body]] of Object.entries(acts)) await root.does(two, route.split(' ')[0]!, path, body)

  t.match((await ending.error()).headers, { code: 'ENDED_BY_ADMIN' })
  for (const probe of [...bobs, ...cats]) {
    const told = await probe.take(({ headers }) => headers['type'] === 'announcement', 'announcement')
    t.equal(told.body.toString(), '{"text":"at noon"}')
  }
  for (const probe of cats) t.match((await probe.error()).headers, { code: 'SESSION_ENDED' })
  t.same(await Promise.all(bobs.map(removal)), [room, room, room])
  const audit = (await root.does(three, 'GET', '/admin/audit?limit=4'))['items'] as Json[]
  const common = { actor: root.id, address: /127\.0\.0\.1/, at: Number }
  t.match(audit.toReversed(), [
    { ...common, act: 'disconnect', detail: { connection } },
    { ...common, act: 'announce', detail: { text: 'at noon' } },
    { ...common, act: 'delete room', room },
    { ...common, act: 'delete user', user: cat.id },
  ])
})
