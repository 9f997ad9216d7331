import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { freshPostgres } from '../testkit/database.ts'
import { startFleet, type FleetNode } from '../testkit/fleet.ts'
import { Probe, transports, type Received, type TransportName } from '../testkit/probe.ts'
import { kafkaBrokers, postgresUrl, redisUrl } from '../testkit/services.ts'

t.setTimeout(180_000)
const nodes = await startFleet(t, 3, await kafkaBrokers(t), {
  ACCESS: 'accounts',
  HOST: '127.0.0.1',
  DATABASE_URL: await freshPostgres(t, await postgresUrl(t)),
  REDIS_URL: await redisUrl(t),
  SESSION_SECRET: randomBytes(32).toString('hex'),
})
const [one, two, three] = nodes as [FleetNode, FleetNode, FleetNode]

type Json = Readonly<Record<string, unknown>>

const ask = async (node: FleetNode, method: string, path: string, body?: object, token?: string): Promise<Json> => {
  const response = await fetch(`http://127.0.0.1:${node.port}/api${path}`, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return text === '' ? {} : (JSON.parse(text) as Json)
}

interface Person {
  readonly id: string
  readonly token: string
  readonly does: (node: FleetNode, method: string, path: string, body?: object) => Promise<Json>
}

const person = async (name: string): Promise<Person> => {
  const account = { name: `${name}.${randomBytes(6).toString('hex')}`, password: 'correct horse' }
  const { id } = await ask(one, 'POST', '/users', account)
  const { accessToken } = await ask(one, 'POST', '/session', { ...account, keep: 'body' })
  const token = accessToken as string
  return { id: id as string, token, does: (node, method, path, body) => ask(node, method, path, body, token) }
}

const [ann, bob, eve] = [await person('ann'), await person('bob'), await person('eve')]

const makeRoom = async (visibility: string, ...members: Person[]): Promise<string> => {
  const invite = members.map(({ id }) => id)
  const { id } = await ann.does(one, 'POST', '/rooms', { name: 'a room', visibility, invite })
  for (const member of members) {
    const { items } = await member.does(two, 'GET', '/invitations')
    const wanted = (items as { id: string; room: { id: string } }[]).find(({ room }) => room.id === id)
    await member.does(three, 'POST', `/invitations/${wanted!.id}/accept`)
  }
  return id as string
}

const to = (room: string) => ({ destination: `/topic/${room}` })

/** Somebody on a node, subscribed to these rooms and told of removals. */
const listen = async (t: Test, transport: TransportName, node: FleetNode, who: Person, rooms: readonly string[]) => {
  const probe = await Probe.connect(t, transport, node, { passcode: who.token })
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  for (const room of rooms) await probe.request('SUBSCRIBE', { id: room, ...to(room) })
  return probe
}

const removal = async (probe: Probe): Promise<unknown> => {
  const told = await probe.take(({ headers }) => headers['type'] === 'removed', 'removed')
  return (JSON.parse(told.body.toString()) as { room: string }).room
}

const isSaid = ({ headers }: Received): boolean => headers['destination']!.startsWith('/topic/') && !headers['type']

/** What was said in rooms, up to and with the barrier. */
const said = async (probe: Probe, last: string): Promise<string[]> => {
  const bodies: string[] = []
  while (bodies.at(-1) !== last) {
    const frame = await probe.next('MESSAGE')
    if (isSaid(frame)) bodies.push(frame.body.toString())
  }
  return bodies
}

for (const transport of transports) {
  void t.test(`[S-72] a kick on one node ends reading and sending on three (${transport})`, async t => {
    const [room, stays] = [await makeRoom('private', bob), await makeRoom('private', bob)]
    const host = await listen(t, transport, one, ann, [room])
    const guests = await Promise.all(nodes.map(node => listen(t, transport, node, bob, [room, stays])))
    await host.request('SEND', to(room), 'before')
    for (const guest of guests) t.same(await said(guest, 'before'), ['before'])
    await ann.does(two, 'DELETE', `/rooms/${room}/members/${bob.id}`)
    t.same(await Promise.all(guests.map(removal)), [room, room, room])
    await host.request('SEND', to(room), 'after')
    await host.request('SEND', to(stays), 'barrier')
    for (const guest of guests) {
      t.same(await said(guest, 'barrier'), ['barrier'])
      await guest.request('UNSUBSCRIBE', { id: room })
      guest.send('SEND', { ...to(room), receipt: 'no' })
      t.match((await guest.error()).headers, { 'code': 'FORBIDDEN', 'receipt-id': 'no' })
    }
    const left = await host.take(({ body }) => body.includes('"left"'), 'who has left')
    t.match(left.headers, { type: 'system', sender: ann.id })
    t.same(JSON.parse(left.body.toString()), { event: 'left', user: bob.id })
  })
}

void t.test('[S-72] a room that becomes private, and one that is deleted, on three nodes', async t => {
  const [room, stays] = [await makeRoom('public', bob), await makeRoom('public')]
  const strangers = await Promise.all(nodes.map(node => listen(t, 'tcp', node, eve, [room, stays])))
  const members = await Promise.all(nodes.map(node => listen(t, 'websocket', node, bob, [room, stays])))
  const host = await listen(t, 'tcp', three, ann, [])
  await ann.does(one, 'PATCH', `/rooms/${room}`, { visibility: 'private' })
  t.same(await Promise.all(strangers.map(removal)), [room, room, room])
  await host.request('SEND', to(room), 'among us')
  await host.request('SEND', to(stays), 'barrier')
  for (const stranger of strangers) t.same(await said(stranger, 'barrier'), ['barrier'])
  // Rooms do not wait for each other.
  for (const member of members) {
    const both = new Set([...(await said(member, 'barrier')), 'barrier'])
    if (!both.has('among us')) t.same(await said(member, 'among us'), ['among us'])
  }
  await ann.does(two, 'DELETE', `/rooms/${room}`)
  t.same(await Promise.all(members.map(removal)), [room, room, room])
  await host.request('SEND', to(stays), 'still here')
  for (const member of members) t.same(await said(member, 'still here'), ['still here'], 'the connection goes on')
  for (const member of members) {
    member.send('SUBSCRIBE', { id: 'again', ...to(room) })
    t.match((await member.error()).headers, { code: 'FORBIDDEN' }, 'as a room that there never was')
  }
})
