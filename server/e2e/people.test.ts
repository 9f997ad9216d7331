import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ownRedis } from '../testkit/services.ts'
import { testDatabase } from '../testkit/database.ts'
import { FleetNode } from '../testkit/fleet.ts'
import { scratch } from '../testkit/node.ts'
import { Probe, type Received } from '../testkit/probe.ts'

const PASSWORD = 'correct horse battery'
/** ms */
const TTL = 5_000
const LOST = 'who comes and goes is not told'
const FOUND = 'who is there is known'

/** Two nodes on one PostgreSQL and one Redis, and what clients of them do. */
const setUp = async (t: Test) => {
  const [database, redis] = await Promise.all([testDatabase(t, 'postgres'), ownRedis(t)])
  const { db } = database
  const shared = {
    ...database.env,
    REDIS_URL: redis.url,
    SESSION_SECRET: 's'.repeat(32),
    PRESENCE_TTL: String(TTL),
    REQUESTS_PER_USER: '100000',
  }
  const common = { ...shared, ACCESS: 'accounts' }
  const start = async (): Promise<FleetNode> =>
    FleetNode.start(t, { ...common, HOST: '127.0.0.1', LOG_LEVEL: 'info', DATA_DIR: join(await scratch(t), 'data') })
  const nodes = await Promise.all([start(), start()])
  const ask = async (node: FleetNode, method: string, path: string, { token = '', body = {} } = {}) => {
    const response = await fetch(`${node.url}/api${path}`, {
      method,
      headers: { 'authorization': `Bearer ${token}`, 'content-type': 'application/json' },
      ...(method !== 'GET' && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return (text === '' ? {} : JSON.parse(text)) as Record<string, never>
  }
  /** Somebody who has signed up, in, and subscribed to what concerns them. */
  const person = async (node: FleetNode, name: string) => {
    await ask(node, 'POST', '/users', { body: { name, password: PASSWORD } })
    const signed = await ask(node, 'POST', '/session', { body: { name, password: PASSWORD, keep: 'body' } })
    const { accessToken: token, user } = signed as unknown as { accessToken: string; user: { id: string } }
    const connect = async (at = node): Promise<Probe> => {
      const probe = await Probe.connect(t, 'websocket', at, { passcode: token })
      await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
      return probe
    }
    return { id: user.id, token, connect, ask: (method: string, path: string) => ask(node, method, path, { token }) }
  }
  return { db, redis, nodes: nodes as [FleetNode, FleetNode], person, ask }
}

const jsonOf = ({ body }: Received): Record<string, unknown> => JSON.parse(body.toString()) as Record<string, unknown>

/** The next event of a type. */
const next = async (probe: Probe, type: string): Promise<Record<string, unknown>> =>
  jsonOf(await probe.take(({ headers }) => headers['type'] === type, type))

type Person = Awaited<ReturnType<Awaited<ReturnType<typeof setUp>>['person']>>

const { db, redis, nodes, person: signUp, ask } = await setUp(t)
let people = 0
/** Of a name that nobody else has. */
const person = (node: FleetNode, name: string): Promise<Person> => signUp(node, `${name}${++people}`)

const befriend = async (one: Person, other: Person): Promise<void> => {
  await one.ask('PUT', `/friend-requests/${other.id}`)
  await other.ask('PUT', `/friend-requests/${one.id}`)
}

interface Listed {
  readonly id: string
  readonly user: string
  readonly node: string
}

/** The connections of `people`, in that order, when all of them are listed. */
const listed = async (admin: Person, people: readonly Person[]): Promise<Listed[]> => {
  for (;;) {
    const { items } = (await admin.ask('GET', '/admin/connections')) as unknown as { items: Listed[] }
    const found = people.flatMap(({ id }) => items.find(({ user }) => user === id) ?? [])
    if (found.length === people.length) return found
  }
}

/** Everything about who is there that has come until somebody who has not asked yet asks for friendship. */
const presenceUntil = async (probe: Probe, whose: Person, asks: Person): Promise<unknown[]> => {
  await asks.ask('PUT', `/friend-requests/${whose.id}`)
  const seen: unknown[] = []
  for (;;) {
    const frame = await probe.take(({ headers }) => ['presence', 'friendship'].includes(headers['type'] ?? ''), 'event')
    const { user, online } = jsonOf(frame)
    if (frame.headers['type'] === 'presence') seen.push([user, online])
    else if (user === asks.id) return seen
  }
}

void t.test('[S-69] friends on two nodes: asked, accepted, there, gone', async t => {
  const [ann, bob] = [await person(nodes[0], 'ann'), await person(nodes[1], 'bob')]
  const [atAnns, atBobs] = [await ann.connect(), await bob.connect()]
  for (const probe of [atAnns, atBobs]) t.match(await next(probe, 'presence'), { known: true, online: [] })
  await ann.ask('PUT', `/friend-requests/${bob.id}`)
  t.match(await next(atBobs, 'friendship'), { user: ann.id, state: 'asked' })
  t.match(await next(atBobs, 'notification'), { kind: 'requested', unread: 1 })
  await bob.ask('POST', `/friend-requests/${ann.id}/accept`)
  t.match(await next(atAnns, 'friendship'), { user: bob.id, state: 'requested' })
  t.match(await next(atAnns, 'friendship'), { user: bob.id, state: 'friends' })
  t.match(await next(atAnns, 'presence'), { user: bob.id, online: true })
  t.match(await next(atBobs, 'presence'), { user: ann.id, online: true })
  t.match((await ann.ask('GET', '/friends'))['items'], [{ person: { id: bob.id }, online: true }])

  const second = await ann.connect(nodes[1])
  t.match(await next(second, 'presence'), { known: true, online: [bob.id] })
  await second.request('DISCONNECT')
  await atBobs.request('DISCONNECT')
  t.match(await next(atAnns, 'presence'), { user: bob.id, online: false })
  const [friend] = (await ann.ask('GET', '/friends'))['items'] as unknown as { lastSeen: number; online: boolean }[]
  t.equal(friend?.online, false)
  t.ok(Date.now() - friend!.lastSeen < 60_000)
})

void t.test('[S-69] [S-71] an admin sees everybody who is connected, ends one, and tells all', async t => {
  const [ann, bob] = [await person(nodes[0], 'ann'), await person(nodes[1], 'bob')]
  await db.updateTable('users').set({ is_admin: true }).where('id', '=', ann.id).execute()
  const [atAnns, atBobs] = [await ann.connect(), await bob.connect()]
  const [anns, bobs] = await listed(ann, [ann, bob])
  t.match(bobs, { address: /127\.0\.0\.1|::/, session: /.+/ })
  t.not(bobs?.node, anns?.node)
  await ask(nodes[0], 'POST', '/admin/announcements', { token: ann.token, body: { text: 'at noon' } as object })
  for (const probe of [atAnns, atBobs]) t.same(await next(probe, 'announcement'), { text: 'at noon' })
  await ann.ask('DELETE', `/admin/connections/${bobs!.id}`)
  t.match((await atBobs.error()).headers, { code: 'ENDED_BY_ADMIN' })
  t.match((await ann.ask('GET', '/admin/audit'))['items'], [{ act: 'disconnect' }, { act: 'announce' }])
})

void t.test('Redis killed and back: all are there as before, and nobody is told anything', async t => {
  const [ann, bob, cher] = [
    await person(nodes[0], 'ann'),
    await person(nodes[1], 'bob'),
    await person(nodes[0], 'cher'),
  ]
  await befriend(ann, bob)
  await db.updateTable('users').set({ is_admin: true }).where('id', '=', ann.id).execute()
  const [atAnns, atBobs] = [await ann.connect(), await bob.connect()]
  await next(atAnns, 'presence')
  t.match(await next(atAnns, 'presence'), { user: bob.id, online: true })
  const lines = (text: string): number[] => nodes.map(node => node.lines.filter(line => line.includes(text)).length)
  const logged = async (text: string, times: number): Promise<void> => {
    while (lines(text).some(count => count < times)) await new Promise(setImmediate)
  }
  await redis.kill()
  await logged(LOST, 1)
  const away = await ann.ask('GET', '/friends')
  t.notOk('online' in (away['items'] as unknown as object[])[0]!)
  await redis.start()
  await logged(FOUND, 2)
  await listed(ann, [ann, bob])
  t.same(await presenceUntil(atAnns, ann, cher), [])
  t.same(
    [lines(LOST), lines(FOUND)],
    [
      [1, 1],
      [2, 2],
    ],
  )
  await atBobs.request('DISCONNECT')
  t.match(await next(atAnns, 'presence'), { user: bob.id, online: false }, 'and what changes is told again')
})

void t.test('a node that is killed: whom it had is gone after the time to live, told once', async t => {
  const [ann, bob, cher] = [
    await person(nodes[0], 'ann'),
    await person(nodes[0], 'bob'),
    await person(nodes[0], 'cher'),
  ]
  await befriend(ann, bob)
  const atAnns = await ann.connect()
  await next(atAnns, 'presence')
  await bob.connect(nodes[1])
  t.match(await next(atAnns, 'presence'), { user: bob.id, online: true })
  await nodes[1].kill()
  t.match(await next(atAnns, 'presence'), { user: bob.id, online: false })
  t.same(await presenceUntil(atAnns, ann, cher), [])
})
