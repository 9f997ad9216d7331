import type { Bench } from '../bench.ts'
import { addFaults, noFaults } from '../load/checker.ts'
import { atLeast, type Findings, type Target } from '../report/report.ts'
import { ratioOf } from '../report/statistics.ts'
import { LOWER, maxima, namesOf, race, rowsOf } from './fan-out.ts'

const SHAPE = { rooms: 200, subscribers: 10 }

/** Many small rooms: the most deliveries a second in time. */
export const rooms = async (bench: Bench): Promise<Findings> => {
  const names = namesOf(bench, ['one-send', 'gathered', 'embedded', 'kafka'])
  const results = await race(bench, { shape: SHAPE, calm: false, names })
  const faults = noFaults()
  for (const result of [...results.values()].flat()) addFaults(faults, result.faults)
  const targets: Target[] = []
  if (results.has('embedded') && results.has('one-send')) {
    const ratio = ratioOf(maxima(results, 'embedded'), maxima(results, 'one-send'))
    targets.push(atLeast('200 rooms × 10, embedded : ws one-send', ratio, 1.2))
  }
  const tables = [{ title: '200 rooms of 10 subscribers, p99 below 250 ms', rows: rowsOf(results) }]
  const measured = Object.fromEntries(results)
  return { title: '200 rooms × 10 subscribers', targets, tables, notes: [LOWER], faults, measured }
}
