import { roomConfigs, type Bench } from '../bench.ts'
import { addFaults, noFaults } from '../load/checker.ts'
import type { NewcomersResult } from '../load/newcomers.ts'
import { atMost, digits, shown, type Findings } from '../report/report.ts'
import { ratioOf, spreadOf } from '../report/statistics.ts'

/** A broker's methods are compiled after some thousand calls, and it lives through all runs; the nodes do not. */
const REHEARSALS = { first: 1_500, later: 300 }

/** How soon somebody gets something in a room that the node, or Kafka too, did not know. */
export const newcomers = async (bench: Bench): Promise<Findings> => {
  const brokers = await bench.brokers()
  const results: NewcomersResult[] = []
  const faults = noFaults()
  for (let run = 0; run < bench.options.runs; run++) {
    const [entry, exit] = await Promise.all([bench.node({ brokers }), bench.node({ brokers })])
    const bare = { brokers: brokers.split(','), configs: roomConfigs }
    const seconds = bench.options.quick ? 2 : 10
    const rehearsals = run === 0 ? REHEARSALS.first : REHEARSALS.later
    const plan = { endpoint: exit.endpoint, publishTo: entry.endpoint, seconds, rehearsals, bare }
    const result = await bench.generate('newcomers', plan)
    await Promise.all([entry.stop(), exit.stop()])
    addFaults(faults, result.faults)
    results.push(result)
    const { first, made, bare: topics, alone, meanwhile } = result
    bench.say(
      `first delivery: room new to the node p50 ${digits(first.p50)}, max ${digits(first.max)} ms; new to Kafka ` +
        `p50 ${digits(made.p50)} ms, bare createTopics ${digits(topics.p50)} ms; ` +
        `busy rooms p99 ${digits(alone.p99)} → ${digits(meanwhile.p99)} ms`,
    )
  }
  const of = (name: Exclude<keyof NewcomersResult, 'faults'>, figure: 'p50' | 'p99' | 'max'): number[] =>
    results.map(result => result[name][figure])
  const row = (what: string, name: Exclude<keyof NewcomersResult, 'faults'>) => ({
    '': what,
    'p50 ms': shown(spreadOf(of(name, 'p50'))),
    'p99 ms': shown(spreadOf(of(name, 'p99'))),
    'max ms': shown(spreadOf(of(name, 'max'))),
  })
  return {
    title: 'First delivery in a room',
    targets: [
      atMost('room new to the node, first delivery, p50', spreadOf(of('first', 'p50')), 5, ' ms'),
      atMost('room new to the node, first delivery, max of 50', spreadOf(of('first', 'max')), 50, ' ms'),
      atMost('20 busy rooms, p99 with newcomers : without', ratioOf(of('meanwhile', 'p99'), of('alone', 'p99')), 1.1),
      atMost('room new to Kafka, first delivery : bare createTopics', ratioOf(of('made', 'p50'), of('bare', 'p50')), 2),
    ],
    tables: [
      {
        title: 'On Kafka, sent by another node',
        rows: [
          row('room new to the node: SUBSCRIBE until RECEIPT', 'subscribed'),
          row('room new to the node: SUBSCRIBE until the first MESSAGE', 'first'),
          row('room new to Kafka: SUBSCRIBE until the first MESSAGE', 'made'),
          row('bare createTopics', 'bare'),
          row('20 busy rooms without newcomers: SEND until MESSAGE', 'alone'),
          row('20 busy rooms with newcomers', 'meanwhile'),
        ],
      },
    ],
    notes: [],
    faults,
    measured: results,
  }
}
