import t, { type Test } from 'tap'
import type { LocalPostgres } from '../../scripts/services/postgres.ts'
import { Keys } from '../accounts/keys.ts'
import { derive } from '../accounts/secret.ts'
import { ACCESS_FOR, signAccess } from '../accounts/tokens.ts'
import { openDatabase } from '../database/database.ts'
import { freshPostgres, silent } from '../testkit/database.ts'
import { startFleet, type FleetNode } from '../testkit/fleet.ts'
import { until } from '../testkit/node.ts'
import {
  call,
  makeRoom,
  PASSWORD,
  person,
  productEnv,
  removal,
  said,
  to,
  type Json,
  type Person,
} from '../testkit/product.ts'
import { Probe } from '../testkit/probe.ts'
import { kafkaBrokers, ownPostgres, ownRedis, redisUrl } from '../testkit/services.ts'
import { Follower, Sender } from '../testkit/traffic.ts'
import { changesUntilAsked, watching } from './testkit/events.ts'

t.setTimeout(240_000)
/** How many more messages show that a chat goes on. */
const MORE = 40

/** Two nodes on a PostgreSQL and a Redis of their own, and two people who chat in a room all the time, one on each. */
const setUp = async (t: Test) => {
  const [brokers, postgres, redis] = await Promise.all([kafkaBrokers(t), ownPostgres(t), ownRedis(t)])
  const env = { DATABASE_URL: await freshPostgres(t, postgres.url), REDIS_URL: redis.url, DATABASE_TIMEOUT: '1000' }
  const nodes = await startFleet(t, 2, brokers, { ...productEnv, ...env })
  const [one, two] = nodes as [FleetNode, FleetNode]
  const [ann, bob, cem] = [await person(one, 'ann'), await person(two, 'bob'), await person(one, 'cem')]
  const room = await makeRoom(one, ann, 'private', [bob, cem])
  const clientOf = (who: Person, node: FleetNode) => ({
    transport: node === one ? ('websocket' as const) : ('tcp' as const),
    nodes: () => [node],
    room,
    login: who.name,
    passcode: who.token,
  })
  const readers = [new Follower(t, clientOf(ann, one)), new Follower(t, clientOf(bob, two))]
  await Promise.all(readers.map(({ subscribed }) => subscribed))
  const senders = [new Sender(t, clientOf(ann, one)), new Sender(t, clientOf(bob, two))]
  return { postgres, redis, env, one, two, ann, bob, cem, room, readers, senders }
}
type Chat = Awaited<ReturnType<typeof setUp>>

/** Resolves when both have said so much more. */
const goesOn = async ({ senders }: Chat): Promise<void> => {
  await Promise.all(senders.map(sender => sender.until(sender.acknowledged.size + MORE)))
}

/** Ends the chat: nobody was interrupted, and both have had all that was acknowledged once, in one order. */
const nothingLost = async (t: Test, { senders, readers, ann, one, room }: Chat): Promise<void> => {
  await Promise.all(senders.map(sender => sender.stop()))
  const last = await ann.connect(t, 'tcp', one)
  await last.request('SEND', to(room), 'the end')
  await Promise.all(readers.map(reader => reader.until('the end')))
  for (const reader of readers) reader.stop()
  const [first, second] = readers as [Follower, Follower]
  const common = first.ids.indexOf(second.ids[0]!)
  const shared =
    common < 0
      ? [first.ids, second.ids.slice(second.ids.indexOf(first.ids[0]!))]
      : [first.ids.slice(common), second.ids]
  t.same(shared[0], shared[1], 'one order')
  for (const [i, { acknowledged, refused }] of senders.entries()) {
    t.equal(refused, 0, 'no SEND was refused')
    for (const reader of readers) {
      const got = new Set(reader.ids)
      t.equal(got.size, reader.ids.length, 'nothing came twice')
      t.same(
        [...acknowledged.values()].filter(id => !got.has(id)),
        [],
        `all of ${acknowledged.size} of sender ${i} came`,
      )
    }
  }
  for (const reader of readers) t.equal(reader.resumed, 0, 'no connection ended')
}

/** Renames the room as fast as it is answered, through whatever happens. */
class Renaming {
  /** Names that were acknowledged. */
  readonly done: string[] = []
  /** What else was answered. */
  readonly refusals = new Set<string>()
  readonly #ended: Promise<void>
  #waiting: (() => void)[] = []
  #stopped = false

  constructor({ ann, one, room }: Chat) {
    this.#ended = this.#run(ann, one, room)
  }

