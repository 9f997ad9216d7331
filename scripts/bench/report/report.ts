import { addFaults, noFaults, type Faults } from '../load/checker.ts'
import type { Spread } from './statistics.ts'

/** Something that is to be reached. */
export interface Target {
  readonly what: string
  /** As it is shown: what was had, and what is asked for. */
  readonly had: string
  readonly asked: string
  readonly reached: boolean
}

export type Row = Readonly<Record<string, string>>

/** What a scenario has found. */
export interface Findings {
  readonly title: string
  readonly targets: readonly Target[]
  readonly tables: readonly { readonly title: string; readonly rows: readonly Row[] }[]
  readonly notes: readonly string[]
  /** Of all runs together. */
  readonly faults: Faults
  /** All that was measured, for the JSON. */
  readonly measured: unknown
}

export const digits = (value: number): string => {
  const size = Math.abs(value)
  if (!Number.isFinite(value)) return '–'
  return size >= 100 || value === 0 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** `median (min to max)`, in `unit`s. */
export const shown = ({ median, min, max }: Spread, unit = 1, suffix = ''): string =>
  `${digits(median / unit)}${suffix} (${digits(min / unit)} to ${digits(max / unit)})`

export const atLeast = (what: string, had: Spread, least: number, suffix = ''): Target => ({
  what,
  had: shown(had, 1, suffix),
  asked: `≥ ${least}${suffix}`,
  reached: had.median >= least,
})

export const atMost = (what: string, had: Spread, most: number, suffix = ''): Target => ({
  what,
  had: shown(had, 1, suffix),
  asked: `≤ ${most}${suffix}`,
  reached: had.median <= most,
})

/** Rows under each other, as Markdown has tables. */
export const table = (rows: readonly Row[]): string => {
  const names = [...new Set(rows.flatMap(row => Object.keys(row)))]
  const widths = names.map(name => Math.max(name.length, ...rows.map(row => (row[name] ?? '').length)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`
  const rule = widths.map(width => '-'.repeat(width))
  return [line(names), line(rule), ...rows.map(row => line(names.map(name => row[name] ?? '')))].join('\n')
}

/** A scenario as text: what was to be reached first. */
export const printed = ({ title, targets, tables, notes, faults }: Findings): string => {
  const targetRows = targets.map(({ what, had, asked, reached }) => ({
    'what': what,
    'ratio or figure': had,
    'target': asked,
    '': reached ? 'reached' : 'not reached',
  }))
  const counts = Object.entries(faults).map(([name, count]) => `${count} ${name}`)
  return [
    `## ${title}`,
    ...(targetRows.length > 0 ? [table(targetRows)] : []),
    ...tables.map(({ title, rows }) => `${title}:\n\n${table(rows)}`),
    ...notes,
    `Messages: ${counts.join(', ')}.`,
  ].join('\n\n')
}

export const faultsIn = (findings: readonly Findings[]): Faults =>
  findings.reduce((sum, { faults }) => addFaults(sum, faults), noFaults())
