/**
 * Readers that are slow, and what the others notice of them:
 * `node scripts/bench/slow-readers.ts [subscribers] [slow ones of them] [seconds] [rounds]`.
 *
 * One room, half of its subscribers over WebSocket, half over TCP. In turn without and with the slow ones: a third of
 * those has stopped reading, a third takes 1 KiB a second, a third has vanished without a word. Printed are the latency of the
 * others and the node's memory; then the slow ones read again, and every message of every reader is checked.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openNarrows, type Narrows } from '../../server/testkit/narrows.ts'
import { nodeArgs, runScript, ScriptError } from '../launch.ts'
import { Client } from './load/client.ts'
import { startServer, type ServerProcess } from './servers/process.ts'

const [SUBSCRIBERS = 1000, SLOW = 500, SECONDS = 30, ROUNDS = 2] = process.argv.slice(2).map(Number)
const PER_SECOND = 16
const BODY_BYTES = 16 * 1024
const ROOM = '/topic/room'
const MiB = 1024 * 1024
const say = (line: string): void => void process.stdout.write(`${line}\n`)

interface Ports {
  readonly websocket: number
  readonly tcp: number
}

/** One subscriber: what it got, in order or not. */
class Reader {
  next = 0
  wrong = 0
  readonly latencies: number[] = []
  readonly client: Client

  constructor(client: Client) {
    this.client = client
    client.onMessage = (_head, buffer, at) => {
      const [number = '', due = ''] = buffer.toString('latin1', at, at + 40).split(' ')
      if (Number(number) !== this.next) this.wrong++
      this.next = Number(number) + 1
      this.latencies.push(performance.now() - Number(due))
    }
  }

  static async join(ports: Ports, index: number): Promise<Reader> {
    const url = index % 2 === 0 ? `ws://127.0.0.1:${ports.websocket}/ws` : `tcp://127.0.0.1:${ports.tcp}`
    const reader = new Reader(await Client.connect({ url, login: `reader-${index}` }))
    await reader.client.request('SUBSCRIBE', { id: 'sub-0', destination: ROOM })
    return reader
  }
}

const joinAll = async (ports: Ports, count: number): Promise<Reader[]> => {
  const readers: Reader[] = []
  for (let i = 0; i < count; i++) readers.push(await Reader.join(ports, i))
  return readers
}

/** Readers behind a proxy on each port, as slow as it is. */
interface Group {
  readonly readers: Reader[]
  readonly narrows: readonly Narrows[]
}
const slowGroup = async (node: Ports, count: number): Promise<Group> => {
  const [websocket, tcp] = [await openNarrows(node.websocket), await openNarrows(node.tcp)]
  return { readers: await joinAll({ websocket: websocket.port, tcp: tcp.port }, count), narrows: [websocket, tcp] }
}

/** What the node's memory is, and what the system holds for all sockets of this machine: MiB. */
const memory = async (node: ServerProcess): Promise<{ rss: number; sockets: number }> => {
  const status = await readFile(`/proc/${node.pid}/status`, 'utf8')
  const sockets = await readFile('/proc/net/sockstat', 'utf8')
  return {
    rss: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024,
    sockets: (Number(/TCP:.* mem (\d+)/.exec(sockets)?.[1]) * 4096) / MiB,
  }
}

const outboxes = async ({ port }: ServerProcess): Promise<number> => {
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return Number(/^hoofbeat_outbox_bytes (\d+)/m.exec(metrics)?.[1])
}

/** Sends at an even rate; says every few seconds how much memory there is. Returns how many were sent. */
const publish = async (client: Client, node: ServerProcess): Promise<number> => {
  const padding = 'x'.repeat(BODY_BYTES - 40)
  const began = performance.now()
  let sent = 0
  for (const many = SECONDS * PER_SECOND; sent < many; sent++) {
    const due = began + (sent * 1000) / PER_SECOND
    await delay(Math.max(0, due - performance.now()))
    client.send('SEND', { destination: ROOM }, `${sent} ${due.toFixed(3)} `.padEnd(40) + padding)
    if (sent % (PER_SECOND * Math.ceil(SECONDS / 6)) !== 0) continue
    const { rss, sockets } = await memory(node)
    const waiting = (await outboxes(node)) / MiB
    const seconds = String(Math.round(sent / PER_SECOND)).padStart(3)
    say(
      `    ${seconds} s: node ${rss.toFixed(0)} MiB; outboxes ${waiting.toFixed(1)} MiB, shared bytes counted for each; ` +
        `sockets of the system ${sockets.toFixed(0)} MiB`,
    )
  }
  return sent
}

