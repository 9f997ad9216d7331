import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { startKafka } from '../scripts/services/kafka.ts'
import { scratch } from '../server/testkit/node.ts'
import { append, bodies, collector, newRoom, openLog, readAll, record } from './testkit/log.ts'
import { startProxy } from './testkit/proxy.ts'
import { removeBefore, writeTo } from './testkit/wire.ts'
import { PARTITION, topicOf } from './topics.ts'

t.setTimeout(300_000)
const proxy = await startProxy()
const folder = join(await scratch(t), 'kafka')
const kafka = await startKafka({
  brokers: 1,
  folder,
  settings: {
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${proxy.port}`,
    // Started again, a broker has to wait until the one that was killed counts as gone.
    'broker.session.timeout.ms': '2000',
    'broker.heartbeat.interval.ms': '500',
  },
})
t.teardown(async () => {
  await proxy.close()
  await kafka.stop()
})
const broker = kafka.nodes[0]!
proxy.target = broker.port
const brokers = `127.0.0.1:${proxy.port}`
/** The broker comes back without what the rooms had. */
const loseEnd = async (...rooms: string[]): Promise<void> => {
  await broker.kill()
  for (const room of rooms) {
    await truncate(join(folder, 'broker-1/data', `${topicOf(room)}-${PARTITION}`, '00000000000000000000.log'), 0)
  }
  await broker.start()
}
const numbered = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `m${from + i}`)

void t.test('answers that are lost neither lose nor double a record', async t => {
  const { log } = await openLog(t, brokers)
  const rooms = [await newRoom(log), await newRoom(log), await newRoom(log)]
  const seen = rooms.map(() => collector())
  await Promise.all(rooms.map((room, i) => log.tail(room, 'end', seen[i]!.sink)))
  const appends: Promise<bigint>[] = []
  let number = 0
  for (let round = 0; round < 8; round++) {
    const cut = proxy.cutNextAnswer()
    for (const text of numbered(20, number)) for (const room of rooms) appends.push(append(log, room, text))
    number += 20
    await cut
  }
  const given = await Promise.all(appends)
  for (const [i, room] of rooms.entries()) {
    t.same(bodies(await readAll(log, room)), numbered(number))
    t.same(
      given.filter((_, index) => index % rooms.length === i),
      Array.from({ length: number }, (_, offset) => BigInt(offset)),
    )
    t.same(bodies(await seen[i]!.count(number)), numbered(number))
  }
})

void t.test('a broker killed with -9 under traffic and started again: nothing lost, nothing twice', async t => {
  const { log } = await openLog(t, brokers, { logTimeout: 60_000 })
  const room = await newRoom(log)
  const seen = collector()
  await log.tail(room, 'end', seen.sink)
  const stopping = new AbortController()
  let number = 0
  const appends: Promise<bigint>[] = []
  const traffic = (async () => {
    while (!stopping.signal.aborted) {
      appends.push(append(log, room, `m${number++}`))
      await delay(2)
    }
  })()
  await seen.count(50)
  await broker.kill()
  const before = number
  await broker.start()
  const [reading] = await Promise.all([log.read(room, 0n, 10), seen.count(before + 50)])
  t.equal(reading.length, 10)
  stopping.abort()
  await traffic
  const given = await Promise.all(appends)
  t.same(bodies(await seen.count(number)), numbered(number))
  t.same(bodies(await readAll(log, room)), numbered(number))
  t.same(
    given,
    Array.from({ length: number }, (_, offset) => BigInt(offset)),
  )
})

void t.test('away for longer than the timeout: appends are refused, and none of them comes true later', async t => {
  const { log, check, logged } = await openLog(t, brokers, { logTimeout: 1_000, queueBytes: 100_000 })
  const room = await newRoom(log)
  const seen = collector()
  await log.tail(room, 'end', seen.sink)
  await append(log, room, 'before')
  proxy.hold = true
  const sent = append(log, room, 'sent, but not arrived')
  const waiting = numbered(10).map(text => append(log, room, text))
  await t.rejects(log.append(room, [record('x'.repeat(100_000))]), { code: 'LOG_UNAVAILABLE' }, 'the queue is bounded')
  for (const each of [sent, ...waiting]) await t.rejects(each, { code: 'LOG_UNAVAILABLE' })
  await t.rejects(check(200), { code: 'LOG_UNAVAILABLE' })
  const calls: Promise<unknown>[] = [
    log.read(room, 0n, 1),
    log.bounds(room),
    log.create([`${room}-more`]),
    log.remove(room, 1n),
    log.tail(room, 'end', collector().sink),
  ]
  for (const { status, ...rest } of await Promise.allSettled(calls)) {
    t.equal(status, 'rejected')
    t.match(rest, { reason: { code: 'LOG_UNAVAILABLE' } })
  }
  proxy.hold = false
  await t.resolves(check(10_000))
  let offset: bigint | undefined
  while (offset === undefined) offset = await append(log, room, 'after').catch(() => undefined)
  t.same(bodies(await seen.body('after')), ['before', 'after'])
  await Promise.all(numbered(10).map(text => append(log, room, text)))
  t.same(bodies(await readAll(log, room)), ['before', 'after', ...numbered(10)])
  t.same(bodies(await seen.count(12)), ['before', 'after', ...numbered(10)])
  t.notOk(logged.includes('the log lost its end'))
})

for (const [kept, cut] of [
  [true, proxy.cutNextAnswer],
  [false, proxy.cutNextWrite],
] as const) {
  void t.test(`a write that is refused as too late, and ${kept ? 'was' : 'was not'} kept before`, async t => {
    const logTimeout = 4_000
    const other = await openLog(t, brokers, { logTimeout })
    const room = await newRoom(other.log)
    await append(other.log, room, 'before')
    const { log, logged } = await openLog(t, brokers, { logTimeout })
    await log.bounds(room)
    // Both wait for a producer id, and leave in one batch when the proxy lets them.
    proxy.hold = true
    const early = append(log, room, 'early')
    const refused = t.rejects(early, { code: 'LOG_UNAVAILABLE' })
    await delay(logTimeout / 2)
    const late = append(log, room, 'late')
    const settled = late.then(
      () => true,
      () => false,
    )
    const gone = cut().then(() => (proxy.hold = true))
    proxy.hold = false
    await gone
    // The first of the two is too old from now on, so the batch is; the second is still waited for.
    await refused
    proxy.hold = false
    t.equal(await settled, kept)
    if (kept) t.equal(await late, 2n)
    t.ok(logged.includes("a batch reached the broker too late, or this node's clock and the broker's differ"))
    await append(log, room, 'after')
    const written = kept ? ['before', 'early', 'late', 'after'] : ['before', 'after']
    t.same(bodies(await readAll(log, room)), written)
  })
}

void t.test('of a batch that was not sent before only what is too old is refused', async t => {
  // The brokers bear less than this node does.
  const other = await openLog(t, brokers, { logTimeout: 3_000 })
  const room = await newRoom(other.log)
  const { log, logged } = await openLog(t, brokers)
  await log.bounds(room)
  proxy.hold = true
  const early = t.rejects(append(log, room, 'early'), { code: 'LOG_UNAVAILABLE' })
  const several = t.rejects(log.append(room, [record('too'), record('early')]), { code: 'LOG_UNAVAILABLE' })
  await delay(3_500)
  const late = numbered(3).map(text => append(log, room, text))
  proxy.hold = false
  await Promise.all([early, several])
  const after = await append(log, room, 'after')
  t.same([...(await Promise.all(late)), after], [0n, 1n, 2n, 3n])
  t.same(bodies(await readAll(log, room)), ['m0', 'm1', 'm2', 'after'])
  t.equal(logged.filter(line => line.startsWith('a batch reached the broker too late')).length, 1)
})

void t.test('a cluster that is away at the start is waited for', async t => {
  proxy.target = 0
  const { log, check, logged } = await openLog(t, brokers)
  await t.rejects(check(100), { code: 'LOG_UNAVAILABLE' })
  const room = newRoom(log)
  proxy.target = broker.port
  t.equal(await append(log, await room, 'x'), 0n)
  t.same(logged.slice(0, 2), ['no Kafka broker answers', 'Kafka answers again'])
})

void t.test('closing while the log is away waits for nothing', async t => {
  // For longer than this test may take.
  const { log, close } = await openLog(t, brokers, { logTimeout: 600_000 })
  const room = await newRoom(log)
  const seen = collector()
  await log.tail(room, 'end', seen.sink)
  await append(log, room, 'x')
  proxy.hold = true
  const pending = append(log, room, 'y')
  const refused = t.rejects(pending, { code: 'LOG_UNAVAILABLE' })
  proxy.target = 0
  const another = t.rejects(log.create(['another']), { code: 'LOG_UNAVAILABLE' })
  await close()
  await refused
  await another
  t.equal(await seen.ended, undefined)
  proxy.target = broker.port
  proxy.hold = false
})

void t.test('a room that another node removes and makes again while we write to it', async t => {
  const { log } = await openLog(t, brokers)
  const other = await openLog(t, brokers)
  const [room, beside] = [await newRoom(log), await newRoom(log)]
  const [seen, others] = [collector(), collector()]
  await log.tail(room, 'end', seen.sink)
  await log.tail(beside, 'end', others.sink)
  for (const text of numbered(5)) await append(log, room, text)
  const { epoch } = await log.bounds(room)
  await other.log.remove(room)
  t.match(await seen.ended, { code: 'NO_SUCH_ROOM' })
  await t.rejects(append(log, room, 'gone'), { code: 'NO_SUCH_ROOM' })
  await t.rejects(log.read(room, 0n, 1), { code: 'NO_SUCH_ROOM' })
  await other.log.create([room])
  const [position] = await log.append(room, [record('new life')])
  t.not(position!.epoch, epoch)
  t.equal(position!.offset, 0n)
  t.same(bodies(await readAll(log, room)), ['new life'])

  // Where nobody here follows the room, a place that begins anew shows it.
  for (const text of numbered(5)) await append(log, room, text)
  await other.log.remove(room)
  await other.log.create([room])
  const [again] = await log.append(room, [record('third life')])
  t.same(again, { epoch: (await other.log.bounds(room)).epoch, offset: 0n })
  await append(log, beside, 'undisturbed')
  t.same(bodies(await others.count(1)), ['undisturbed'])
})

void t.test('records that are removed before a tail had them: it ends, and says that there is a break', async t => {
  const { log } = await openLog(t, brokers)
  const room = await newRoom(log)
  const seen = collector()
  await log.tail(room, 'end', seen.sink)
  await append(log, room, 'm0')
  await seen.count(1)
  proxy.hold = true
  // Past the proxy: the poll that is out is answered with the first of these, and that answer is held.
  for (const text of numbered(9, 1)) await writeTo(broker.port, room, text)
  await removeBefore(broker.port, room, 8n)
  proxy.hold = false
  t.match(await seen.ended, { code: 'LOG_UNAVAILABLE' })
  t.same(bodies(seen.records), numbered(seen.records.length))
  const again = collector()
  t.equal((await log.tail(room, BigInt(seen.records.length), again.sink)).next, 8n)
  t.same(bodies(await again.count(2)), ['m8', 'm9'])
})

void t.test('a log that became shorter is told of, and goes on', async t => {
  const { log, logged } = await openLog(t, brokers, { logTimeout: 2_000 })
  const [room, quiet] = [await newRoom(log), await newRoom(log)]
  const seen = collector()
  await log.tail(room, 'end', seen.sink)
  for (const text of numbered(5)) await append(log, room, text)
  await append(log, quiet, 'lost')
  await seen.count(5)
  await loseEnd(room, quiet)
  t.match(await seen.ended, { code: 'LOG_UNAVAILABLE' })
  t.ok(logged.includes('the log lost its end'))
  t.same(await log.read(room, 0n, 10), [])
  const next = await append(log, room, 'new')
  t.same(bodies(await log.read(room, next, 10)), ['new'])

  // Without a tail to notice it, whoever asks is refused until the log's timeout has passed, and then told what is there.
  await t.rejects(log.read(quiet, 0n, 1), { code: 'LOG_UNAVAILABLE' })
  t.equal((await log.bounds(quiet)).next, 0n)
})
