import { randomUUID } from 'node:crypto'
import { addPartitionsToTxnV3, Connection, endTxnV3, findCoordinatorV4, initProducerIdV4 } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import t from 'tap'
import { memoryClaims } from '../server/drivers/memory/claims.ts'
import { openRedisClaims } from '../server/drivers/redis/claims.ts'
import type { Claims } from '../server/ports/claims.ts'
import type { Driver } from '../server/ports/driver.ts'
import { keysContract, roomLogContract, type OpenForContract } from '../server/ports/room-log.contract.ts'
import type { Position, RoomId } from '../server/ports/room-log.ts'
import { kafkaBrokers, redisUrl } from '../server/testkit/services.ts'
import { decodeBatches } from './batches.ts'
import { notYet } from './cluster.ts'
import { FetchLane } from './fetch-lane.ts'
import { packRecord } from './record.ts'
import type { PackedRecord } from './record.ts'
import type { KafkaLogOptions } from './room-log.ts'
import { RoomQueue } from './room-queue.ts'
import type { Append } from './room-queue.ts'
import { append, bodies, collector, newRoom, openLog, readAll, record, silent } from './testkit/log.ts'
import { connected, writeAs } from './testkit/wire.ts'
import { PARTITION, topicOf } from './topics.ts'
import { fetch, KafkaError, produce } from './wire.ts'

t.setTimeout(300_000)
const brokers = await kafkaBrokers(t)
const admin = new Kafka({ clientId: 'outsider', brokers: brokers.split(','), logLevel: logLevel.NOTHING }).admin()
await admin.connect()
t.teardown(() => admin.disconnect())

/** Makes the room's offsets skip one: a transaction with nothing in it leaves only its commit in the log. */
const gap = async (room: RoomId): Promise<void> => {
  const end = async (): Promise<string> => (await admin.fetchTopicOffsets(topicOf(room)))[0]!.high
  const before = await end()
  const [host, port] = brokers.split(',')[0]!.split(':')
  const connection = new Connection('outsider')
  await connection.connect(host!, Number(port))
  const id = randomUUID()
  // The coordinator of a first transaction has to be set up: until then the broker says so.
  for (;;) {
    const found = await findCoordinatorV4.api.async(connection, 1, [id]).catch(() => undefined)
    if (!found || found.coordinators[0]?.errorCode !== 0) continue
    const own = await initProducerIdV4.api.async(connection, id, 10_000).catch(() => undefined)
    if (!own) continue
    const topics = [{ name: topicOf(room), partitions: [PARTITION] }]
    const { producerId, producerEpoch } = own
    const transaction = { transactionalId: id, producerId, producerEpoch, verifyOnly: false, topics }
    await addPartitionsToTxnV3.api.async(connection, [transaction])
    await endTxnV3.api.async(connection, id, producerId, producerEpoch, true)
    break
  }
  await connection.close()
  // The commit's answer comes before the log has its mark.
  while ((await end()) === before);
}

/** What outlives the drivers of a test: the claims for each window. */
const claimsOf = (make: (window: number) => Driver<Claims>) => {
  const made = new Map<number, Driver<Claims>>()
  t.teardown(() => Promise.all(Array.from(made.values(), claims => claims.close())))
  return (idempotencyWindow = 600_000): Pick<KafkaLogOptions, 'claims' | 'idempotencyWindow'> => {
    const claims = made.get(idempotencyWindow) ?? make(idempotencyWindow)
    made.set(idempotencyWindow, claims)
    return { claims: claims.port, idempotencyWindow }
  }
}
const inMemory = claimsOf(window => memoryClaims({ window }))
const url = await redisUrl(t)
const inRedis = claimsOf(window => openRedisClaims({ url, window, timeout: 15_000, logger: silent }))
const openWith =
  (claims: typeof inMemory): OpenForContract =>
  ({ roomsMax, idempotencyWindow } = {}) =>
    openLog(t, brokers, { ...claims(idempotencyWindow), ...(roomsMax && { roomsMax }) })

roomLogContract(t, openWith(inMemory), { shared: true, gap })
void t.test('keys in Redis', async t => keysContract(t, openWith(inRedis)))

