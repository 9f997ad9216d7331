/** What PostgreSQL's auto_explain has written down of the statements that it was given. */

import { readFile, stat } from 'node:fs/promises'
import pg from 'pg'

/** A step of a plan, as `explain (analyze, format json)` has it. */
interface Step {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Rows'?: number
  readonly 'Actual Loops'?: number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Plans'?: readonly Step[]
}

/** A statement, with the worst of all times that it was given. */
export interface Statement {
  readonly text: string
  times: number
  /** Rows that one time of it read one after the other, without an index. */
  inSequence: number
  /** The tables that it read so. */
  readonly tables: Set<string>
  /** ms */
  slowest: number
}

const steps = function* (step: Step): Generator<Step> {
  yield step
  for (const below of step.Plans ?? []) yield* steps(below)
}

/** Per loop, rows are given as their mean. */
const scanned = (step: Step): number =>
  step['Node Type'].endsWith('Seq Scan')
    ? ((step['Actual Rows'] ?? 0) + (step['Rows Removed by Filter'] ?? 0)) * (step['Actual Loops'] ?? 1)
    : 0

/** Reads a server's log: a plan's lines are indented below one that gives its duration. */
export const readPlans = (log: string): Statement[] => {
  const found = new Map<string, Statement>()
  for (const [, ms, json] of log.matchAll(/ duration: ([\d.]+) ms {2}plan:\n((?:\t.*\n?)+)/g)) {
    const { 'Query Text': text, Plan: plan } = JSON.parse(json!) as { 'Query Text': string; 'Plan': Step }
    const statement = found.get(text) ?? { text, times: 0, inSequence: 0, tables: new Set(), slowest: 0 }
    found.set(text, statement)
    let rows = 0
    for (const step of steps(plan)) {
      const here = scanned(step)
      if (here > 0) statement.tables.add(step['Relation Name'] ?? '')
      rows += here
    }
    statement.times++
    statement.inSequence = Math.max(statement.inSequence, Math.round(rows))
    statement.slowest = Math.max(statement.slowest, Number(ms))
  }
  return [...found.values()].toSorted((a, b) => b.inSequence - a.inSequence || b.slowest - a.slowest)
}

const EXPLAINED = {
  'session_preload_libraries': 'auto_explain',
  'auto_explain.log_min_duration': '0',
  'auto_explain.log_analyze': 'on',
  'auto_explain.log_timing': 'off',
  'auto_explain.log_format': 'json',
  // Those of foreign keys too.
  'auto_explain.log_nested_statements': 'on',
}

/** Has every connection that begins during `work` explain its statements; resolves with what they were. */
export const explained = async (url: string, log: string, work: () => Promise<void>): Promise<Statement[]> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const database = new URL(url).pathname.slice(1)
    const { size } = await stat(log)
    for (const [key, value] of Object.entries(EXPLAINED)) {
      await client.query(`alter database ${database} set ${key} = '${value}'`)
    }
    await work()
    await client.query(`alter database ${database} reset all`)
    return readPlans((await readFile(log)).subarray(size).toString())
  } finally {
    await client.end()
  }
}
