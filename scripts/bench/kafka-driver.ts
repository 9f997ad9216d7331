/**
 * The room log on Kafka beside a bare client of the same library, in one run on a broker of its own:
 * `node scripts/bench/kafka-driver.ts [seconds] [rooms]`.
 *
 * Times are in milliseconds, from the call that writes a record to the moment its reader has it, in one process.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Admin, Consumer, Producer } from '@platformatic/kafka'
import { openKafkaLog } from '../../kafka/room-log.ts'
import { topicConfigs, topicOf } from '../../kafka/topics.ts'
import { memoryClaims } from '../../server/drivers/memory/claims.ts'
import type { NewRecord, RoomId, RoomLog } from '../../server/ports/room-log.ts'
import { startKafka } from '../services/kafka.ts'

const SECONDS = Number(process.argv[2] ?? 5)
const ROOMS = Number(process.argv[3] ?? 1000)
const RATES = [200, 2_000, 10_000]
const BODY = Buffer.alloc(200, 'hoofbeat ')
const silent = { debug() {}, info() {}, warn() {}, error() {} }

const record = (body: Buffer): NewRecord => ({
  sender: 'publisher',
  headers: new Map([['content-type', 'text/plain']]),
  body,
})
/** A body that says when it was written. */
const stamped = (): Buffer => {
  const body = Buffer.from(BODY)
  body.writeDoubleBE(performance.now(), 0)
  return body
}
const age = (body: Buffer): number => performance.now() - body.readDoubleBE(0)

