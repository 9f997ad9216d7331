import type { Bench } from '../bench.ts'
import { addFaults, noFaults } from '../load/checker.ts'
import type { CrowdResult } from '../load/returning.ts'
import { atMost, digits, shown, type Findings, type Row } from '../report/report.ts'
import { spreadOf } from '../report/statistics.ts'

const MISSED = 10_000
const CROWD = { clients: 2_000, missed: 100 }

interface Measured {
  readonly embedded: number[]
  readonly kafka: number[]
  readonly crowd: CrowdResult[]
}

/** Clients that come back: one that has missed much, and all those of a node that died. */
export const returning = async (bench: Bench): Promise<Findings> => {
  const measured: Measured = { embedded: [], kafka: [], crowd: [] }
  const faults = noFaults()
  const brokers = await bench.brokers()
  for (let run = 0; run < bench.options.runs; run++) {
    for (const log of ['embedded', 'kafka'] as const) {
      const nodes =
        log === 'kafka' ? [await bench.node({ brokers }), await bench.node({ brokers })] : [await bench.node()]
      const plan = { endpoint: nodes[0]!.endpoint, returnTo: nodes.at(-1)!.endpoint, missed: MISSED }
      const result = await bench.generate('resume', plan)
      await Promise.all(nodes.map(node => node.stop()))
      measured[log].push(result.ms)
      addFaults(faults, result.faults)
      bench.say(`${log}, ${MISSED} missed messages: ${digits(result.ms)} ms`)
    }
    const [dying, staying] = [await bench.node({ brokers, dies: true }), await bench.node({ brokers })]
    const plan = { endpoint: dying.endpoint, pid: dying.pid, returnTo: staying.endpoint, ...CROWD }
    const result = await bench.generate('crowd', plan)
    await Promise.all([dying.stop(), staying.stop()])
    measured.crowd.push(result)
    addFaults(faults, result.faults)
    bench.say(
      `${CROWD.clients} clients come back at once: all caught up after ${digits(result.ms)} ms; live subscribers' p99 ` +
        `${digits(result.alone.p99)} → ${digits(result.meanwhile.p99)} ms`,
    )
  }
  const crowd = (of: (result: CrowdResult) => number) => spreadOf(measured.crowd.map(of))
  const caughtUp = crowd(({ ms }) => ms / 1000)
  const meanwhile = crowd(({ meanwhile }) => meanwhile.p99)
  const rows: Row[] = (['embedded', 'kafka'] as const).map(log => ({
    'what': `${log}: one client, ${MISSED} missed messages, until the last one`,
    'ms': shown(spreadOf(measured[log])),
  }))
  rows.push(
    {
      'what': '2,000 clients of a node that was killed, 100 missed each, until all have them',
      'ms': shown(caughtUp, 0.001),
    },
    { 'what': 'live subscribers there, p99 before', 'ms': shown(crowd(({ alone }) => alone.p99)) },
    { 'what': 'live subscribers there, p99 meanwhile', 'ms': shown(meanwhile) },
  )
  return {
    title: 'Coming back',
    targets: [
      atMost('resume of 10,000 missed, embedded', spreadOf(measured.embedded.map(ms => ms / 1000)), 1, ' s'),
      atMost('resume of 10,000 missed, Kafka', spreadOf(measured.kafka.map(ms => ms / 1000)), 1, ' s'),
      atMost('2,000 clients at once, all caught up', caughtUp, 5, ' s'),
      atMost("live subscribers' p99 meanwhile", meanwhile, 250, ' ms'),
    ],
    tables: [{ title: 'Coming back after a lost connection', rows }],
    notes: [],
    faults,
    measured,
  }
}
