import type { Bench } from '../bench.ts'
import { addFaults, noFaults } from '../load/checker.ts'
import type { ManyRoomsResult } from '../load/many-rooms.ts'
import { atMost, digits, shown, type Findings, type Row, type Target } from '../report/report.ts'
import { spreadOf } from '../report/statistics.ts'

const SIZES = [100, 1_000, 5_000]
/** The size that has something to reach. */
const PLANNED = 1_000
const PER_SECOND = 200

/** One node on Kafka that follows more and more rooms. */
export const manyRooms = async (bench: Bench): Promise<Findings> => {
  const { runs, quick } = bench.options
  const brokers = await bench.brokers()
  const measured = new Map<number, ManyRoomsResult[]>()
  const faults = noFaults()
  for (const rooms of quick ? SIZES.slice(0, 2) : SIZES) {
    const results: ManyRoomsResult[] = []
    for (let run = 0; run < runs; run++) {
      const env = { SUBSCRIPTIONS: '10000' }
      const node = await bench.node({ brokers, env })
      const plan = { endpoint: node.endpoint, pid: node.pid, rooms, perSecond: PER_SECOND, seconds: quick ? 2 : 5 }
      const result = await bench.generate('manyRooms', plan)
      await node.stop()
      addFaults(faults, result.faults)
      results.push(result)
      bench.say(
        `${rooms} rooms: ready after ${digits(result.ready)} s, idle ${digits(result.idle * 100)} %, at ${PER_SECOND}/s ` +
          `p50 ${digits(result.latency.p50)}, p99 ${digits(result.latency.p99)} ms, ${digits(result.busy * 100)} %`,
      )
    }
    measured.set(rooms, results)
  }
  const targets: Target[] = []
  const rows: Row[] = []
  for (const [rooms, results] of measured) {
    const of = (figure: (result: ManyRoomsResult) => number) => spreadOf(results.map(figure))
    const [p50, idle] = [of(({ latency }) => latency.p50), of(({ idle }) => idle * 100)]
    if (rooms === PLANNED) {
      targets.push(atMost(`${rooms} rooms, ${PER_SECOND}/s over all of them, p50`, p50, 10, ' ms'))
      targets.push(atMost(`${rooms} rooms, CPU of the idle node`, idle, 2, ' %'))
    }
    rows.push({
      'rooms': String(rooms),
      'p50 ms': shown(p50),
      'p99 ms': shown(of(({ latency }) => latency.p99)),
      'idle, % of a core': shown(idle),
      [`at ${PER_SECOND}/s, %`]: shown(of(({ busy }) => busy * 100)),
      'all followed after, s': shown(of(({ ready }) => ready)),
    })
  }
  const tables = [{ title: `Rooms on Kafka that one node follows, ${PER_SECOND} messages a second over all`, rows }]
  return { title: 'Many rooms on one node', targets, tables, notes: [], faults, measured: Object.fromEntries(measured) }
}
