import { Admin } from '@platformatic/kafka'
import t from 'tap'
import type { Test } from 'tap'
import { createClient } from 'redis'
import { openRedisClaims } from '../server/drivers/redis/claims.ts'
import type { Claims } from '../server/ports/claims.ts'
import type { NewRecord, Position, RoomId, RoomLog } from '../server/ports/room-log.ts'
import { ownRedis } from '../server/testkit/services.ts'
import type { KafkaLogOptions } from './room-log.ts'
import { append, bodies, collector, newRoom, offsets, openLog, readAll, record, silent } from './testkit/log.ts'
import { proxiedKafka } from './testkit/proxied.ts'

t.setTimeout(300_000)
const TIMEOUT = 2_000
const { brokers, proxied, proxy } = await proxiedKafka(t)
const redis = await ownRedis(t)

const claimsOf = async (t: Test): Promise<Claims> => {
  const driver = openRedisClaims({ url: redis.url, window: 600_000, timeout: TIMEOUT, logger: silent })
  t.teardown(() => driver.close())
  await driver.check(10_000)
  return driver.port
}
/** A node with a connection to Redis of its own; `tamper` stands between it and its claims. */
const node = async (
  t: Test,
  options: Partial<KafkaLogOptions> & { at?: string; tamper?: (claims: Claims) => Partial<Claims> } = {},
) => {
  const { at = brokers, tamper, ...rest } = options
  const own = await claimsOf(t)
  // Its methods are those of a class.
  const bound: Claims = {
    get since() {
      return own.since
    },
    claim: (...args) => own.claim(...args),
    settle: (...args) => own.settle(...args),
    remember: (...args) => own.remember(...args),
    known: (...args) => own.known(...args),
  }
  const claims = tamper ? Object.defineProperties(bound, Object.getOwnPropertyDescriptors(tamper(own))) : bound
  return openLog(t, at, { logTimeout: TIMEOUT, claims, ...rest })
}
const keyed = (body: string, key: string, more: Partial<NewRecord> = {}): NewRecord => record(body, { key, ...more })
const send = async (log: RoomLog, room: RoomId, body: string, key: string): Promise<Position> =>
  (await log.append(room, [keyed(body, key)]))[0]!

/** A node whose connection to Kafka can be held, with a room that it knows; `claimed` resolves when it has claimed a key. */
const held = async (t: Test) => {
  const claimed = Promise.withResolvers<void>()
  const opened = await node(t, {
    at: proxied,
    tamper: own => ({
      async claim(...args) {
        const claiming = await own.claim(...args)
        claimed.resolve()
        return claiming
      },
    }),
  })
  const room = await newRoom(opened.log)
  await append(opened.log, room, 'before')
  t.teardown(() => (proxy.hold = false))
  return { ...opened, room, claimed: claimed.promise }
}
const operate = async (...command: string[]): Promise<void> => {
  const client = createClient({ url: redis.url })
  await client.connect()
  await client.sendCommand(command)
  client.destroy()
}

void t.test('a repeat on another node while the first is in flight', async t => {
  const { log, room, claimed } = await held(t)
  const other = await node(t)
  proxy.hold = true
  const first = send(log, room, 'one', 'k')
  await claimed
  const repeat = send(other.log, room, 'two', 'k')
  // Others are not held up by it.
  await other.log.append(room, [record('beside', { sender: 'bob' })])
  proxy.hold = false
  t.same(await repeat, await first)
  t.same(bodies(await readAll(log, room)), ['before', 'beside', 'one'])
})

