/** Counts, by name. */
export class Tally {
  readonly #counts = new Map<string, number>()

  add(name: string, amount = 1): void {
    this.#counts.set(name, this.of(name) + amount)
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  /** Those whose names begin with `prefix`, without it, the largest first. */
  named(prefix: string): [string, number][] {
    return [...this.#counts]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, count]): [string, number] => [name.slice(prefix.length), count])
      .sort(([, one], [, two]) => two - one)
  }
}
