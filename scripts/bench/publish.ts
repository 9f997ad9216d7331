/**
 * Puts what the last runs have found (.cache/bench/*.json) into the README, between its two marks, and draws its plot.
 */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root, runScript, ScriptError } from '../launch.ts'
import { parsed } from './bench.ts'
import type { FanOutResult } from './load/fan-out.ts'
import { plot, type Line } from './report/plot.ts'
import { digits, table, type Findings, type Row } from './report/report.ts'
import { median } from './report/statistics.ts'
import { scenarios } from './scenarios/index.ts'

const README = join(root, 'README.md')
const PLOT = 'scripts/bench/fan-out.svg'
const BEGIN = '<!-- measured: node scripts/bench/publish.ts -->'
const END = '<!-- /measured -->'

type Recorded = Findings & { readonly machine: string; readonly at: string; readonly runs: number }
/** Of the fan-out: by subscribers, then by server. */
type FanOut = Readonly<Record<string, Readonly<Record<string, readonly FanOutResult[]>>>>

const read = async (name: string): Promise<Recorded | undefined> => {
  const file = join(root, `.cache/bench/${name}.json`)
  return existsSync(file) ? (parsed(await readFile(file, 'utf8')) as Recorded) : undefined
}

const servers = {
  'embedded': { name: 'Hoofbeat, embedded log', color: '#c2410c' },
  'kafka': { name: 'Hoofbeat on Kafka', color: '#7c3aed' },
  'gathered': { name: 'bare ws, all of a turn in one write', color: '#64748b' },
  'one-send': { name: 'bare ws, one send a client', color: '#0e7490' },
} as const

const middle = (runs: readonly FanOutResult[], of: (run: FanOutResult) => number | undefined): number =>
  median(runs.map(run => of(run) ?? NaN))

const fanOutRows = (measured: FanOut): Row[] =>
  Object.entries(servers).map(([server, { name }]) => {
    const row: Record<string, string> = { 'thousand deliveries a second, p99 < 250 ms': name }
    for (const [subscribers, results] of Object.entries(measured)) {
      const runs = results[server] ?? []
      const bound = runs.some(({ maximum }) => maximum?.lowerBound) ? '≥ ' : ''
      const most = middle(runs, ({ maximum }) => maximum?.perSecond) / 1000
      const cpu = middle(runs, ({ maximum }) => maximum?.cpuPerMillion)
      row[`${Number(subscribers).toLocaleString('en')} subscribers`] = `${bound}${digits(most)} (${digits(cpu)})`
    }
    return row
  })

const linesOf = (measured: FanOut, of: (run: FanOutResult) => number | undefined): Line[] =>
  Object.entries(servers).map(([server, look]) => ({
    ...look,
    points: Object.entries(measured).map(
      ([subscribers, results]) => [Number(subscribers), middle(results[server] ?? [], of)] as const,
    ),
  }))

const draw = async (measured: FanOut): Promise<void> => {
  const svg = plot([
    {
      title: 'Most deliveries a second, p99 below 250 ms',
      lines: linesOf(measured, ({ maximum }) => maximum?.perSecond),
    },
    {
      title: 'At half of what one send a client can do: p50, ms',
      lines: linesOf(measured, ({ steps }) => steps['half']?.latency.p50),
    },
  ])
  await writeFile(join(root, PLOT), svg)
}

const measuredSection = (found: readonly Recorded[], fanOut: Recorded): string => {
  const rows = found.flatMap(({ targets }) =>
    targets.map(({ what, had, asked, reached }) => ({
      'what': what,
      'measured': had,
      'aim': asked,
      '': reached ? 'reached' : 'not reached',
    })),
  )
  const { machine, at, runs } = fanOut
  return [
    `${machine}. ${at.slice(0, 10)}, medians of ${runs} runs (and their range); bodies of 200 bytes.`,
    `![Deliveries a second and latency over the number of subscribers](${PLOT})`,
    table(fanOutRows(fanOut.measured as FanOut)),
    'In brackets: CPU seconds of the server for a million deliveries. “≥”: the load generator was at its limit.',
    table(rows),
  ].join('\n\n')
}

await runScript(async () => {
  const found = (await Promise.all(Object.keys(scenarios).map(read))).filter(each => each !== undefined)
  const fanOut = await read('fanout')
  if (!fanOut) throw new ScriptError('.cache/bench/fanout.json is missing: run make bench first')
  await draw(fanOut.measured as FanOut)
  const readme = await readFile(README, 'utf8')
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)]
  if (begin < 0 || end < begin) throw new ScriptError(`README.md needs ${BEGIN} and ${END}`)
  const section = `${BEGIN}\n${measuredSection(found, fanOut)}\n`
  await writeFile(README, readme.slice(0, begin) + section + readme.slice(end))
})