void t.test('a repeat after the first one’s node was cut off: what that node wrote is refused as too late', async t => {
  const { log, room, claimed } = await held(t)
  const other = await node(t)
  const seen = collector()
  await other.log.tail(room, 0n, seen.sink)
  proxy.hold = true
  const first = send(log, room, 'one', 'k')
  const refused = t.rejects(first, { code: 'LOG_UNAVAILABLE' })
  await claimed
  const [repeat, behind] = await Promise.all([send(other.log, room, 'two', 'k'), append(other.log, room, 'behind')])
  await refused
  t.same(bodies(await readAll(other.log, room)), ['before', 'two', 'behind'])
  t.ok(behind > repeat.offset, 'the sender’s next one did not overtake it')
  t.ok(other.logged.includes('found out in the log what became of an idempotency key'))
  proxy.hold = false
  t.same(await send(log, room, 'three', 'k'), repeat)
  const last = await append(log, room, 'after')
  t.same(bodies(await readAll(log, room)), ['before', 'two', 'behind', 'after'])
  const { next } = await other.log.bounds(room)
  t.ok(next > 4n, 'there are barriers between them')
  t.same(bodies(await seen.body('after')), ['before', 'two', 'behind', 'after'])
  t.same(offsets(await readAll(other.log, room)), offsets(seen.records))
  t.equal(seen.records.at(-1)!.offset, last)
})

void t.test('a repeat where the first was written and nobody told of it', async t => {
  const one = await node(t, { tamper: () => ({ settle: () => Promise.reject(new Error('lost')) }) })
  const two = await node(t)
  const room = await newRoom(one.log)
  const both = await one.log.append(room, [keyed('one', 'k'), record('between'), keyed('two', 'l')])
  await append(one.log, room, 'later')
  t.ok(one.logged.includes('the outcome of a claim could not be told'))
  t.same(await two.log.append(room, [keyed('again', 'l')]), [both[2]])
  t.same(await two.log.append(room, [keyed('again', 'k')]), [both[0]], 'told of all that was written with it')
  t.equal(two.logged.filter(line => line.startsWith('found out')).length, 1)
  t.same(bodies(await readAll(two.log, room)), ['one', 'between', 'two', 'later'])
})

void t.test('several repeats at once take over once, a part of a transaction too', async t => {
  const { log, room, claimed } = await held(t)
  const others = [await node(t), await node(t)]
  proxy.hold = true
  const refused = t.rejects(log.append(room, [keyed('1', 'k'), keyed('2', 'l')]), { code: 'LOG_UNAVAILABLE' })
  await claimed
  const repeats = others.flatMap(({ log }) => [
    log.append(room, [keyed('1', 'k'), keyed('2', 'l')]),
    log.append(room, [keyed('2', 'l'), keyed('3', 'm'), keyed('1', 'k')]),
  ])
  const all = await Promise.all(repeats)
  await refused
  const [first, , third] = all as [Position[], Position[], Position[]]
  t.same(third, first)
  for (const [l, , k] of [all[1]!, all[3]!]) t.same([k, l], first)
  t.same(all[1]![1], all[3]![1])
  t.equal((await readAll(others[0]!.log, room)).length, 4)
  proxy.hold = false
})

void t.test('calls of one sender keep their order, whichever has its key first', async t => {
  const { log, room, claimed } = await held(t)
  const other = await node(t)
  proxy.hold = true
  const refused = t.rejects(send(log, room, 'x', 'k'), { code: 'LOG_UNAVAILABLE' })
  await claimed
  // All but the first have their keys at once, and too long before it is their turn.
  const calls = [
    send(other.log, room, 'one', 'k'),
    send(other.log, room, 'two', 'l'),
    append(other.log, room, 'three'),
    send(other.log, room, 'again', 'l'),
    send(other.log, room, 'four', 'm'),
  ] as const
  const bob = await other.log.append(room, [keyed('other sender', 'k', { sender: 'bob' })])
  const [one, two, , again, four] = await Promise.all(calls)
  await refused
  t.same(again, two)
  t.ok(bob[0]!.offset < one.offset && four.offset > two.offset)
  t.same(bodies(await readAll(other.log, room)), ['before', 'other sender', 'one', 'two', 'three', 'four'])
  proxy.hold = false
})

