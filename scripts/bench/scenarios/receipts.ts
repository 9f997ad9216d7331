import type { Bench } from '../bench.ts'
import { addFaults, noFaults } from '../load/checker.ts'
import type { ReceiptsResult } from '../load/receipts.ts'
import { atLeast, digits, shown, type Findings, type Row, type Target } from '../report/report.ts'
import { ratioOf, spreadOf } from '../report/statistics.ts'
import type { Local } from '../servers/contestants.ts'

/** Publishers and what each has under way, beside bare batches of as many as could gather. */
const LOADS = [
  { publishers: 50, outstanding: 1, group: 50, least: 0.5 },
  { publishers: 500, outstanding: 20, group: 1_000, least: undefined },
] as const
const LOGS = ['embedded', 'kafka'] as const

interface Pair {
  readonly bare: number[]
  /** `ws` before the bare log: embedded only. */
  readonly peer: ReceiptsResult[]
  readonly node: ReceiptsResult[]
}

const measure = async (bench: Bench, log: (typeof LOGS)[number], load: (typeof LOADS)[number]): Promise<Pair> => {
  const pair: Pair = { bare: [], peer: [], node: [] }
  const seconds = bench.options.quick ? 2 : 4
  for (let run = 0; run < bench.options.runs; run++) {
    const kafka = log === 'kafka' ? { kafka: await bench.topic() } : {}
    const { perSecond: bare } = await bench.bare({ work: 'write', group: load.group, seconds, ...kafka })
    const destination = `/topic/bench-receipts-${load.group}-${run}`
    const ask = async (server: Local): Promise<ReceiptsResult> => {
      const plan = { ...load, endpoint: server.endpoint, pid: server.pid, destination, seconds }
      const result = await bench.generate('receipts', plan)
      await server.stop()
      return result
    }
    if (log === 'embedded') pair.peer.push(await ask(await bench.peer('durable')))
    const result = await ask(await bench.node(log === 'kafka' ? { brokers: await bench.brokers() } : {}))
    pair.bare.push(bare)
    pair.node.push(result)
    const { perSecond, latency, busy, load: own } = result
    bench.say(
      `receipts, ${log}, ${load.publishers} × ${load.outstanding}: ${digits(perSecond)}/s, p50 ${digits(latency.p50)} ms, ` +
        `${digits(busy * 100)} % of its core, generator ${digits(own * 100)} %; bare batches of ${load.group}: ${digits(bare)}/s`,
    )
  }
  return pair
}

const rates = (results: readonly ReceiptsResult[]): number[] => results.map(({ perSecond }) => perSecond)

const rowOf = (what: string, { bare, peer, node }: Pair): Row => {
  const figure = (of: (result: ReceiptsResult) => number): string => shown(spreadOf(node.map(of)))
  return {
    'publishers': what,
    'RECEIPTs a second': figure(({ perSecond }) => perSecond),
    'p50 ms': figure(({ latency }) => latency.p50),
    'p99 ms': figure(({ latency }) => latency.p99),
    'bare log, records a second': shown(spreadOf(bare)),
    'bare ws before the bare log': peer.length > 0 ? shown(spreadOf(rates(peer))) : '',
    '% of its core': figure(({ busy }) => busy * 100),
    'generator, %': figure(({ load }) => load * 100),
  }
}

/** SEND with RECEIPT: how close a node comes to what its log does by itself. */
export const receipts = async (bench: Bench): Promise<Findings> => {
  const targets: Target[] = []
  const rows: Row[] = []
  const faults = noFaults()
  const measured: Record<string, Pair> = {}
  for (const load of LOADS) {
    for (const log of LOGS) {
      const what = `${log}, ${load.publishers} × ${load.outstanding}`
      const pair = await measure(bench, log, load)
      for (const result of [...pair.node, ...pair.peer]) addFaults(faults, result.faults)
      const ratio = ratioOf(rates(pair.node), pair.bare)
      const title = `RECEIPT, ${what} : bare batches of ${load.group}`
      if (load.least !== undefined) {
        targets.push(atLeast(title, ratio, load.least))
        if (pair.peer.length > 0) {
          const limit = ratioOf(rates(pair.peer), pair.bare)
          targets.push(atLeast(`the same of bare ws before the bare log`, limit, load.least))
        }
      }
      rows.push({ ...rowOf(what, pair), 'ratio': shown(ratio) })
      measured[what] = pair
    }
  }
  const tables = [{ title: 'SEND with RECEIPT, durable', rows }]
  return { title: 'SEND with RECEIPT', targets, tables, notes: [], faults, measured }
}
