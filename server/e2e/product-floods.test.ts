import t, { type Test } from 'tap'
import { UNREAD_BY_ACTOR } from '../people/notifications.ts'
import { testDatabase } from '../testkit/database.ts'
import { startNode } from '../testkit/node.ts'
import { makeRoom, person, productEnv, to, type Json, type Person } from '../testkit/product.ts'
import { transports, type Probe, type Received } from '../testkit/probe.ts'
import { typeOf } from './testkit/events.ts'

t.setTimeout(120_000)
/** How many messages the two exchange at least. */
const LEAST = 40
/** HTTP requests that somebody may make in a minute. */
const REQUESTS = 600
/** Connections to the database. */
const POOL = '5'
const { env } = await testDatabase(t, 'postgres')
const start = (more: Readonly<Record<string, string>> = {}) =>
  startNode(t, { ...productEnv, ...env, DATABASE_POOL: POOL, ...more })
const node = await start({ REQUESTS_PER_USER: String(REQUESTS) })
const [ann, bob, mallory] = [await person(node, 'ann'), await person(node, 'bob'), await person(node, 'mallory')]
const room = await makeRoom(node, ann, 'private', [bob, mallory])
const signals = { destination: `/signal/${room}` }

const listen = async (t: Test, who: Person, i: number, door = node): Promise<Probe> => {
  const probe = await who.connect(t, transports[i % 2]!, door)
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  await probe.request('SUBSCRIBE', { id: 'r', ...to(room) })
  await probe.request('SUBSCRIBE', { id: 's', ...signals })
  return probe
}

/**
 * Two who talk in the room while `flood` goes on there. They notice nothing of it: every message comes, in order, to both, and
 * where `typing` what is fleeting too.
 */
const undisturbed = async (t: Test, flood: () => Promise<void>, { typing = true, door = node } = {}): Promise<void> => {
  const pair = [await listen(t, ann, 0, door), await listen(t, bob, 1, door)] as const
  let over = false
  const flooding = flood().finally(() => (over = true))
  for (let n = 0; n < LEAST || !over; n++) {
    const [from, other] = n % 2 === 0 ? pair : [pair[1], pair[0]]
    await from.request('SEND', to(room), `message ${n}`)
    for (const probe of pair) {
      const said = await probe.take(frame => frame.body.toString().startsWith('message '), 'a message')
      t.equal(said.body.toString(), `message ${n}`)
    }
    // No more than they may.
    if (!typing || n % 10 !== 5 || n > LEAST) continue
    await from.request('SEND', { ...signals, type: 'typing' }, `typing ${n}`)
    await other.take(({ body }) => body.toString() === `typing ${n}`, 'typing')
  }
  await flooding
  for (const probe of pair) await probe.settled()
}

const FLOOD = 10_000
/** Sends so many signals, over both transports, and resolves when all of them were taken. */
const flooding = async (t: Test, door = node): Promise<void> => {
  const probes = await Promise.all(transports.map((_, i) => listen(t, mallory, i, door)))
  const frames = ['typing', 'read'].map(type => `SEND\ndestination:${signals.destination}\ntype:${type}\n\nx\0`)
  await Promise.all(
    probes.map(async probe => {
      for (let i = 0; i < FLOOD / 2_000; i++) probe.raw(frames.join('').repeat(500))
      await probe.settled()
    }),
  )
}

void t.test('[S-68] typing and reads without end, over the rate', t => undisturbed(t, () => flooding(t)))

void t.test('[S-68] the same where the rate lets all of it through: messages come', async t => {
  const open = await start({ SIGNALS_PER_SECOND: '1000000' })
  await undisturbed(t, () => flooding(t, open), { typing: false, door: open })
})

void t.test('[S-28] rooms of many people that are opened first at one address do not count as made there', async t => {
  const door = await start({ ROOMS_PER_MINUTE: '1' })
  const rooms: string[] = []
  for (let i = 0; i < 6; i++) rooms.push(await makeRoom(door, ann, 'private', [bob]))
  const probes = [await ann.connect(t, 'tcp', door), await bob.connect(t, 'websocket', door)] as const
  for (const [i, each] of rooms.entries()) {
    const probe = probes[i % 2]!
    if (i < 3) await probe.request('SUBSCRIBE', { id: each, ...to(each) })
    else await probe.request('SEND', to(each), 'the first')
  }
  t.pass('nobody is refused')
})

void t.test('[S-69] invitations and requests without end: what others want of somebody still comes', async t => {
  const victim = await listen(t, bob, 0)
  const news = async (type: string, from: string): Promise<Json> => {
    const isIt = ({ body, ...frame }: Received): boolean =>
      typeOf({ body, ...frame }) === type && body.toString().includes(from)
    return JSON.parse((await victim.take(isIt, type)).body.toString()) as Json
  }
  const codes = new Set<unknown>()
  await undisturbed(t, async () => {
    const rooms = Array.from({ length: 2 * UNREAD_BY_ACTOR }, (_, i) =>
      mallory.does(node, 'POST', '/rooms', { name: `room ${i}`, visibility: 'private', invite: [bob.id] }),
    )
    await Promise.all(rooms)
    for (let i = 0; i < REQUESTS; i++) {
      const { body } = await mallory.tries(node, i % 2 === 0 ? 'PUT' : 'DELETE', `/friend-requests/${bob.id}`)
      codes.add(body['code'])
    }
  })
  t.ok(codes.has('TOO_MANY_REQUESTS'))
  const unread = async (): Promise<number> => (await bob.does(node, 'GET', '/notifications/unread'))['unread'] as number
  const flooded = await unread()
  // As many as the node asks of the database at once may be more.
  t.ok(flooded >= UNREAD_BY_ACTOR && flooded <= UNREAD_BY_ACTOR + Number(POOL), `${flooded} unread ones`)
  const asked = await ann.does(node, 'POST', '/rooms', { name: 'of ann', visibility: 'private', invite: [bob.id] })
  t.match(await news('invitation', String(asked['id'])), { room: asked['id'], state: 'pending' })
  await ann.does(node, 'PUT', `/friend-requests/${bob.id}`)
  t.match(await news('friendship', ann.id), { user: ann.id, state: 'asked' })
  t.equal(await unread(), flooded + 2)
})
