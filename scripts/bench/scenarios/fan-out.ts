import type { Bench } from '../bench.ts'
import { addFaults, noFaults } from '../load/checker.ts'
import type { FanOutPlan, FanOutResult } from '../load/fan-out.ts'
import { atLeast, atMost, digits, shown, type Findings, type Row, type Target } from '../report/report.ts'
import { ratioOf, spreadOf } from '../report/statistics.ts'
import type { ContestantName } from '../servers/contestants.ts'

export type Name = ContestantName | 'other'

/** Where the first search begins, deliveries a second. */
const FIRST_GUESS: Readonly<Record<Name, number>> = {
  'one-send': 80_000,
  'gathered': 1_000_000,
  'embedded': 600_000,
  'kafka': 600_000,
  'other': 20_000,
}
/** The step at which latency is compared with little to do, deliveries a second. */
const CALM = 1_000
/** So many messages make a median there, in so many seconds. */
const CALM_MESSAGES = 20
const CALM_SECONDS = { least: 4, most: 20 }

interface Shape {
  readonly rooms: number
  readonly subscribers: number
}
/** What each contestant found, run by run. */
export type Results = ReadonlyMap<Name, readonly FanOutResult[]>

export const namesOf = ({ options }: Bench, all: readonly ContestantName[]): readonly Name[] =>
  options.other ? ['other'] : all.filter(name => options.contestants?.includes(name) ?? true)

interface Course {
  readonly shape: Shape
  readonly calm: boolean
  readonly names: readonly Name[]
}

/** All contestants in turn, as often as there are runs. The bare limits come first: the others are also tried at half of what
 * those do. */
export const race = async (bench: Bench, { shape, calm, names }: Course): Promise<Results> => {
  const { runs, seconds } = bench.options
  const results = new Map<Name, FanOutResult[]>(names.map(name => [name, []]))
  for (let run = 0; run < runs; run++) {
    let half: number | 'half' = 'half'
    let busy: number | 'half' = 'half'
    for (const name of names) {
      const before = results.get(name)!.at(-1)?.maximum?.offered
      const contestant = await bench.open(name)
      const search = before ? { start: before, factor: 1.2, seconds } : { start: FIRST_GUESS[name], factor: 2, seconds }
      const plan: FanOutPlan = {
        ...contestant,
        ...shape,
        publishers: 4,
        search,
        steps: [
          ...(calm ? [{ name: 'calm', perSecond: CALM, seconds: bench.options.quick ? 3 : calmSeconds(shape) }] : []),
          { name: 'half', perSecond: half, seconds },
          { name: 'busy', perSecond: busy, seconds },
        ],
      }
      const result = await bench.generate('fan-out', plan)
      await contestant.stop()
      results.get(name)!.push(result)
      if (name === 'one-send' && result.maximum) half = result.maximum.perSecond / 2
      if (name === 'gathered' && result.maximum) busy = result.maximum.perSecond / 2
      bench.say(progress(shape, run, name, result))
    }
  }
  return results
}

const calmSeconds = ({ subscribers }: Shape): number =>
  Math.max(CALM_SECONDS.least, Math.min(CALM_SECONDS.most, (CALM_MESSAGES * subscribers) / CALM))

const progress = ({ rooms, subscribers }: Shape, run: number, name: Name, { maximum, steps }: FanOutResult): string => {
  const size = rooms === 1 ? `${subscribers} subscribers` : `${rooms} rooms × ${subscribers}`
  if (!maximum) return `${size}, run ${run + 1}, ${name}: nothing in time`
  const { half, calm } = steps
  return (
    `${size}, run ${run + 1}, ${name}: ${maximum.lowerBound ? '≥ ' : ''}${digits(maximum.perSecond / 1000)}k/s, ` +
    `p50 ${digits(maximum.latency.p50)}, p99 ${digits(maximum.latency.p99)} ms, ` +
    `${digits(maximum.cpuPerMillion)} CPU-s a million, ${digits(maximum.busy * 100)} % of its core; generator ${digits(maximum.load * 100)} % of its core, ` +
    `sends late p99 ${digits(maximum.lag.p99)} ms; at ${digits((half?.offered ?? NaN) / 1000)}k/s ` +
    `p50 ${digits(half?.latency.p50 ?? NaN)} ms, ${digits(half?.cpuPerMillion ?? NaN)} CPU-s` +
    (calm ? `; at 1k/s p50 ${digits(calm.latency.p50)}, p99 ${digits(calm.latency.p99)} ms` : '')
  )
}

export const maxima = (results: Results, name: Name): number[] =>
  (results.get(name) ?? []).map(({ maximum }) => maximum?.perSecond ?? NaN)

/** Deliveries for a second of the server's CPU, at half of what gathered can do. */
const economies = (results: Results, name: Name): number[] =>
  (results.get(name) ?? []).map(({ steps }) => 1e6 / (steps['busy']?.cpuPerMillion ?? NaN))

const figures = (results: Results, name: Name, step: 'calm' | 'half', of: 'p50' | 'cpu'): number[] =>
  (results.get(name) ?? []).map(({ steps }) =>
    of === 'p50' ? (steps[step]?.latency.p50 ?? NaN) : (steps[step]?.cpuPerMillion ?? NaN),
  )