void t.test('a later call of the same sender that got the key first gives it up', async t => {
  let asked = 0
  const second = Promise.withResolvers<void>()
  const { log } = await node(t, {
    tamper: own => ({
      async claim(...args) {
        if (++asked === 1) await second.promise
        const claiming = await own.claim(...args)
        second.resolve()
        return claiming
      },
    }),
  })
  const room = await newRoom(log)
  const both = await Promise.all([send(log, room, 'one', 'k'), send(log, room, 'two', 'k')])
  t.same(both[0], both[1])
  t.same(bodies(await readAll(log, room)), ['one'])
})

void t.test('what cannot be written does not keep its key', async t => {
  const { log } = await node(t)
  const room = await newRoom(log)
  const started = performance.now()
  await t.rejects(log.append(`${room}-none`, [keyed('x', 'k')]), { code: 'NO_SUCH_ROOM' })
  await log.remove(room)
  const other = await node(t)
  await other.log.create([room])
  // What this node knows of the room is of its earlier life.
  t.same(await send(log, room, 'one', 'k'), await send(other.log, room, 'two', 'k'))
  t.ok(performance.now() - started < 60_000)
})

void t.test('a room that was made again while it is written to: its keys hold in the new life', async t => {
  const [one, two] = [await node(t), await node(t)]
  const room = await newRoom(one.log)
  for (const text of ['a', 'b']) await append(one.log, room, text)
  const { epoch } = await one.log.bounds(room)
  await two.log.remove(room)
  await two.log.create([room])
  const first = await send(one.log, room, 'one', 'k')
  t.not(first.epoch, epoch)
  t.same(await send(two.log, room, 'two', 'k'), first)
  t.same(await send(one.log, room, 'three', 'k'), first)
  t.same(bodies(await readAll(two.log, room)), ['one'])
})

for (const [how, forget] of [
  ['was emptied', () => operate('FLUSHALL')],
  ['was started again', () => redis.kill().then(() => redis.start())],
] as const) {
  void t.test(`a Redis that ${how}: keys are found in the log, looked for once`, async t => {
    const [one, two] = [await node(t), await node(t)]
    const [room, beside] = [await newRoom(one.log), await newRoom(one.log)]
    const first = await send(one.log, room, 'one', 'k')
    const there = await send(one.log, beside, 'one', 'k')
    await one.log.append(room, [keyed('by another', 'k', { sender: 'bob' })])
    await forget()
    const repeats = await Promise.all([send(two.log, room, 'x', 'k'), send(two.log, room, 'new', 'l')])
    t.same(repeats[0], first)
    t.same(await send(one.log, room, 'y', 'k'), first)
    t.same(await send(one.log, room, 'y', 'l'), repeats[1])
    t.same(bodies(await readAll(one.log, room)), ['one', 'by another', 'new'])
    const looks = (): number => [...one.logged, ...two.logged].filter(line => line.startsWith('looked back')).length
    t.equal(looks(), 1)
    // Another room that is asked for when there is nothing to wait for any more.
    const warn = ({ name }: Error): void => void t.not(name, 'TimeoutNegativeWarning')
    process.on('warning', warn)
    t.same(await send(two.log, beside, 'x', 'k'), there)
    process.off('warning', warn)
    t.equal(looks(), 2)
    // A room that is younger than the Redis needs no look back.
    const young = await newRoom(one.log)
    await Promise.all([send(one.log, young, 'z', 'k'), send(two.log, young, 'z', 'k')])
    t.equal((await readAll(two.log, young)).length, 1)
    t.equal(looks(), 2)
  })
}

void t.test('looking back over more than one answer of the broker, and over what was removed', async t => {
  const [one, two] = [await node(t), await node(t)]
  const room = await newRoom(one.log)
  const body = 'x'.repeat(600_000)
  const sent: Position[] = []
  for (const key of ['a', 'b', 'c', 'd', 'e']) sent.push(await send(one.log, room, body, key))
  await one.log.remove(room, sent[1]!.offset)
  await operate('FLUSHALL')
  const repeats = await Promise.all(['b', 'c', 'd', 'e'].map(key => send(two.log, room, 'y', key)))
  t.same(repeats, sent.slice(1))
  t.equal((await readAll(two.log, room)).length, 4)
})

