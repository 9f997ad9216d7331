import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root, runScript, ScriptError } from '../launch.ts'
import { parse } from './parse.ts'
import { sourcesIn } from './sources.ts'

/**
 * Percent of lines and of branches that the tests must run, in each folder. What is short of all is printed line by line.
 * The aim is 100, and 95 for kafka: a little less passes where what a run meets depends on timing, such as an answer that
 * comes after its connection has gone, or a broker that is between two states.
 */
const required: Readonly<Record<string, number>> = {
  'server/stomp': 100,
  'server/frames': 99,
  'server/fanout': 99,
  'server/connection': 99,
  'server/ports': 100,
  'server/accounts': 99,
  'server/database': 99,
  'server/rooms': 99,
  'server/messages': 99,
  'server/people': 99,
  'server/fleet': 99,
  'server/http': 99,
  'server/drivers': 99,
  'kafka': 93,
}

interface Span {
  readonly start: { readonly line: number }
  readonly end: { readonly line: number }
}
/** What istanbul's JSON report says of a file, as far as it is used. */
interface FileReport {
  readonly statementMap: Readonly<Record<string, Span>>
  readonly s: Readonly<Record<string, number>>
  readonly branchMap: Readonly<Record<string, { readonly line: number; readonly locations: readonly Span[] }>>
  readonly b: Readonly<Record<string, readonly number[]>>
}
export interface FileCoverage {
  readonly file: string
  readonly lines: { readonly all: number; readonly run: number }
  readonly branches: { readonly all: number; readonly run: number }
  /** Lines that did not run, or where a branch was not taken. */
  readonly missed: readonly number[]
}

/** A file that nothing loaded: all of its lines, and the one branch that it is, did not run. */
const neverLoaded = (file: string, source: string): FileCoverage => {
  const missed = parse(file, source).codeLines
  // Types alone are no code, and nothing loads them.
  return { file, missed, lines: { all: missed.length, run: 0 }, branches: { all: missed.length > 0 ? 1 : 0, run: 0 } }
}

const loaded = (file: string, report: FileReport): FileCoverage => {
  const missed = new Set<number>()
  const lines = { all: 0, run: 0 }
  for (const [id, span] of Object.entries(report.statementMap)) {
    lines.all++
    if ((report.s[id] ?? 0) > 0) lines.run++
    else missed.add(span.start.line)
  }
  const branches = { all: 0, run: 0 }
  for (const [id, { locations }] of Object.entries(report.branchMap)) {
    for (const [index, location] of locations.entries()) {
      branches.all++
      if ((report.b[id]?.[index] ?? 0) > 0) branches.run++
      else missed.add(location.start.line)
    }
  }
  return { file, lines, branches, missed: [...missed].toSorted((a, b) => a - b) }
}

const percent = (part: { all: number; run: number }): number => (part.all === 0 ? 100 : (100 * part.run) / part.all)
/** Cut, not rounded: 100.0 means all. */
const shown = (part: { all: number; run: number }): string =>
  (Math.floor(percent(part) * 10) / 10).toFixed(1).padStart(6)

const sum = (files: readonly FileCoverage[], of: 'lines' | 'branches'): { all: number; run: number } =>
  files.reduce((total, each) => ({ all: total.all + each[of].all, run: total.run + each[of].run }), { all: 0, run: 0 })

/** 1, 2, 3, 7 → 1-3, 7 */
const ranges = (lines: readonly number[]): string => {
  const parts: { from: number; to: number }[] = []
  for (const line of lines) {
    const last = parts.at(-1)
    if (last && line === last.to + 1) last.to = line
    else parts.push({ from: line, to: line })
  }
  return parts.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`)).join(', ')
}

/** The coverage of every source in `folder`, those that no test loads too. */
export const coverageOf = async (
  folder: string,
  report: Readonly<Record<string, FileReport>>,
): Promise<readonly FileCoverage[]> =>
  Promise.all(
    (await sourcesIn([folder], 'product')).map(async file => {
      const path = join(root, file)
      const source = await readFile(path, 'utf8')
      if (/\b(c8|v8|istanbul|node:coverage) ignore\b/.test(source)) {
        throw new ScriptError(`${file} hides code from the coverage: test it or remove it`)
      }
      const found = report[path]
      return found ? loaded(file, found) : neverLoaded(file, source)
    }),
  )

/** Prints the coverage of the folders that need it, from an istanbul JSON report, and resolves with whether it is enough. */
export const checkCoverage = async (file: string): Promise<boolean> => {
  const text = await readFile(join(root, file), 'utf8').catch(() => '{}')
  const report = JSON.parse(text) as Record<string, FileReport>
  process.stdout.write('\ncoverage, %        lines branches  required\n')
  let enough = true
  for (const [folder, least] of Object.entries(required)) {
    const files = await coverageOf(folder, report)
    const lines = sum(files, 'lines')
    const branches = sum(files, 'branches')
    const ok = files.length > 0 && percent(lines) >= least && percent(branches) >= least
    enough &&= ok
    process.stdout.write(`${folder.padEnd(17)} ${shown(lines)}   ${shown(branches)}  ${ok ? '' : 'FAIL '}${least}\n`)
    for (const each of files.filter(({ missed }) => missed.length > 0)) {
      process.stdout.write(`  ${each.file}: ${ranges(each.missed)}\n`)
    }
  }
  return enough
}

if (process.argv[1] === import.meta.filename) {
  await runScript(async () => ((await checkCoverage(process.argv[2] ?? '.tap/report/coverage-final.json')) ? 0 : 1))
}
