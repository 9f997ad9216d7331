import { join } from 'node:path'
import t, { type Test } from 'tap'
import { testDatabase } from '../testkit/database.ts'
import { FleetNode } from '../testkit/fleet.ts'
import { scratch } from '../testkit/node.ts'
import type { Probe } from '../testkit/probe.ts'
import { person, productEnv, type Json, type Person } from '../testkit/product.ts'
import { ownRedis } from '../testkit/services.ts'
import { changesUntilAsked, nextEvent, watching } from './testkit/events.ts'

/** ms */
const TTL = 5_000
const LOST = 'who comes and goes is not told'
const FOUND = 'who is there is known'

const [database, redis] = await Promise.all([testDatabase(t, 'postgres'), ownRedis(t)])
const { db } = database
const start = async (): Promise<FleetNode> =>
  FleetNode.start(t, {
    ...productEnv,
    ...database.env,
    REDIS_URL: redis.url,
    PRESENCE_TTL: String(TTL),
    LOG_LEVEL: 'info',
    DATA_DIR: join(await scratch(t), 'data'),
  })
const nodes = await Promise.all([start(), start()])
const [one, two] = nodes as [FleetNode, FleetNode]

/** Somebody's connection that is told what concerns them. */
const connect = async (t: Test, who: Person, node: FleetNode): Promise<Probe> => {
  const probe = await who.connect(t, 'websocket', node)
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  return probe
}

const befriend = async (ann: Person, bob: Person): Promise<void> => {
  await ann.does(one, 'PUT', `/friend-requests/${bob.id}`)
  await bob.does(one, 'PUT', `/friend-requests/${ann.id}`)
}
const makeAdmin = async ({ id }: Person): Promise<void> => {
  await db.updateTable('users').set({ is_admin: true }).where('id', '=', id).execute()
}

/** The connections of `people`, in that order, when all of them are listed. */
const listed = async (admin: Person, people: readonly Person[]): Promise<Json[]> => {
  for (;;) {
    const { items } = await admin.does(one, 'GET', '/admin/connections')
    const found = people.flatMap(({ id }) => (items as Json[]).filter(({ user }) => user === id).slice(0, 1))
    if (found.length === people.length) return found
  }
}

void t.test('[S-69] friends on two nodes: asked, accepted, there, gone', async t => {
  const [ann, bob] = [await person(one, 'ann'), await person(two, 'bob')]
  const [atAnns, atBobs] = [await connect(t, ann, one), await connect(t, bob, two)]
  for (const probe of [atAnns, atBobs]) t.match(await nextEvent(probe, 'presence'), { known: true, online: [] })
  await ann.does(one, 'PUT', `/friend-requests/${bob.id}`)
  t.match(await nextEvent(atBobs, 'friendship'), { user: ann.id, state: 'asked' })
  t.match(await nextEvent(atBobs, 'notification'), { kind: 'requested', unread: 1 })
  await bob.does(two, 'POST', `/friend-requests/${ann.id}/accept`)
  t.match(await nextEvent(atAnns, 'friendship'), { user: bob.id, state: 'requested' })
  t.match(await nextEvent(atAnns, 'friendship'), { user: bob.id, state: 'friends' })
  t.match(await nextEvent(atAnns, 'presence'), { user: bob.id, online: true })
  t.match(await nextEvent(atBobs, 'presence'), { user: ann.id, online: true })
  t.match((await ann.does(one, 'GET', '/friends'))['items'], [{ person: { id: bob.id }, online: true }])

  const second = await connect(t, ann, two)
  t.match(await nextEvent(second, 'presence'), { known: true, online: [bob.id] })
  await second.request('DISCONNECT')
  await atBobs.request('DISCONNECT')
  t.match(await nextEvent(atAnns, 'presence'), { user: bob.id, online: false })
  const [friend] = (await ann.does(one, 'GET', '/friends'))['items'] as { lastSeen: number; online: boolean }[]
  t.equal(friend?.online, false)
  t.ok(Date.now() - friend!.lastSeen < 60_000)
})

void t.test('[S-69] [S-71] an admin sees everybody who is connected, ends one, and tells all', async t => {
  const [ann, bob] = [await person(one, 'ann'), await person(two, 'bob')]
  await makeAdmin(ann)
  const [atAnns, atBobs] = [await connect(t, ann, one), await connect(t, bob, two)]
  const [anns, bobs] = await listed(ann, [ann, bob])
  t.match(bobs, { address: /127\.0\.0\.1|::/, session: /.+/ })
  t.not(bobs?.['node'], anns?.['node'])
  await ann.does(one, 'POST', '/admin/announcements', { text: 'at noon' })
  for (const probe of [atAnns, atBobs]) t.same(await nextEvent(probe, 'announcement'), { text: 'at noon' })
  await ann.does(one, 'DELETE', `/admin/connections/${String(bobs?.['id'])}`)
  t.match((await atBobs.error()).headers, { code: 'ENDED_BY_ADMIN' })
  t.match((await ann.does(one, 'GET', '/admin/audit'))['items'], [{ act: 'disconnect' }, { act: 'announce' }])
})

void t.test('Redis killed and back: all are there as before, and nobody is told anything', async t => {
  const [ann, bob, cher] = [await person(one, 'ann'), await person(two, 'bob'), await person(one, 'cher')]
  await befriend(ann, bob)
  await makeAdmin(ann)
  const [atAnns, atBobs] = [await connect(t, ann, one), await connect(t, bob, two)]
  await nextEvent(atAnns, 'presence')
  t.match(await nextEvent(atAnns, 'presence'), { user: bob.id, online: true })
  const lines = (text: string): number[] => nodes.map(node => node.lines.filter(line => line.includes(text)).length)
  const logged = async (text: string, times: number): Promise<void> => {
    while (lines(text).some(count => count < times)) await new Promise(setImmediate)
  }
  await redis.kill()
  await logged(LOST, 1)
  const away = await ann.does(one, 'GET', '/friends')
  t.notOk('online' in (away['items'] as Json[])[0]!)
  await redis.start()
  await logged(FOUND, 2)
  await listed(ann, [ann, bob])
  t.same(await changesUntilAsked(atAnns, ann, cher, one), [])
  t.same(
    [lines(LOST), lines(FOUND)],
    [
      [1, 1],
      [2, 2],
    ],
  )
  await atBobs.request('DISCONNECT')
  t.match(await nextEvent(atAnns, 'presence'), { user: bob.id, online: false }, 'and what changes is told again')
})

void t.test('a node that is killed: whom it had is gone after the time to live, told once', async t => {
  const [ann, bob, cher] = [await person(one, 'ann'), await person(one, 'bob'), await person(one, 'cher')]
  await befriend(ann, bob)
  const atAnns = await watching(t, ann, one)
  await connect(t, bob, two)
  t.match(await nextEvent(atAnns, 'presence'), { user: bob.id, online: true })
  await two.kill()
  t.match(await nextEvent(atAnns, 'presence'), { user: bob.id, online: false })
  t.same(await changesUntilAsked(atAnns, ann, cher, one), [])
})
