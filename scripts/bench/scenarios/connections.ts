import type { Bench } from '../bench.ts'
import { noFaults } from '../load/checker.ts'
import type { ConnectingResult } from '../load/connecting.ts'
import { atLeast, atMost, digits, shown, type Findings } from '../report/report.ts'
import { ratioOf, spreadOf } from '../report/statistics.ts'
import { collecting } from '../servers/contestants.ts'

const DESTINATION = '/topic/bench-waiting-room'
const CONNECTIONS = 5_000
const AT_ONCE = 50
const KiB = 1024

interface Measured {
  readonly idle: Record<'hoofbeat' | 'ws', number[]>
  readonly connecting: Record<'hoofbeat' | 'echo', ConnectingResult[]>
}

const idle = async (bench: Bench, measured: Measured): Promise<void> => {
  const connections = bench.options.quick ? 1_000 : CONNECTIONS
  for (const name of ['hoofbeat', 'ws'] as const) {
    const server = name === 'ws' ? await bench.peer('one-send', collecting) : await bench.node({ flags: collecting })
    const subscribed = name === 'ws' ? {} : { destination: DESTINATION }
    const { endpoint, pid } = server
    const { bytes } = await bench.generate('idle', { endpoint, pid, connections, ...subscribed })
    await server.stop()
    measured.idle[name].push(bytes)
    bench.say(`${connections} idle connections, ${name}: ${digits(bytes / KiB)} KiB each`)
  }
}

const connecting = async (bench: Bench, measured: Measured): Promise<void> => {
  const seconds = bench.options.quick ? 2 : 4
  for (const name of ['hoofbeat', 'echo'] as const) {
    const server = name === 'echo' ? await bench.peer('echo') : await bench.node()
    const { endpoint, pid } = server
    const plan = { endpoint, pid, destination: DESTINATION, echo: name === 'echo', atOnce: AT_ONCE, seconds }
    const result = await bench.generate('connecting', plan)
    await server.stop()
    measured.connecting[name].push(result)
    const { perSecond, busy, load } = result
    const shares = `${digits(busy * 100)} % of its core, generator ${digits(load * 100)} %`
    bench.say(`connecting, ${name}: ${digits(perSecond)}/s, ${shares}`)
  }
}

/** What a connection costs that only waits, and how many can come in a second. */
export const connections = async (bench: Bench): Promise<Findings> => {
  const measured: Measured = { idle: { hoofbeat: [], ws: [] }, connecting: { hoofbeat: [], echo: [] } }
  for (let run = 0; run < bench.options.runs; run++) {
    await idle(bench, measured)
    await connecting(bench, measured)
  }
  const rates = (name: 'hoofbeat' | 'echo'): number[] => measured.connecting[name].map(({ perSecond }) => perSecond)
  const kibibytes = measured.idle.hoofbeat.map(bytes => bytes / KiB)
  const core = (name: 'hoofbeat' | 'echo'): string =>
    shown(spreadOf(measured.connecting[name].map(({ busy }) => busy)), 0.01)
  const load = (name: 'hoofbeat' | 'echo'): string =>
    shown(spreadOf(measured.connecting[name].map(({ load }) => load)), 0.01)
  return {
    title: 'Connections',
    targets: [
      atMost('idle subscribed connection : bare ws connection', ratioOf(measured.idle.hoofbeat, measured.idle.ws), 2),
      atMost('idle subscribed connection', spreadOf(kibibytes), 20, ' KiB'),
      atLeast('connect + subscribe : @fastify/websocket, two echoes', ratioOf(rates('hoofbeat'), rates('echo')), 0.8),
    ],
    tables: [
      {
        title: 'Memory of a connection that waits, after garbage collection',
        rows: [
          { server: 'embedded, subscribed', KiB: shown(spreadOf(measured.idle.hoofbeat), KiB) },
          { server: 'bare ws', KiB: shown(spreadOf(measured.idle.ws), KiB) },
        ],
      },
      {
        title: `Connect, log in, subscribe, RECEIPT, leave; ${AT_ONCE} at any time`,
        rows: (['hoofbeat', 'echo'] as const).map(name => ({
          'server': name === 'echo' ? '@fastify/websocket, two echoes' : 'embedded',
          'a second': shown(spreadOf(rates(name))),
          '% of its core': core(name),
          'generator, % of its core': load(name),
        })),
      },
    ],
    notes: [],
    faults: noFaults(),
    measured,
  }
}