  async #run(ann: Person, node: FleetNode, room: string): Promise<void> {
    for (let n = 0; !this.#stopped; n++) {
      const name = `name ${n}`
      const { status, body } = await ann.tries(node, 'PATCH', `/rooms/${room}`, { name })
      if (status === 200) this.done.push(name)
      else this.refusals.add(`${status} ${String(body['code'])}`)
      for (const look of this.#waiting.splice(0)) look()
    }
  }

  /** Resolves when `condition` holds, looked at after each answer. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  stop(): Promise<void> {
    this.#stopped = true
    return this.#ended
  }
}

const renamed = (name: string): string => JSON.stringify({ event: 'renamed', name })

/** Resolves when the node says that it is ready, and that it has found out that its database is there. */
const isBack = async (node: FleetNode, who: Person): Promise<void> => {
  while ((await node.ready()) !== 200);
  while ((await who.tries(node, 'GET', '/me')).status !== 200);
}

const refusal = async (probe: Probe, command: string, headers: Record<string, string>): Promise<unknown> => {
  probe.send(command, { receipt: 'no', ...headers })
  return (await probe.error()).headers['code']
}

/** Kills PostgreSQL, and sees who is served meanwhile. */
const withoutDatabase = async (t: Test, chat: Chat, postgres: LocalPostgres, renaming: Renaming): Promise<void> => {
  const { cem, room, one, two } = chat
  await postgres.kill()
  await goesOn(chat)
  await renaming.until(() => renaming.refusals.size > 0)
  for (const node of [one, two]) {
    t.equal(
      await refusal(await cem.connect(t, 'tcp', node), 'SUBSCRIBE', { id: 'r', ...to(room) }),
      'DATABASE_UNAVAILABLE',
    )
    t.equal(await refusal(await cem.connect(t, 'websocket', node), 'SEND', to(room)), 'DATABASE_UNAVAILABLE')
    const away = { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } }
    t.match(await cem.tries(node, 'GET', '/rooms'), away)
    t.match(
      await call(node, 'POST', '/api/session', { body: { name: 'cem', password: 'correct horse', keep: 'body' } }),
      away,
    )
    // An answer of the last second counts as a sign of life.
    await until(async () => (await node.ready()) === 503)
    const ready = await call(node, 'GET', '/health/ready')
    t.match(ready, { status: 503, body: { checks: { database: 'the database cannot be reached', log: 'ok' } } })
  }
  await goesOn(chat)
}

void t.test('PostgreSQL killed and back, under load', async t => {
  const chat = await setUp(t)
  const { postgres, ann, cem, one, two, room, readers } = chat
  const renaming = new Renaming(chat)
  await goesOn(chat)
  await renaming.until(() => renaming.done.length > 5)
  for (let i = 0; i < 2; i++) {
    await withoutDatabase(t, chat, postgres, renaming)
    await postgres.start()
    await Promise.all([isBack(one, cem), isBack(two, cem)])
    const before = renaming.done.length
    await renaming.until(() => renaming.done.length > before + 5)
  }
  await renaming.stop()
  t.same([...renaming.refusals], ['503 DATABASE_UNAVAILABLE'])
  const late = await cem.connect(t, 'tcp', two)
  await late.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  await late.request('SUBSCRIBE', { id: 'r', ...to(room) })
  await ann.does(one, 'DELETE', `/rooms/${room}/members/${cem.id}`)
  t.equal(await removal(late), room, 'rights end again')
  await Promise.all(readers.map(reader => reader.until(renamed(renaming.done.at(-1)!))))
  await nothingLost(t, chat)
  for (const { bodies } of readers) {
    const seen = [...new Set(bodies)].filter(body => body.startsWith('{"event":"renamed"'))
    const wanted = new Set(renaming.done.map(renamed))
    t.same(
      seen.filter(body => wanted.has(body)),
      [...wanted],
      'the log has every name that was acknowledged, in order',
    )
  }
})

/** What is left of a token that is to end while PostgreSQL is away, ms. */
const LEFT = 8_000

