/**
 * The fan-out by itself, without sockets: `node scripts/bench/fanout-core.ts [seconds a scenario] [scenario…]`.
 *
 * A log in memory hands batches to the hub; its subscriptions have an outlet that counts what it gets. The share of
 * encoding is what remains of the same batches when they are only encoded, for the styles that there are.
 */
import { setImmediate as immediate } from 'node:timers/promises'
import { batchesOf } from '../../server/fanout/batch.ts'
import { Hub } from '../../server/fanout/hub.ts'
import type { Start } from '../../server/fanout/start.ts'
import { Styles, type Look, type Style } from '../../server/fanout/style.ts'
import type { Outlet } from '../../server/fanout/subscription.ts'
import type { LogRecord, RoomLog, Sink } from '../../server/ports/room-log.ts'
import { framing } from '../../server/transport/websocket.ts'

const SUBSCRIBERS = 2000
const SECONDS = Number(process.argv[2] ?? 2)
const wanted = process.argv.slice(3)

/** One room's log in memory. */
class Log implements RoomLog {
  records: LogRecord[] = []
  sink: Sink | undefined
  reads = 0
  async create(): Promise<void> {}
  async append(): Promise<never[]> {
    return []
  }
  async tail(_room: string, _from: unknown, sink: Sink): ReturnType<RoomLog['tail']> {
    this.sink = sink
    return { epoch: 'e1', next: BigInt(this.records.length), stop() {} }
  }
  async read(_room: string, from: bigint, limit: number): Promise<LogRecord[]> {
    this.reads++
    await immediate()
    return this.records.slice(Number(from), Number(from) + limit)
  }
  async bounds(): ReturnType<RoomLog['bounds']> {
    return { epoch: 'e1', first: 0n, next: BigInt(this.records.length) }
  }
  async remove(): Promise<void> {}
  make(count: number): LogRecord[] {
    return Array.from({ length: count }, (_, i) => ({
      offset: BigInt(this.records.length + i),
      time: Date.now(),
      sender: 'publisher',
      headers: new Map([['content-type', 'text/plain']]),
      body: Buffer.alloc(200, 'hoofbeat '),
    }))
  }
}

const counted = { frames: 0, bytes: 0 }
const outlet = (): Outlet => ({
  open: true,
  push: (bytes, frames) => {
    counted.frames += frames
    counted.bytes += bytes.length
  },
  whenOpen: listener => setImmediate(listener),
})
const meter = { add() {}, observe() {} }
const logger = { debug() {}, info() {}, warn() {}, error() {} }
const lookOf = (i: number, styles: number): Look => ({
  version: '1.2',
  framing,
  subscription: `sub-${i % styles}`,
  acks: false,
})
const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

const join = (hub: Hub, styles: number, start: Start, subscribers = SUBSCRIBERS): Promise<unknown> =>
  Promise.all(
    Array.from({ length: subscribers }, (_, i) =>
      hub.subscribe('room', start, { style: lookOf(i, styles), outlet: outlet(), meter, onEnd() {} }),
    ),
  )

/** Live: as many batches of `size` as the seconds let through. */
const live = async (size: number, styles: number): Promise<void> => {
  const log = new Log()
  const hub = new Hub({ log, meter, logger, recentBytes: 64 << 20 })
  await join(hub, styles, 'now')
  await immediate()
  await immediate()
  const batches: (readonly LogRecord[])[] = []
  const hand = (): void => {
    const records = log.make(size)
    log.records.length += size
    batches.push(records)
    log.sink!.records(records)
  }
  for (let i = 0; i < 20; i++) hand()
  counted.frames = batches.length = 0
  const started = performance.now()
  const cpu = cpuSeconds()
  do {
    hand()
    await immediate()
  } while (performance.now() - started < SECONDS * 1000)
  const spent = cpuSeconds() - cpu
  const seconds = (performance.now() - started) / 1000
  const { frames } = counted
  if (frames !== batches.length * size * SUBSCRIBERS) throw new Error(`${frames} delivered`)
  const encoding = encode(batches, styles)
  console.log(
    `live, batches of ${size}, ${styles} styles: ${Math.round(frames / SUBSCRIBERS / seconds)} records/s × ${SUBSCRIBERS}, ` +
      `${((spent / frames) * 1e9).toFixed(0)} ns CPU a delivery, encoding ${((encoding / spent) * 100).toFixed(0)} %`,
  )
  hub.close()
}

/** CPU seconds of only encoding. */
const encode = (batches: readonly (readonly LogRecord[])[], styles: number): number => {
  const known = new Styles()
  const all: Style[] = Array.from({ length: styles }, (_, i) => known.take(lookOf(i, styles)))
  const cpu = cpuSeconds()
  for (const records of batches) {
    for (const batch of batchesOf('room', 'e1', records)) for (const style of all) batch.bytes(style)
  }
  return cpuSeconds() - cpu
}

/** All come back at once, each with 100 missed records: from memory that one of them fills, or each from the log. */
const back = async (from: 'recent' | 'log', styles: number): Promise<void> => {
  const log = new Log()
  log.records = log.make(5000)
  const hub = new Hub({ log, meter, logger, recentBytes: from === 'log' ? 0 : 64 << 20 })
  counted.frames = 0
  const started = performance.now()
  const cpu = cpuSeconds()
  await join(hub, styles, { after: { epoch: 'e1', offset: 4899n } })
  let longest = 0
  let last = performance.now()
  while (counted.frames < SUBSCRIBERS * 100) {
    await immediate()
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }
  const ms = performance.now() - started
  console.log(
    `${SUBSCRIBERS} come back, 100 missed, from ${from}, ${styles} styles: ${ms.toFixed(0)} ms, ` +
      `${(((cpuSeconds() - cpu) / counted.frames) * 1e9).toFixed(0)} ns CPU a delivery, ${log.reads} reads, ` +
      `longest turn ${longest.toFixed(1)} ms`,
  )
  hub.close()
}

const collect = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await immediate()
  }
}

/** What recent records take in memory beside what they are taken for. */
const memory = async (size: number): Promise<void> => {
  const log = new Log()
  const hub = new Hub({ log, meter, logger, recentBytes: 64 << 20 })
  await join(hub, 1, 'now', 2)
  await immediate()
  await immediate()
  await collect()
  const before = process.memoryUsage()
  for (let i = 0; i < 200_000 / size; i++) {
    const records = log.make(size)
    log.records.length += size
    log.sink!.records(records)
  }
  await collect()
  const after = process.memoryUsage()
  const taken = after.heapUsed - before.heapUsed + (after.arrayBuffers - before.arrayBuffers)
  console.log(
    `memory of recent records in batches of ${size}: ${(taken / 2 ** 20).toFixed(0)} MiB for ` +
      `${(hub.recentBytes / 2 ** 20).toFixed(0)} MiB accounted${globalThis.gc ? '' : ' (run with --expose-gc)'}`,
  )
  hub.close()
}

const scenarios: Record<string, () => Promise<void>> = {
  'live-1': () => live(1, 1),
  'live-10': () => live(10, 1),
  'live-50': () => live(50, 1),
  'styles-1': () => live(1, SUBSCRIBERS),
  'styles-50': () => live(50, SUBSCRIBERS),
  'shared-styles': () => live(10, 200),
  'back-recent': () => back('recent', 1),
  'back-recent-styles': () => back('recent', SUBSCRIBERS),
  'back-log': () => back('log', 1),
  'memory-1': () => memory(1),
  'memory-50': () => memory(50),
}
for (const [name, run] of Object.entries(scenarios)) if (wanted.length === 0 || wanted.includes(name)) await run()
