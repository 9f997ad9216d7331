import type { Bench } from '../bench.ts'
import { addFaults, noFaults } from '../load/checker.ts'
import type { Times } from '../load/clock.ts'
import { atMost, digits, shown, type Findings, type Row, type Target } from '../report/report.ts'
import { spreadOf } from '../report/statistics.ts'

const RATES = [200, 2_000, 10_000]
/** Up to here the latency is to come close to the bare one. */
const COMPARED = 2_000
/** How long each is under way before it is measured, seconds: neither is compiled when it starts. */
const WARM_UP = 3

/** Messages that enter by one node and leave by another, beside the Kafka client's own send and fetch. */
export const nodes = async (bench: Bench): Promise<Findings> => {
  const { runs, quick } = bench.options
  const seconds = quick ? 2 : 5
  const measured = new Map(RATES.map(rate => [rate, { nodes: [] as Times[], bare: [] as Times[] }]))
  const faults = noFaults()
  const brokers = await bench.brokers()
  for (let run = 0; run < runs; run++) {
    for (const rate of RATES) {
      const kafka = await bench.topic()
      const bare = await bench.bare({ work: 'pass', perSecond: rate, warmUp: WARM_UP, seconds, kafka })
      const [entry, exit] = await Promise.all([bench.node({ brokers }), bench.node({ brokers })])
      const steps = [
        { name: 'warming', perSecond: rate, seconds: WARM_UP },
        { name: 'passing', perSecond: rate, seconds },
      ]
      const shape = { rooms: 1, subscribers: 1, publishers: 4, publishTo: entry.endpoint }
      const { steps: found, faults: more } = await bench.generate('fan-out', { ...exit, ...shape, steps })
      await Promise.all([entry.stop(), exit.stop()])
      addFaults(faults, more)
      const { latency } = found['passing']!
      measured.get(rate)!.nodes.push(latency)
      measured.get(rate)!.bare.push(bare)
      bench.say(
        `${rate}/s from node to node: p50 ${digits(latency.p50)}, p99 ${digits(latency.p99)} ms; ` +
          `bare p50 ${digits(bare.p50)}, p99 ${digits(bare.p99)} ms`,
      )
    }
  }
  const targets: Target[] = []
  const rows: Row[] = []
  for (const [rate, { nodes, bare }] of measured) {
    const later = spreadOf(nodes.map(({ p50 }, run) => p50 - bare[run]!.p50))
    if (rate <= COMPARED) targets.push(atMost(`node to node, ${rate}/s, p50 − bare send → fetch`, later, 1, ' ms'))
    const figure = (times: readonly Times[], of: 'p50' | 'p99'): string => shown(spreadOf(times.map(each => each[of])))
    rows.push({
      'messages a second': String(rate),
      'p50 ms': figure(nodes, 'p50'),
      'p99 ms': figure(nodes, 'p99'),
      'bare p50 ms': figure(bare, 'p50'),
      'bare p99 ms': figure(bare, 'p99'),
    })
  }
  const tables = [{ title: 'From SEND on one node to MESSAGE on another, by Kafka', rows }]
  return { title: 'Across two nodes', targets, tables, notes: [], faults, measured: Object.fromEntries(measured) }
}
