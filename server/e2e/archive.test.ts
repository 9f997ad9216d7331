import t, { type Test } from 'tap'
import { freshPostgres } from '../testkit/database.ts'
import { startFleet, type FleetNode } from '../testkit/fleet.ts'
import { until } from '../testkit/node.ts'
import { makeRoom, person, productEnv, to, type Person } from '../testkit/product.ts'
import type { Probe } from '../testkit/probe.ts'
import { kafkaBrokers, ownPostgres, redisUrl } from '../testkit/services.ts'
import { nextEvent } from './testkit/events.ts'

t.setTimeout(240_000)

const [brokers, postgres] = await Promise.all([kafkaBrokers(t), ownPostgres(t)])
const env = {
  ...productEnv,
  DATABASE_URL: await freshPostgres(t, postgres.url),
  DATABASE_TIMEOUT: '1000',
  REDIS_URL: await redisUrl(t),
}
const startOne = async (more: Readonly<Record<string, string>> = {}): Promise<FleetNode> =>
  (await startFleet(t, 1, brokers, { ...env, ...more }))[0]!
const [one, two] = await Promise.all([startOne(), startOne()])

/** What somebody's list says of each of these rooms, in its order. */
const listed = async (node: FleetNode, who: Person, among: readonly string[]): Promise<[string, number][]> => {
  const { items } = await who.does(node, 'GET', '/rooms')
  return (items as { id: string; unread: number }[])
    .filter(({ id }) => among.includes(id))
    .map(({ id, unread }) => [id, unread])
}

/** Waits until that is what somebody's list says. */
const lists = async (t: Test, node: FleetNode, who: Person, expected: readonly [string, number][]): Promise<void> => {
  const rooms = expected.map(([id]) => id)
  await until(async () => JSON.stringify(await listed(node, who, rooms)) === JSON.stringify(expected))
  t.same(await listed(node, who, rooms), expected)
}

const say = async (probe: Probe, room: string, body: string): Promise<string> =>
  (await probe.request('SEND', to(room), body)).headers['message-id']!

void t.test('written on one node, listed by the last message, unread, mentioned and read on the other', async t => {
  const [ann, bob] = [await person(one, 'ann'), await person(two, 'bob')]
  const [first, second] = [await makeRoom(one, ann, 'private', [bob]), await makeRoom(one, ann, 'private', [bob])]
  const direct = (await ann.does(one, 'POST', '/direct-rooms', { user: bob.id }))['id'] as string
  const atAnns = await ann.connect(t, 'websocket', one)
  const bobs = [await bob.connect(t, 'tcp', two), await bob.connect(t, 'websocket', one)]
  for (const probe of bobs) await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  for (const room of [direct, second, first, direct]) await say(atAnns, room, 'hello')
  await lists(t, two, bob, [
    [direct, 2],
    [first, 1],
    [second, 1],
  ])
  const mention = await say(atAnns, second, `how are you, @${bob.name}?`)
  for (const probe of bobs) {
    const told = await probe.take(
      ({ headers, body }) => headers['type'] === 'notification' && body.includes('mentioned'),
      'a mention',
    )
    t.match(JSON.parse(told.body.toString()), { kind: 'mentioned', id: String, unread: Number })
  }
  const { items } = await bob.does(two, 'GET', '/notifications?limit=1')
  t.match(items, [{ kind: 'mentioned', subject: mention, actor: { id: ann.id }, room: second }])
  await lists(t, two, bob, [
    [second, 2],
    [direct, 2],
    [first, 1],
  ])
  await lists(t, one, ann, [
    [second, 0],
    [direct, 0],
    [first, 0],
  ])
  t.same(await bob.does(two, 'POST', `/rooms/${second}/read`, { message: mention }), { unread: 0 })
  for (const probe of bobs) t.same(await nextEvent(probe, 'read'), { room: second, message: mention, unread: 0 })
  t.match(await bob.does(one, 'GET', `/rooms/${second}`), { unread: 0 })
})

void t.test('without PostgreSQL messages go on; when it is back they are counted', async t => {
  const [ann, bob] = [await person(one, 'ann'), await person(two, 'bob')]
  const room = await makeRoom(one, ann, 'private', [bob])
  const probe = await ann.connect(t, 'tcp', one)
  await say(probe, room, 'before')
  await lists(t, two, bob, [[room, 1]])
  await postgres.kill()
  for (let i = 0; i < 20; i++) await say(probe, room, `meanwhile ${i}`)
  await postgres.start()
  for (const node of [one, two]) await until(async () => (await bob.tries(node, 'GET', '/rooms')).status === 200)
  await lists(t, two, bob, [[room, 21]])
})

void t.test(
  'a node without an archive says what it took; what it could not say is found; nothing waits for the product',
  async t => {
    const [ann, bob] = [await person(one, 'ann'), await person(two, 'bob')]
    const room = await makeRoom(one, ann, 'private', [bob])
    const [bridge, dying] = await Promise.all([startOne({ ROLES: 'bridge' }), startOne({ ROLES: 'bridge' })])
    const atBridge = await ann.connect(t, 'tcp', bridge)
    await say(atBridge, room, 'one')
    await lists(t, two, bob, [[room, 1]])
    const atDying = await ann.connect(t, 'tcp', dying)
    await say(atDying, room, 'two')
    await dying.kill()
    await lists(t, two, bob, [[room, 2]])
    await Promise.all([one.kill(), two.kill()])
    for (let i = 0; i < 20; i++) await say(atBridge, room, `meanwhile ${i}`)
    const again = await startOne({ ROLES: 'product' })
    await lists(t, again, bob, [[room, 22]])
  },
)