/** A row a contestant. */
export const rowsOf = (results: Results): Row[] =>
  Array.from(results, ([name, runs]) => {
    const some = runs.map(({ maximum }) => maximum)
    const figure = (of: (each: NonNullable<FanOutResult['maximum']>) => number): string =>
      shown(spreadOf(some.map(each => (each ? of(each) : NaN))))
    const bound = some.some(each => each?.lowerBound) ? '≥ ' : ''
    return {
      'server': name,
      'thousand deliveries/s': bound + shown(spreadOf(maxima(results, name)), 1000),
      'p50 ms': figure(({ latency }) => latency.p50),
      'p99 ms': figure(({ latency }) => latency.p99),
      'CPU-s a million': figure(({ cpuPerMillion }) => cpuPerMillion),
      'CPU-s at half of one-send': shown(spreadOf(figures(results, name, 'half', 'cpu'))),
      'CPU-s at half of gathered': shown(spreadOf(economies(results, name).map(economy => 1e6 / economy))),
      'p50 ms at half of one-send': shown(spreadOf(figures(results, name, 'half', 'p50'))),
      'p50 ms at 1,000/s': shown(spreadOf(figures(results, name, 'calm', 'p50'))),
      'bytes': digits(runs[0]?.bytesPerDelivery ?? NaN),
      'generator': `${digits(Math.max(...some.map(each => (each?.load ?? 0) * 100)))} %`,
    }
  })

const has = (results: Results, ...names: readonly Name[]): boolean => names.every(name => results.has(name))

const targetsOf = (results: Results, subscribers: number): Target[] => {
  const what = `${subscribers} subscribers`
  const targets: Target[] = []
  if (has(results, 'embedded', 'gathered')) {
    const limited = (['embedded', 'gathered'] as const).some(name =>
      results.get(name)?.some(({ maximum }) => maximum?.lowerBound),
    )
    const ratio = ratioOf(maxima(results, 'embedded'), maxima(results, 'gathered'))
    const perCpu = ratioOf(economies(results, 'embedded'), economies(results, 'gathered'))
    targets.push(
      limited
        ? atLeast(
            `${what}, embedded : ws gathered, deliveries a CPU-second at the same rate (the generator was the limit)`,
            perCpu,
            0.7,
          )
        : atLeast(`${what}, embedded : ws gathered`, ratio, 0.7),
    )
  }
  if (has(results, 'embedded', 'one-send')) {
    const ratio = ratioOf(maxima(results, 'embedded'), maxima(results, 'one-send'))
    targets.push(atLeast(`${what}, embedded : ws one-send`, ratio, 2))
    const [calm, theirs] = [figures(results, 'embedded', 'calm', 'p50'), figures(results, 'one-send', 'calm', 'p50')]
    const later = spreadOf(calm.map((ms, run) => ms - theirs[run]!))
    targets.push(atMost(`${what}, p50 at 1,000/s, embedded − one-send`, later, 1, ' ms'))
    if (subscribers >= 500) {
      // What no server can go below without a timer, beside what was asked for.
      if (has(results, 'gathered')) {
        const bare = ratioOf(figures(results, 'gathered', 'half', 'cpu'), figures(results, 'one-send', 'half', 'cpu'))
        targets.push(atMost(`${what}, CPU a delivery at half of one-send, ws gathered : one-send`, bare, 0.6))
      }
      const cpu = ratioOf(figures(results, 'embedded', 'half', 'cpu'), figures(results, 'one-send', 'half', 'cpu'))
      targets.push(atMost(`${what}, CPU a delivery at half of one-send, embedded : one-send`, cpu, 0.6))
    }
  }
  if (has(results, 'embedded', 'kafka')) {
    const cpu = ratioOf(figures(results, 'kafka', 'half', 'cpu'), figures(results, 'embedded', 'half', 'cpu'))
    targets.push(atMost(`${what}, CPU a delivery, Kafka : embedded`, cpu, 1.2))
  }
  return targets
}

/** One room: the most deliveries a second in time, for more and more subscribers. */
export const fanOut = async (bench: Bench): Promise<Findings> => {
  const names = namesOf(bench, ['one-send', 'gathered', 'embedded', 'kafka'])
  const sizes = bench.options.subscribers ?? (bench.options.quick ? [500] : [100, 500, 2_000])
  const faults = noFaults()
  const targets: Target[] = []
  const tables: Findings['tables'][number][] = []
  const measured: Record<string, Record<string, readonly FanOutResult[]>> = {}
  for (const subscribers of sizes) {
    const results = await race(bench, { shape: { rooms: 1, subscribers }, calm: true, names })
    for (const result of [...results.values()].flat()) addFaults(faults, result.faults)
    targets.push(...targetsOf(results, subscribers))
    tables.push({ title: `One room, ${subscribers} subscribers, p99 below 250 ms`, rows: rowsOf(results) })
    measured[subscribers] = Object.fromEntries(results)
  }
  return { title: 'Fan-out in one room', targets, tables, notes: [LOWER], faults, measured }
}

export const LOWER = '“≥”: the load generator was at its own limit, the server may do more.'