const shown = (times: number[]): string => {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN).toFixed(2)
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} (${times.length})`
}
const print = (what: string, value: string): void => console.log(`${what.padEnd(58)} ${value}`)

/** Calls `work` at an even rate: as many in each turn as are due. */
const paced = async (perSecond: number, seconds: number, work: () => void): Promise<void> => {
  const start = performance.now()
  for (let done = 0; done < perSecond * seconds;) {
    const due = Math.floor(((performance.now() - start) / 1000) * perSecond)
    while (done < due) {
      work()
      done++
    }
    await delay(1)
  }
}

const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-bench-'))
const kafka = await startKafka({ brokers: 1, folder })
const brokers = kafka.brokers.split(',')
const open = () =>
  openKafkaLog({
    brokers,
    replication: 1,
    retentionMs: -1,
    logTimeout: 15_000,
    queueBytes: 64 * 1024 * 1024,
    roomsMax: 100_000,
    claims: memoryClaims({ window: 600_000 }).port,
    idempotencyWindow: 600_000,
    logger: silent,
  })
const driver = await open()
const log: RoomLog = driver.port
const configs = topicConfigs({ retentionMs: -1, logTimeout: 15_000, replication: 1 })
let names = 0
const newRooms = (count: number): RoomId[] => Array.from({ length: count }, () => `bench-${names++}`)

/** Publish to delivery through the driver. */
const throughDriver = async (rate: number): Promise<number[]> => {
  const [room] = newRooms(1) as [RoomId]
  await log.create([room])
  const times: number[] = []
  const tail = await log.tail(room, 'end', {
    records: batch => batch.forEach(({ body }) => times.push(age(body))),
    end() {},
  })
  const pending = new Set<Promise<unknown>>()
  await paced(rate, SECONDS, () => {
    const appended = log.append(room, [record(stamped())]).finally(() => pending.delete(appended))
    pending.add(appended)
  })
  await Promise.all(pending)
  await delay(100)
  tail.stop()
  return times
}

/** The same with the library's own producer and fetch, one batch under way at a time. */
const throughLibrary = async (rate: number): Promise<number[]> => {
  const [room] = newRooms(1) as [RoomId]
  await log.create([room])
  const topic = topicOf(room)
  const options = { clientId: 'bare', bootstrapBrokers: brokers }
  const producer = new Producer({ ...options, acks: -1 })
  const consumer = new Consumer({ ...options, groupId: 'bare' })
  const metadata = await consumer.metadata({ topics: [topic] })
  const { id } = metadata.topics.get(topic)!
  const times: number[] = []
  const stopping = new AbortController()
  let next = 0n
  const reading = (async () => {
    while (!stopping.signal.aborted) {
      const partition = {
        partition: 0,
        currentLeaderEpoch: -1,
        fetchOffset: next,
        lastFetchedEpoch: -1,
        partitionMaxBytes: 524_288,
      }
      const answer = await consumer.fetch({
        node: [...metadata.brokers.keys()][0]!,
        maxWaitTime: 1_000,
        minBytes: 1,
        maxBytes: 1_048_576,
        isolationLevel: 0,
        topics: [{ topicId: id, partitions: [partition] }],
      })
      for (const batch of answer.responses[0]?.partitions[0]?.records ?? []) {
        for (const { value, offsetDelta } of batch.records) {
          times.push(age(value!))
          next = batch.firstOffset + BigInt(offsetDelta) + 1n
        }
      }
    }
  })()
  let waiting: Buffer[] = []
  let sending: Promise<void> | undefined
  const send = async (): Promise<void> => {
    while (waiting.length > 0) {
      const messages = waiting.map(value => ({ topic, partition: 0, value, key: Buffer.from('publisher') }))
      waiting = []
      await producer.send({ messages, acks: -1 })
    }
    sending = undefined
  }
  await paced(rate, SECONDS, () => {
    waiting.push(stamped())
    sending ??= send()
  })
  await sending
  await delay(100)
  stopping.abort()
  await producer.send({ messages: [{ topic, partition: 0, value: stamped() }], acks: -1 })
  await reading
  await Promise.all([producer.close(), consumer.close(true)])
  return times.slice(0, -1)
}

/** From the call of `tail` to the first record in a room that this node did not know, while others are busy. */
const newcomers = async (): Promise<{ first: number[]; started: number[]; busy: number[]; alone: number[] }> => {
  const busyRooms = newRooms(20)
  const rooms = newRooms(50)
  await log.create([...busyRooms, ...rooms])
  const other = await open()
  let busy: number[] = []
  const sink = {
    records: (batch: readonly { body: Buffer }[]) => batch.forEach(({ body }) => busy.push(age(body))),
    end() {},
  }
  const tails = await Promise.all(busyRooms.map(room => log.tail(room, 'end', sink)))
  const traffic = (seconds: number): Promise<void> => {
    let turn = 0
    return paced(400, seconds, () => void other.port.append(busyRooms[turn++ % 20]!, [record(stamped())]))
  }
  await traffic(SECONDS)
  const alone = busy
  busy = []
  const [first, started]: number[][] = [[], []]
  const during = traffic(SECONDS)
  for (const room of rooms) {
    const start = performance.now()
    await new Promise<void>((resolve, reject) => {
      const begun = log.tail(room, 'end', { records: () => resolve(), end: reject })
      begun.then(async tail => {
        tails.push(tail)
        started!.push(performance.now() - start)
        await other.port.append(room, [record(stamped())])
      }, reject)
    })
    first!.push(performance.now() - start)
    await delay((SECONDS * 1000) / 60)
  }
  await during
  for (const tail of tails) tail.stop()
  await other.close()
  return { first: first!, started: started!, busy, alone }
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** Many rooms, followed at once: what idling costs, and the latency in one of them. */
const many = async (): Promise<void> => {
  const rooms = newRooms(ROOMS)
  print(`create ${ROOMS} rooms at once`, `${(await timed(() => log.create(rooms))).toFixed(0)} ms`)
  const times: number[] = []
  const sink = {
    records: (batch: readonly { body: Buffer }[]) => batch.forEach(({ body }) => times.push(age(body))),
    end() {},
  }
  const starting = timed(() => Promise.all(rooms.map(room => log.tail(room, 'end', sink))))
  print(`tail ${ROOMS} rooms at once`, `${(await starting).toFixed(0)} ms`)
  // The first record of a room costs the broker files.
  await Promise.all(rooms.map(room => log.append(room, [record(stamped())])))
  await delay(2_000)
  times.length = 0
  const before = process.cpuUsage()
  await delay(SECONDS * 1000)
  const { user, system } = process.cpuUsage(before)
  print(`${ROOMS} rooms tailed, idle`, `${((user + system) / 1e4 / SECONDS).toFixed(2)} % of a core`)
  const loaded = process.cpuUsage()
  await paced(200, SECONDS, () => void log.append(rooms[Math.floor(Math.random() * ROOMS)]!, [record(stamped())]))
  await delay(200)
  const used = process.cpuUsage(loaded)
  print(
    `${ROOMS} rooms tailed, 200/s over all of them`,
    `${shown(times)}, ${((used.user + used.system) / 1e4 / SECONDS).toFixed(1)} % of a core`,
  )
}

/** Making rooms, and topics by the bare client. A broker is busy with them for a while after it has answered. */
const creation = async (count: number, rounds: number): Promise<void> => {
  const admin = new Admin({ clientId: 'bare', bootstrapBrokers: brokers })
  const usable = async (rooms: readonly RoomId[]): Promise<void> => {
    const there = (room: RoomId): Promise<unknown> => log.bounds(room).catch(() => undefined)
    while (!(await Promise.all(rooms.map(there))).every(Boolean)) await delay(20)
  }
  const [driven, first, bare]: [number[], number[], number[]] = [[], [], []]
  for (let round = 0; round < rounds; round++) {
    const [rooms, others, topics] = [newRooms(count), newRooms(count), newRooms(count)]
    driven.push(await timed(() => log.create(rooms)))
    await usable(rooms)
    const partitions = { partitions: 1, replicas: 1, configs }
    bare.push(await timed(() => admin.createTopics({ topics: topics.map(topicOf), ...partitions })))
    await usable(topics)
    first.push(await timed(() => firstDelivery(others)))
  }
  const what = count === 1 ? 'one room' : `${count} rooms at once`
  print(`create ${what}`, shown(driven))
  print(`  bare createTopics of ${count}`, shown(bare))
  print(`  create ${what}, until each had a record`, shown(first))
  await admin.close()
}

const firstDelivery = async (rooms: readonly RoomId[]): Promise<void> => {
  await log.create(rooms)
  await Promise.all(
    rooms.map(
      room =>
        new Promise<void>((resolve, reject) => {
          const begun = log.tail(room, 'end', { records: () => resolve(), end: reject })
          begun.then(() => log.append(room, [record(stamped())])).catch(reject)
        }),
    ),
  )
}

try {
  await throughDriver(200)
  await throughLibrary(200)
  for (const rate of RATES) {
    for (let round = 0; round < 2; round++) {
      print(`append to tail, ${rate}/s`, shown(await throughDriver(rate)))
      print(`  library's send to fetch, ${rate}/s`, shown(await throughLibrary(rate)))
    }
  }
  const { first, started, busy, alone } = await newcomers()
  print('tail of a room new to the node, until it has started', shown(started))
  print('  and until its first record, 20 busy rooms beside it', shown(first))
  print('  the busy rooms meanwhile', shown(busy))
  print('  the busy rooms without', shown(alone))
  await creation(1, 20)
  await creation(100, 5)
  await many()
} finally {
  await driver.close()
  await kafka.stop()
  await rm(folder, { recursive: true, force: true })
}
