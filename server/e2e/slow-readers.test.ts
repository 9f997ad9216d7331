import { join } from 'node:path'
import t from 'tap'
import { FleetNode } from '../testkit/fleet.ts'
import { startNarrows, type Narrows } from '../testkit/narrows.ts'
import { figure, figures, scratch } from '../testkit/node.ts'
import { Probe, transports } from '../testkit/probe.ts'

t.setTimeout(180_000)

const EACH = 5
const OUTBOX_BYTES = 65_536
const MESSAGES = 120
const BODY = Buffer.alloc(64 * 1024, 'x')
/** Of one connection, beside the outbox: the batch that went past its mark, and what Node.js still has to write. */
const SLACK = 2 * 65_536 + 2 * BODY.length
const destination = '/topic/room'
const numbers = Array.from({ length: MESSAGES }, (_, i) => i)

/** Subscribers of the room, half over WebSocket, half over TCP. */
const subscribe = (ports: { websocket: number; tcp: number }, count: number): Promise<Probe[]> =>
  Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const target = { port: ports.websocket, stompPort: ports.tcp }
      const probe = await Probe.connect(t, transports[i % 2]!, target, { login: 'reader' })
      await probe.request('SUBSCRIBE', { id: 's', destination })
      return probe
    }),
  )

const allOf = async (probe: Probe): Promise<number[]> => {
  probe.patience = 120_000
  return (await probe.messages(MESSAGES)).map(({ headers }) => Number(headers['n']))
}

t.test(
  '[S-45] half of a room is slow or gone: the others get everything, the node keeps little, the slow ones miss nothing',
  async t => {
    const env = { DATA_DIR: join(await scratch(t), 'data'), OUTBOX_BYTES: String(OUTBOX_BYTES), STALL_SECONDS: '600' }
    const node = await FleetNode.start(t, env)
    const at = { url: `${node.url}/` }
    const ports = { websocket: node.port, tcp: node.stompPort }
    const slow = async (): Promise<{ readers: Probe[]; narrows: Narrows[] }> => {
      const narrows = [await startNarrows(t, ports.websocket), await startNarrows(t, ports.tcp)]
      const readers = await subscribe({ websocket: narrows[0]!.port, tcp: narrows[1]!.port }, EACH)
      return { readers, narrows }
    }
    const fast = await subscribe(ports, 2 * EACH)
    const [stopped, trickling, vanished] = [await slow(), await slow(), await slow()]
    for (const each of [...stopped.narrows, ...vanished.narrows]) each.rate = 0
    for (const each of trickling.narrows) each.rate = 1024
    for (const each of vanished.narrows) each.silent = true
    for (const probe of vanished.readers) probe.end()

    const sender = await Probe.connect(t, 'tcp', node, { login: 'sender' })
    for (const n of numbers) await sender.request('SEND', { destination, n }, BODY)
    for (const probe of fast) t.same(await allOf(probe), numbers)
    const everyone = 5 * EACH + 1
    const now = await figures(at)
    t.ok(now.get('hoofbeat_outbox_bytes')! <= 3 * EACH * (OUTBOX_BYTES + SLACK), 'what waits is bounded')
    t.ok(now.get('hoofbeat_slow_subscribers_total')! >= 3 * EACH, 'all of the slow ones had to catch up')
    t.equal(now.get('hoofbeat_connections'), everyone, 'nobody was sent away')
    t.ok(stopped.readers.every(({ frames }) => frames.length === 0))

    for (const each of [...stopped.narrows, ...trickling.narrows]) each.rate = Infinity
    for (const probe of [...stopped.readers, ...trickling.readers]) t.same(await allOf(probe), numbers)
    await sender.request('SEND', { destination, n: 'live' })
    for (const probe of [...fast, ...stopped.readers, ...trickling.readers]) {
      t.equal((await probe.next('MESSAGE')).headers['n'], 'live', 'and nothing twice')
    }
    await Promise.all(vanished.narrows.map(each => each.close()))
    t.equal(await figure(at, 'hoofbeat_connections', value => value === everyone - EACH), everyone - EACH)
  },
)
