/** p50 and the largest of some times, in seconds. */
const times = (ms: readonly number[]): string => {
  const sorted = ms.toSorted((one, two) => one - two)
  const at = (share: number): string => ((sorted[Math.floor(share * (sorted.length - 1))] ?? NaN) / 1000).toFixed(1)
  return `${at(0.5).padStart(8)} s${at(1).padStart(8)} s`
}

/** How long it took until every client had everything, by what had gone wrong before. */
export class Recoveries {
  readonly #by = new Map<string, number[]>()

  /** @param ms from the end of the last fault of a cycle until all clients had caught up */
  add(kinds: readonly string[], ms: number): void {
    for (const kind of [...new Set(kinds), 'any']) this.#by.set(kind, [...(this.#by.get(kind) ?? []), ms])
  }

  get lines(): string[] {
    const heading = `${'fault'.padEnd(20)}${'cycles'.padStart(8)}${'p50'.padStart(10)}${'max'.padStart(10)}`
    const rows = [...this.#by].sort(([one], [two]) => (one === 'any' ? 1 : two === 'any' ? -1 : one < two ? -1 : 1))
    return [heading, ...rows.map(([kind, ms]) => kind.padEnd(20) + String(ms.length).padStart(8) + times(ms))]
  }
}

export const print = (line: string): void => void process.stdout.write(`${line}\n`)
