import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { startKafka } from '../scripts/services/kafka.ts'
import type { LocalBroker } from '../scripts/services/kafka.ts'
import type { RoomId, RoomLog } from '../server/ports/room-log.ts'
import { scratch } from '../server/testkit/node.ts'
import { append, bodies, collector, newRoom, openLog, readAll } from './testkit/log.ts'
import { leaderOf } from './testkit/wire.ts'

t.setTimeout(300_000)
const kafka = await startKafka({
  brokers: 3,
  folder: join(await scratch(t), 'kafka'),
  // Its leader is another one soon after a broker has died.
  settings: { 'broker.session.timeout.ms': '3000', 'broker.heartbeat.interval.ms': '500' },
})
t.teardown(() => kafka.stop())
const REPLICATION = 3
const ROOMS = 12
const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `m${i}`)
const brokerOf = async (room: RoomId): Promise<LocalBroker> => {
  const id = await leaderOf(kafka.brokers, room)
  return kafka.nodes.find(node => node.id === id)!
}

/** Messages to each of the rooms, one by one, until told to stop; everything that was sent must then be there, once. */
const startTraffic = async (t: Test, log: RoomLog, rooms: readonly RoomId[]) => {
  const seen = rooms.map(() => collector())
  await Promise.all(rooms.map((room, i) => log.tail(room, 'end', seen[i]!.sink)))
  const sent = rooms.map(() => 0)
  const stopping = new AbortController()
  const writers = rooms.map(async (room, i) => {
    while (!stopping.signal.aborted) await append(log, room, `m${sent[i]!++}`)
  })
  return {
    /** Resolves when every room has got so many more. */
    more: (count: number) => Promise.all(seen.map(each => each.count(each.records.length + count))),
    async stop() {
      stopping.abort()
      await Promise.all(writers)
      for (const [i, room] of rooms.entries()) {
        t.same(bodies(await readAll(log, room)), numbered(sent[i]!), `${room}: each once, in order`)
        t.same(bodies(await seen[i]!.count(sent[i]!)), numbered(sent[i]!), `${room}: the tail had the same`)
      }
    },
  }
}

void t.test(
  'a leader that is killed: its rooms move, no record is lost or doubled, the others notice nothing',
  async t => {
    const { log } = await openLog(t, kafka.brokers, { replication: REPLICATION, logTimeout: 60_000 })
    const rooms = await Promise.all(Array.from({ length: ROOMS }, () => newRoom(log)))
    const traffic = await startTraffic(t, log, rooms)
    await traffic.more(20)
    const victim = await brokerOf(rooms[0]!)
    await victim.kill()
    await traffic.more(20)
    t.not(await leaderOf(kafka.brokers, rooms[0]!), victim.id)
    await victim.start()
    await traffic.more(20)
    await traffic.stop()
  },
)

void t.test('a leader that hangs: the same, and what it wakes up with does no harm', async t => {
  const { log } = await openLog(t, kafka.brokers, { replication: REPLICATION, logTimeout: 60_000 })
  const rooms = await Promise.all(Array.from({ length: ROOMS }, () => newRoom(log)))
  const traffic = await startTraffic(t, log, rooms)
  await traffic.more(20)
  const victim = await brokerOf(rooms[0]!)
  victim.signal('SIGSTOP')
  await traffic.more(20)
  victim.signal('SIGCONT')
  await traffic.more(20)
  await traffic.stop()
})

void t.test('too few copies: appends are refused after the timeout, and go on when the brokers are back', async t => {
  const { log, check } = await openLog(t, kafka.brokers, { replication: REPLICATION, logTimeout: 3_000 })
  const room = await newRoom(log)
  const seen = collector()
  await log.tail(room, 'end', seen.sink)
  await append(log, room, 'before')
  const leader = await brokerOf(room)
  const others = kafka.nodes.filter(node => node !== leader)
  await Promise.all(others.map(node => node.kill()))
  await t.rejects(append(log, room, 'alone'), { code: 'LOG_UNAVAILABLE' })
  await Promise.all(others.map(node => node.start()))
  await t.resolves(check(10_000))
  let offset: bigint | undefined
  while (offset === undefined) offset = await append(log, room, 'after').catch(() => undefined)
  const records = bodies(await readAll(log, room))
  t.equal(records[0], 'before')
  t.equal(records.at(-1), 'after')
  t.ok(records.filter(body => body === 'alone').length <= 1, 'it was left open whether it was kept')
  t.same(bodies(await seen.body('after')), records)
})
