/**
 * How long something took, counted into buckets. prom-client's own costs 0.35 µs an observation, too much for every
 * record; this one costs an addition and is written out only when it is asked for.
 */
export class Histogram {
  readonly #name: string
  readonly #help: string
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0

  /** `bounds` are the upper ends of the buckets in seconds, ascending; what is longer still is counted as well. */
  constructor(name: string, help: string, bounds: readonly number[]) {
    this.#name = name
    this.#help = help
    this.#bounds = bounds
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }

  /** Clocks of two machines differ: less than nothing counts as nothing. */
  observe(seconds: number): void {
    const value = seconds > 0 ? seconds : 0
    let bucket = 0
    while (value > (this.#bounds[bucket] ?? Infinity)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#sum += value
  }

  /** In Prometheus' text format. */
  toString(): string {
    const lines = [`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} histogram`]
    let total = 0
    for (const [bucket, count] of this.#counts.entries()) {
      total += count
      lines.push(`${this.#name}_bucket{le="${this.#bounds[bucket] ?? '+Inf'}"} ${total}`)
    }
    lines.push(`${this.#name}_sum ${this.#sum}`, `${this.#name}_count ${total}`, '')
    return lines.join('\n')
  }
}