const percentile = (sorted: readonly number[], part: number): string =>
  (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN).toFixed(1)

/** Waits until all have had everything. Returns how many seconds that took. */
const caughtUp = async (readers: readonly Reader[], sent: number): Promise<number> => {
  const began = performance.now()
  while (readers.some(({ next }) => next < sent)) {
    if (performance.now() - began > 60_000) {
      throw new ScriptError(`${readers.filter(({ next }) => next < sent).length} readers did not get everything`)
    }
    await delay(20)
  }
  return (performance.now() - began) / 1000
}

/** Goes from the first phase to the last with `slow` slow readers. Returns how many messages came out of place. */
const measure = async (node: ServerProcess, ports: Ports, slow: number): Promise<number> => {
  const fast = await joinAll(ports, SUBSCRIBERS - SLOW)
  const third = Math.ceil(slow / 3)
  const [stopped, trickling, vanished] = [
    await slowGroup(ports, third),
    await slowGroup(ports, third),
    await slowGroup(ports, slow - 2 * third),
  ]
  for (const each of [...stopped.narrows, ...vanished.narrows]) each.rate = 0
  for (const each of trickling.narrows) each.rate = 1024
  for (const each of vanished.narrows) each.silent = true
  for (const { client } of vanished.readers) client.end()
  const sender = await Client.connect({ url: `ws://127.0.0.1:${ports.websocket}/ws`, login: 'sender' })
  const sent = await publish(sender, node)
  await caughtUp(fast, sent)
  const latencies = fast.flatMap(reader => reader.latencies).toSorted((a, b) => a - b)
  const [p50, p99, most] = [0.5, 0.99, 1].map(part => percentile(latencies, part))
  say(`    ${fast.length} others: p50 ${p50} ms, p99 ${p99} ms, most ${most} ms`)
  const back = [...stopped.readers, ...trickling.readers]
  const had = trickling.readers.reduce((sum, { next }) => sum + next, 0) / Math.max(1, trickling.readers.length)
  for (const each of [...stopped.narrows, ...trickling.narrows]) each.rate = Infinity
  const seconds = await caughtUp(back, sent)
  const wrong = [...fast, ...back].reduce((sum, reader) => sum + reader.wrong, 0)
  if (slow > 0) {
    say(`    at 1 KiB/s they had got ${had.toFixed(1)} of ${sent} messages by then, the stopped ones none`)
    say(`    ${back.length} slow ones, reading again, had everything after ${seconds.toFixed(1)} s`)
  }
  say(`    gaps, repeats or messages out of order, of all ${fast.length + back.length} who read: ${wrong}`)
  say(`    in the end: node ${(await memory(node)).rss.toFixed(0)} MiB`)
  for (const { client } of [...fast, ...back]) client.end()
  sender.end()
  await Promise.all([stopped, trickling, vanished].flatMap(({ narrows }) => narrows.map(each => each.close())))
  return wrong
}

const round = async (slow: number, scratch: string): Promise<number> => {
  const node = await startServer(nodeArgs, {
    PORT: '0',
    STOMP_PORT: '0',
    ACCESS: 'open',
    DATA_DIR: await mkdtemp(join(scratch, 'data-')),
    CONNECTIONS_PER_USER: '100000',
  })
  try {
    return await measure(node, { websocket: node.port, tcp: node.stompPort! }, slow)
  } finally {
    await node.stop()
  }
}

await runScript(async () => {
  const counts = [SUBSCRIBERS, SLOW, SECONDS, ROUNDS]
  if (!counts.every(count => Number.isInteger(count) && count > 0) || SLOW >= SUBSCRIBERS) {
    throw new ScriptError('Usage: node scripts/bench/slow-readers.ts [subscribers] [slow ones] [seconds] [rounds]')
  }
  const scratch = await mkdtemp(join(tmpdir(), 'hoofbeat-slow-'))
  let wrong = 0
  try {
    for (let i = 1; i <= ROUNDS; i++) {
      for (const slow of [0, SLOW]) {
        say(
          `round ${i}, ${SUBSCRIBERS - SLOW} readers${slow ? ` and ${slow} slow ones` : ' alone'}, ${PER_SECOND} messages of 16 KiB a second`,
        )
        wrong += await round(slow, scratch)
      }
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  return wrong === 0 ? 0 : 1
})
