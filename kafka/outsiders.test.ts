import { spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { CompressionTypes, Kafka, logLevel } from 'kafkajs'
import type { Message, Producer } from 'kafkajs'
import t from 'tap'
import type { Test } from 'tap'
import { kafkaBrokers } from '../server/testkit/services.ts'
import { append, bodies, collector, newRoom, offsets, openLog, readAll, record } from './testkit/log.ts'
import { firstProducerId, writeAs } from './testkit/wire.ts'
import { topicOf } from './topics.ts'

t.setTimeout(300_000)
const brokers = await kafkaBrokers(t)
const kafka = new Kafka({ clientId: 'outsider', brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const admin = kafka.admin()
await admin.connect()
t.teardown(() => admin.disconnect())

const outsider = async (t: Test, options = {}): Promise<Producer> => {
  const producer = kafka.producer({ allowAutoTopicCreation: false, ...options })
  await producer.connect()
  t.teardown(() => producer.disconnect())
  return producer
}
const MiB = 1024 * 1024

void t.test('a service of one’s own reads and writes rooms with kafkajs', async t => {
  const { log } = await openLog(t, brokers)
  const room = await newRoom(log)
  const seen = collector()
  await log.tail(room, 'end', seen.sink)
  const sent = record('from a client', {
    sender: '앤',
    headers: new Map([
      ['content-type', 'text/plain'],
      ['hb-x', 'y'],
    ]),
    key: 'k1',
  })
  await log.append(room, [sent])
  const producer = await outsider(t)
  await producer.send({
    topic: topicOf(room),
    messages: [{ key: 'bot', value: 'from a service', headers: { 'content-type': 'text/plain' } }],
  })
  const [first, second] = await seen.count(2)
  t.same([...first!.headers], [...sent.headers])
  t.match(second, { sender: 'bot', offset: 1n })
  t.equal(second!.body.toString(), 'from a service')
  t.same([...second!.headers], [['content-type', 'text/plain']])

  const consumer = kafka.consumer({ groupId: `service-${randomUUID()}` })
  t.teardown(() => consumer.disconnect())
  await consumer.connect()
  await consumer.subscribe({ topic: topicOf(room), fromBeginning: true })
  const read = await new Promise<{ key: string; value: string; headers: string[] }[]>(resolve => {
    const messages: { key: string; value: string; headers: string[] }[] = []
    void consumer.run({
      eachMessage: async ({ message: { key, value, headers } }) => {
        const pairs = Object.entries(headers ?? {}).map(([name, value]) => `${name}=${String(value)}`)
        messages.push({ key: String(key), value: String(value), headers: pairs })
        if (messages.length === 2) resolve(messages)
      },
    })
  })
  t.same(read, [
    { key: '앤', value: 'from a client', headers: ['content-type=text/plain', 'hb-.hb-x=y', 'hb-key=k1'] },
    { key: 'bot', value: 'from a service', headers: ['content-type=text/plain'] },
  ])
})

void t.test('the example of the README runs as it is', async t => {
  const { log } = await openLog(t, brokers)
  const room = await newRoom(log)
  const seen = collector()
  await log.tail(room, 'end', seen.sink)
  const readme = await readFile(join(import.meta.dirname, 'README.md'), 'utf8')
  const example = /```js\n(.*?)```/s
    .exec(readme)![1]!
    .replace('room.general', topicOf(room))
    .replaceAll('greeter', room)
  const service = spawn(process.execPath, ['--input-type=module', '-e', example], {
    cwd: join(import.meta.dirname, '..'),
    env: { ...process.env, KAFKA_BROKERS: brokers },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.teardown(() => service.kill())
  await log.append(room, [record('hello', { sender: 'ann' })])
  const [, answer] = await seen.count(2)
  t.equal(answer!.body.toString(), 'hello ann')
  t.same([...answer!.headers], [['content-type', 'text/plain']])
  const printed: string[] = []
  for await (const line of createInterface({ input: service.stdout })) {
    // The rest is kafkajs's own log.
    if (/^\d/.test(line) && printed.push(line) === 2) break
  }
  t.same(printed, ['0 ann: hello', `1 ${room}: hello ann`])
})

void t.test('what an outsider writes, however malformed, does no harm', async t => {
  const { log } = await openLog(t, brokers)
  const [room, other] = [await newRoom(log), await newRoom(log)]
  const [seen, beside] = [collector(), collector()]
  await log.tail(room, 'end', seen.sink)
  await log.tail(other, 'end', beside.sink)
  const bad = Buffer.from([0xff, 0xfe, 0x00])
  const messages: Message[] = [
    { value: null },
    { key: null, value: 'no key' },
    { key: bad, value: bad, headers: { bad, fine: 'yes' } },
    { value: 'twice', headers: { twice: ['first', 'second'] } },
    {
      value: 'reserved',
      headers: { 'destination': '/topic/elsewhere', 'message-id': 'x', 'hb-key': 'k', '': 'empty' },
    },
    { value: randomBytes(3 * MiB) },
    { value: 'old', timestamp: String(Date.now() - 5_000) },
    { value: 'ahead', timestamp: String(Date.now() + 60_000) },
  ]
  const producer = await outsider(t)
  for (const message of messages) await producer.send({ topic: topicOf(room), messages: [message] })
  await producer.send({ topic: topicOf(room), compression: CompressionTypes.GZIP, messages: [{ value: 'small' }] })
  await producer.send({ topic: topicOf(other), messages: [{ value: 'beside' }] })
  const records = await seen.count(9)
  t.same(
    records.map(({ sender, headers }) => [sender, [...headers]]),
    [
      ['', []],
      ['', []],
      ['', [['fine', 'yes']]],
      ['', [['twice', 'first']]],
      [
        '',
        [
          ['destination', '/topic/elsewhere'],
          ['message-id', 'x'],
          ['', 'empty'],
        ],
      ],
      ['', []],
      ['', []],
      ['', []],
      ['', []],
    ],
  )
  t.equal(records[0]!.body.length, 0)
  t.ok(records[2]!.body.equals(bad))
  t.equal(records[5]!.body.length, 3 * MiB)
  t.same(offsets(await readAll(log, room)), offsets(records))
  t.same(bodies(await beside.count(1)), ['beside'])
})

void t.test('a transaction that an outsider leaves open hides nothing; its end is not a record', async t => {
  const { log } = await openLog(t, brokers)
  const room = await newRoom(log)
  const seen = collector()
  await log.tail(room, 'end', seen.sink)
  const producer = await outsider(t, { transactionalId: randomUUID(), idempotent: true, maxInFlightRequests: 1 })
  const open = await producer.transaction()
  await open.send({ topic: topicOf(room), messages: [{ value: 'in the transaction' }] })
  const offset = await append(log, room, 'acknowledged')
  t.same(bodies(await seen.count(2)), ['in the transaction', 'acknowledged'])
  t.equal((await log.bounds(room)).next, offset + 1n)
  t.same(bodies(await log.read(room, offset, 10)), ['acknowledged'])
  const late = collector()
  t.equal((await log.tail(room, 'end', late.sink)).next, offset + 1n)
  await open.commit()
  const aborted = await producer.transaction()
  await aborted.send({ topic: topicOf(room), messages: [{ value: 'taken back' }] })
  await aborted.abort()
  const last = await append(log, room, 'after')
  t.ok(last > offset + 2n, 'commit and abort have offsets of their own')
  t.same(bodies(await late.body('after')), ['taken back', 'after'])
  t.same(bodies(await seen.body('after')), ['in the transaction', 'acknowledged', 'taken back', 'after'])
  t.same(bodies(await readAll(log, room)), bodies(seen.records))
})

void t.test('the broker refuses a write that comes later than the log’s timeout', async t => {
  const { log } = await openLog(t, brokers, { logTimeout: 1_000 })
  const room = await newRoom(log)
  const producer = await outsider(t, { retry: { retries: 0 } })
  const late = { topic: topicOf(room), messages: [{ value: 'late', timestamp: String(Date.now() - 2_000) }] }
  await t.rejects(producer.send(late), /timestamp of the message is out of acceptable range/)
  t.same(await readAll(log, room), [])
})

void t.test('a node whose clock is behind says so, and its appends are rejected', async t => {
  const { log, logged } = await openLog(t, brokers, { logTimeout: 1_000 })
  const room = await newRoom(log)
  const now = Date.now
  t.teardown(() => (Date.now = now))
  Date.now = () => now() - 5_000
  await t.rejects(append(log, room, 'late'), { code: 'LOG_UNAVAILABLE' })
  Date.now = now
  t.ok(logged.includes("a batch reached the broker too late, or this node's clock and the broker's differ"))
  t.equal(await append(log, room, 'in time'), 0n)
})

void t.test(
  'a room whose topic takes only small batches is written in such; what is too large alone is refused',
  async t => {
    const { log } = await openLog(t, brokers)
    const room = `small-${randomUUID()}`
    const configEntries = [{ name: 'max.message.bytes', value: '20000' }]
    await admin.createTopics({
      topics: [{ topic: topicOf(room), numPartitions: 1, replicationFactor: 1, configEntries }],
    })
    await log.create([room])
    await append(log, room, 'first')
    const texts = Array.from({ length: 50 }, (_, i) => `${i} ${'x'.repeat(2000)}`)
    const large = log.append(room, [record('y'.repeat(30_000))])
    large.catch(() => undefined)
    await Promise.all(texts.map(text => append(log, room, text)))
    await t.rejects(large, { code: 'FRAME_TOO_LARGE' })
    t.same(bodies(await readAll(log, room)), ['first', ...texts])
  },
)

void t.test('a topic that cannot be written at all rejects, and others are not disturbed', async t => {
  const { log, logged } = await openLog(t, brokers)
  const [room, other] = [`compacted-${randomUUID()}`, await newRoom(log)]
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }]
  await admin.createTopics({
    topics: [{ topic: topicOf(room), numPartitions: 1, replicationFactor: 1, configEntries }],
  })
  const refused = log.append(room, [record('without a key', { sender: '' })])
  await Promise.all([t.rejects(refused, { code: 'LOG_UNAVAILABLE' }), append(log, other, 'beside')])
  t.ok(logged.includes('the broker refuses a batch'))
  t.equal(await append(log, room, 'with a key'), 0n)
})

void t.test('somebody who writes under our producer id locks us out for a moment only', async t => {
  const { log } = await openLog(t, brokers)
  const room = await newRoom(log)
  await append(log, room, 'one')
  const producerId = await firstProducerId(brokers, room)
  t.equal(await writeAs(brokers, room, { producerId, producerEpoch: 7, sequence: 0 }, 'stolen'), 0)
  await append(log, room, 'two')
  await Promise.all(['three', 'four'].map(text => append(log, room, text)))
  t.same(bodies(await readAll(log, room)), ['one', 'stolen', 'two', 'three', 'four'])
})
