import type { Ledger } from './ledger.ts'
import type { NodeProcess } from './node-process.ts'
import type { Tally } from './tally.ts'

export type Print = (line: string) => void

/** What a run has come to: whether every promise held, and what was counted. */
export interface Outcome {
  readonly held: boolean
  readonly tally: Tally
}

const COUNTED = ['sent', 'acknowledged', 'kept', 'delivered', 'resumed', 'repeated', 'repeats recognised']

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

/** p50 and the largest of some times in ms. */
const spread = (ms: readonly number[]): string => {
  const sorted = ms.toSorted((one, two) => one - two)
  const at = (share: number): string => seconds(sorted[Math.floor(share * (sorted.length - 1))] ?? NaN).padStart(10)
  return at(0.5) + at(1)
}

/** How long it took until every client had everything, by what had gone wrong before. */
export class Recoveries {
  readonly #by = new Map<string, number[]>()

  /** @param ms from the end of the last fault of a cycle until all clients had caught up */
  add(kinds: readonly string[], ms: number): void {
    for (const kind of new Set(kinds)) this.#by.set(kind, [...(this.#by.get(kind) ?? []), ms])
  }

  get lines(): string[] {
    const heading = `${'caught up after'.padEnd(20)}${'cycles'.padStart(8)}${'p50'.padStart(10)}${'max'.padStart(10)}`
    const rows = [...this.#by].sort(([one], [two]) => (one < two ? -1 : 1))
    return [heading, ...rows.map(([kind, ms]) => kind.padEnd(20) + String(ms.length).padStart(8) + spread(ms))]
  }
}

const listed = (counts: readonly [string, number][]): string =>
  counts.map(([name, count]) => `${name} ${count}`).join(', ')

/** What nodes use now, a line each. */
export const usageOf = (nodes: readonly NodeProcess[]): Promise<string[]> =>
  Promise.all(
    nodes.map(async node => {
      const used = await node.usage()
      if (!used) return `${node.name} does not run`
      return `${node.name}: ${used.memory.toFixed(0)} MiB, ${used.cpu.toFixed(0)} s of CPU since its last start`
    }),
  )

/** What a run has come to: the counts, and what was promised and did not hold. */
export const reportOn = ({ tally, broken }: Ledger, print: Print): void => {
  print(listed(COUNTED.map(name => [name, tally.of(name)])))
  if (tally.named('fault ').length > 0) print(`faults: ${listed(tally.named('fault '))}`)
  print(`errors that clients were told: ${listed(tally.named('ERROR ')) || 'none'}`)
  const breaches = ['lost', 'twice', 'disorder', 'forbidden', 'gap', 'window', 'stuck', 'wrong'] as const
  print(`broken promises: ${listed(breaches.map(breach => [breach, tally.of(`broken ${breach}`)]))}`)
  for (const { breach, what, time } of broken) print(`BROKEN ${breach}: ${what} (${new Date(time).toISOString()})`)
}