void t.test('PostgreSQL away: who was let in chats on until their token ends, and gets no other', async t => {
  const [brokers, postgres] = await Promise.all([kafkaBrokers(t), ownPostgres(t)])
  const env = { ...productEnv, DATABASE_URL: postgres.url, DATABASE_TIMEOUT: '1000', REDIS_URL: await redisUrl(t) }
  const [one, two] = (await startFleet(t, 2, brokers, env)) as [FleetNode, FleetNode]
  const [ann, bob] = [await person(one, 'ann'), await person(two, 'bob')]
  const room = await makeRoom(one, ann, 'private', [bob])
  const signIn = { name: ann.name, password: PASSWORD, keep: 'body' }
  const { refreshToken } = (await call(one, 'POST', '/api/session', { body: signIn })).body
  const database = await openDatabase({ ...env, DATA_DIR: '', DATABASE_POOL: 1, DATABASE_TIMEOUT: 5_000 }, silent)
  const { sealing } = derive(env.SESSION_SECRET)
  const keys = new Keys({ db: database.db, sealing, logger: silent, now: Date.now })
  const { token } = await signAccess(keys, { user: ann.id, session: ann.session }, Date.now() - ACCESS_FOR + LEFT)
  await database.close()

  const [ending, staying] = [
    await Probe.connect(t, 'tcp', two, { passcode: token }),
    await bob.connect(t, 'websocket', one),
  ]
  for (const probe of [ending, staying]) {
    await probe.request('SUBSCRIBE', { id: 'r', ...to(room) })
    await probe.request('SEND', to(room), 'hello')
  }
  await postgres.kill()
  for (const node of [one, two]) await until(async () => (await node.ready()) === 503)
  let sent = 0
  await t.rejects(async () => {
    for (;;) {
      await ending.request('SEND', to(room), `message ${sent}`)
      sent++
    }
  })
  t.match((await ending.error()).headers, { code: 'TOKEN_EXPIRED' })
  t.ok(sent > 0, `${sent} messages were sent without the database`)
  const away = { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } }
  t.match(await call(two, 'POST', '/api/session/refresh', { body: { refreshToken } }), away)
  await staying.request('SEND', to(room), 'still here')
  const heard = (await said(staying, 'still here')).filter(body => body.startsWith('message '))
  t.same(
    heard.slice(0, sent),
    Array.from({ length: sent }, (_, i) => `message ${i}`),
    'all that was acknowledged, once',
  )
  t.ok(heard.length <= sent + 1, 'and after that at most the one that was under way')
})

void t.test('Redis killed and back, under load', async t => {
  const chat = await setUp(t)
  const { redis, env, ann, bob, cem, one, two, room } = chat
  await ann.does(one, 'PUT', `/friend-requests/${bob.id}`)
  await bob.does(two, 'POST', `/friend-requests/${ann.id}/accept`)
  const guest = await cem.connect(t, 'tcp', two)
  await guest.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  await guest.request('SUBSCRIBE', { id: 's', destination: `/signal/${room}` })
  await guest.request('SUBSCRIBE', { id: 'r', ...to(room) })
  const friend = await watching(t, ann, one)
  await goesOn(chat)
  const database = await openDatabase({ ...env, DATA_DIR: '', DATABASE_POOL: 1, DATABASE_TIMEOUT: 5_000 }, silent)
  await database.db.updateTable('users').set({ is_admin: true }).where('id', '=', bob.id).execute()
  await database.close()

  await redis.kill()
  await goesOn(chat)
  await friend.request('SEND', { destination: `/signal/${room}`, type: 'typing' })
  t.match(await ann.does(one, 'GET', '/rooms'), { items: [{ id: room }] })
  const again = await bob.again(two)
  t.notOk('online' in ((await again.does(two, 'GET', '/friends'))['items'] as Json[])[0]!, 'who is there is not known')
  t.match(await again.tries(two, 'GET', `/presence?user=${ann.id}`), {
    status: 503,
    body: { code: 'PRESENCE_UNAVAILABLE' },
  })
  const asAdmin = (path: string, body?: object) => bob.tries(one, body ? 'POST' : 'DELETE', `/admin/${path}`, body)
  for (const asked of [asAdmin('connections/some'), asAdmin('announcements', { text: 'at noon' })]) {
    t.match(await asked, { status: 503, body: { code: 'PRESENCE_UNAVAILABLE' } }, 'not every node would hear it')
  }
  t.same(await bob.does(one, 'GET', '/admin/audit'), { items: [] })
  await ann.does(one, 'DELETE', `/rooms/${room}/members/${cem.id}`)
  t.equal(await removal(guest), room, 'rights end on the other node without it')
  for (const node of [one, two]) t.equal(await node.ready(), 200)
  await goesOn(chat)

  const known = (): number[] =>
    [one, two].map(({ lines }) => lines.filter(line => line.includes('who is there is known')).length)
  const before = known()
  await redis.start()
  while (known().some((count, i) => count <= before[i]!)) await goesOn(chat)
  while ((await again.tries(two, 'GET', `/presence?user=${ann.id}`)).status !== 200);
  t.same(await changesUntilAsked(friend, ann, cem, one), [], 'nobody is told that others are there')
  t.notOk(
    guest.frames.some(({ headers }) => headers['type'] === 'typing'),
    'what was fleeting is gone',
  )
  await nothingLost(t, chat)
})