void t.test('a room that is removed does not disturb the others', async t => {
  const { log } = await openLog(t, brokers)
  const other = await openLog(t, brokers)
  const rooms = await Promise.all(Array.from({ length: 30 }, () => newRoom(log)))
  const seen = rooms.map(() => collector())
  await Promise.all(rooms.map((room, i) => log.tail(room, 'end', seen[i]!.sink)))
  const gone = rooms.slice(0, 3)
  const numbered = Array.from({ length: 40 }, (_, i) => `m${i}`)
  const appends = numbered.map(async text => {
    const results = await Promise.allSettled(rooms.map(room => append(log, room, text)))
    return results.slice(gone.length).every(({ status }) => status === 'fulfilled')
  })
  await Promise.all(gone.map(room => other.log.remove(room)))
  t.ok((await Promise.all(appends)).every(Boolean))
  for (const [i, each] of seen.entries()) {
    if (i < gone.length) t.match(await each.ended, { code: 'NO_SUCH_ROOM' })
    else t.same(bodies(await each.count(numbered.length)), numbered)
  }
})

void t.test('more than fits into one batch, or into one request, is written in several', async t => {
  const { log } = await openLog(t, brokers)
  const rooms = [await newRoom(log), await newRoom(log)]
  const large = Array.from({ length: 12 }, (_, i) => String.fromCharCode(97 + i).repeat(1024 * 1024))
  await Promise.all(large.flatMap(body => rooms.map(room => append(log, room, body))))
  for (const room of rooms) {
    t.same(
      bodies(await readAll(log, room)).map(body => [body.length, body[0]]),
      large.map(body => [body.length, body[0]]),
    )
  }
})

void t.test('after 2^31 records the numbers begin again, as the broker expects', async t => {
  const { log } = await openLog(t, brokers)
  const room = await newRoom(log)
  await connected(brokers, room, async (cluster, home) => {
    const producerId = await cluster.patiently(async () => {
      const answer = await cluster.any(initProducerIdV4.api, null, 1_000)
      if (answer.errorCode !== KafkaError.NONE) throw notYet('a producer id', answer.errorCode)
      return answer.producerId
    })
    const open = new Set<Append>()
    const queue = new RoomQueue(room, open)
    const add = (bodies: readonly string[]): Append => {
      const records = bodies.map(body => packRecord(record(body), Date.now()))
      const append = { queue, records, bytes: 0, deadline: 0, resolve() {}, reject: (error: Error) => t.error(error) }
      open.add(append)
      queue.add(append)
      return append
    }
    const write = async (): Promise<{ errorCode: number; baseOffset: bigint }> => {
      const { bytes } = queue.next(home.id, producerId, 0n)!
      const batches = [{ topic: home.topic, batch: bytes }]
      const answer = await cluster.link(home.leader, 'write').call(produce, 1_000, batches)
      return answer.responses[0]!.partitionResponses[0]!
    }
    const first = add(['long ago'])
    const batch = queue.next(home.id, producerId, 0n)!
    open.delete(first)
    const appends = [{ ...first, records: new Array<PackedRecord>(2 ** 31 - 3) }]
    queue.kept({ ...batch, appends }, home.id, 0n)
    add(['0', '1', '2', '3', '4'])
    t.match(await write(), { errorCode: 0, baseOffset: 0n })
    t.match(await write(), { errorCode: 0, baseOffset: 0n }, 'and it knows a batch that goes over the end')
    queue.kept(queue.next(home.id, producerId, 0n)!, home.id, 0n)
    add(['5'])
    t.match(await write(), { errorCode: 0, baseOffset: 5n })
    t.equal(queue.next(home.id, producerId, 0n)!.identity.sequence, 2)
    const identity = { producerId, producerEpoch: 0, sequence: 7 }
    t.equal(await writeAs(brokers, room, identity, 'x'), KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, 'it looks at them')
  })
  t.same(bodies(await readAll(log, room)), ['0', '1', '2', '3', '4', '5'])
})