void t.test('a Redis that forgets while a write is in flight', async t => {
  const { log, room, claimed } = await held(t)
  const other = await node(t)
  proxy.hold = true
  const refused = t.rejects(send(log, room, 'one', 'k'), { code: 'LOG_UNAVAILABLE' })
  await claimed
  await operate('FLUSHALL')
  const second = await send(other.log, room, 'two', 'k')
  await refused
  proxy.hold = false
  t.same(await send(log, room, 'three', 'k'), second)
  t.same(bodies(await readAll(log, room)), ['before', 'two'])
})

void t.test(
  'Redis away: what has no key goes on, unless its sender has something waiting; nothing waits without bound',
  async t => {
    const { log } = await node(t, { queueBytes: 100_000 })
    const room = await newRoom(log)
    redis.signal('SIGSTOP')
    t.teardown(() => redis.signal('SIGCONT'))
    const waiting = [send(log, room, 'ann 1'.padEnd(60_000), 'k'), append(log, room, 'ann 2')]
    await log.append(room, [record('bob', { sender: 'bob' })])
    await t.rejects(log.append(room, [record('x'.repeat(60_000), { sender: 'bob' })]), { code: 'LOG_UNAVAILABLE' })
    redis.signal('SIGCONT')
    await Promise.all(waiting)
    const texts = bodies(await readAll(log, room)).map(text => text.trim())
    t.same(texts, ['bob', 'ann 1', 'ann 2'])
  },
)

void t.test('Redis away for longer than the timeout, and back', async t => {
  const { log } = await node(t)
  const room = await newRoom(log)
  await redis.kill()
  await t.rejects(send(log, room, 'one', 'k'), { code: 'LOG_UNAVAILABLE' })
  await append(log, room, 'no key')
  // A room can be made without it.
  const another = await newRoom(log)
  await redis.start()
  await Promise.all([send(log, room, 'two', 'k'), send(log, another, 'x', 'k')])
  t.same(bodies(await readAll(log, room)), ['no key', 'two'])
})

void t.test('closing while a key is in doubt', async t => {
  const { log, room, claimed } = await held(t)
  const other = await node(t)
  proxy.hold = true
  const refused = t.rejects(send(log, room, 'one', 'k'), { code: 'LOG_UNAVAILABLE' })
  await claimed
  const pending = t.rejects(send(other.log, room, 'two', 'k'), { code: 'LOG_UNAVAILABLE' })
  const behind = t.rejects(append(other.log, room, 'behind'), { code: 'LOG_UNAVAILABLE' })
  await other.close()
  await pending
  await behind
  await refused
  proxy.hold = false
  await t.rejects(append(other.log, room, 'closed'), { code: 'LOG_UNAVAILABLE' })
})

void t.test(
  'a room whose broker takes records of any age: a repeat stays open, and does not write without end',
  async t => {
    const { log, room, claimed } = await held(t)
    const admin = new Admin({ clientId: 'operator', bootstrapBrokers: [brokers] })
    t.teardown(() => admin.close())
    await admin.incrementalAlterConfigs({
      resources: [
        {
          resourceType: 2,
          resourceName: `room.${room.replaceAll('-', '--')}`,
          configs: [{ name: 'message.timestamp.before.max.ms', configOperation: 1 }],
        },
      ],
      validateOnly: false,
    })
    const other = await node(t)
    proxy.hold = true
    const refused = t.rejects(send(log, room, 'one', 'k'), { code: 'LOG_UNAVAILABLE' })
    await claimed
    await t.rejects(send(other.log, room, 'two', 'k'), { code: 'LOG_UNAVAILABLE' })
    await refused
    t.ok((await other.log.bounds(room)).next < 30n)
    proxy.hold = false
  },
)