void t.test('a room that somebody removed is made again by whoever creates it, as another one', async t => {
  const { log } = await openLog(t, brokers)
  const other = await openLog(t, brokers)
  const room = await newRoom(log)
  await append(log, room, 'old')
  const { epoch } = await log.bounds(room)
  await other.log.remove(room)
  await log.create([room])
  t.not((await log.bounds(room)).epoch, epoch)
  t.same(await readAll(log, room), [])
  await other.log.remove(room)
  await other.log.create([room])
  await log.create([room])
  const [position] = await log.append(room, [record('new')])
  t.same(position, { epoch: (await other.log.bounds(room)).epoch, offset: 0n })
})

void t.test(
  'a node that writes a room without following it looks now and then whether it is still the same',
  async t => {
    const { log } = await openLog(t, brokers)
    const other = await openLog(t, brokers)
    const room = await newRoom(log)
    await append(log, room, 'old')
    await other.log.remove(room)
    await other.log.create([room])
    for (const text of ['a', 'b', 'c']) await append(other.log, room, text)
    const { epoch } = await other.log.bounds(room)
    const now = Date.now
    t.teardown(() => (Date.now = now))
    Date.now = () => now() + 31_000
    let position: Position | undefined
    do [position] = await log.append(room, [record('x')])
    while (position!.epoch !== epoch)
    t.equal(position?.epoch, epoch)
  },
)

void t.test('bounds and tails of a room that somebody made again are those of its new life', async t => {
  const { log } = await openLog(t, brokers)
  const other = await openLog(t, brokers)
  const room = await newRoom(log)
  await append(log, room, 'old')
  const again = async (): Promise<string> => {
    await other.log.remove(room)
    await other.log.create([room])
    for (const text of ['a', 'b', 'c']) await append(other.log, room, text)
    return (await other.log.bounds(room)).epoch
  }
  const second = await again()
  t.same(await log.bounds(room), { epoch: second, first: 0n, next: 3n })
  const third = await again()
  t.match(await log.tail(room, 'end', collector().sink), { epoch: third, next: 3n })
  const fourth = await again()
  await log.remove(room, 1n)
  t.same(await log.bounds(room), { epoch: fourth, first: 1n, next: 3n })
})

void t.test('a room that cannot be made: the reason is in the node’s log', async t => {
  const { log, logged } = await openLog(t, brokers, { replication: 3 })
  await t.rejects(newRoom(log), { code: 'LOG_UNAVAILABLE' })
  t.ok(logged.includes('fewer brokers than a room has copies'))
  t.ok(logged.includes('Kafka refuses to make a room'))
})

void t.test('a session that the broker has given up begins anew', async t => {
  const { log } = await openLog(t, brokers)
  const room = await newRoom(log)
  await connected(brokers, room, async (cluster, home) => {
    const sessions = new Set<number>()
    const polled: (() => void)[] = []
    const lane = new FetchLane({
      async fetch(on, query) {
        const answer = await cluster.link(home.leader, on === 'tail' ? 'tail 0' : on).call(fetch, query)
        sessions.add(answer.sessionId)
        for (const each of polled.splice(0)) each()
        return answer
      },
      broken: async failures => void t.equal(failures, 1),
    })
    const offsets: bigint[] = []
    const followed = {
      id: home.id,
      position: 0n,
      answered(from: bigint, { batches }: { batches: Buffer }) {
        const { records, next } = decodeBatches(batches, from)
        offsets.push(...records.map(({ offset }) => offset))
        this.position = next
      },
    }
    lane.add(followed)
    const poll = (): Promise<void> => new Promise(resolve => polled.push(resolve))
    await append(log, room, 'one')
    while (offsets.length < 1) await poll()
    const [sessionId] = sessions
    const ended = { wait: 0, bytes: 1, wanted: [], forgotten: [], sessionId: sessionId!, sessionEpoch: -1 }
    await cluster.link(home.leader, 'read').call(fetch, ended)
    while (![...sessions].some(each => each !== 0 && each !== sessionId)) await poll()
    await append(log, room, 'two')
    while (offsets.length < 2) await poll()
    t.same(offsets, [0n, 1n])
    lane.remove(followed)
  })
})
