import { createHash } from 'node:crypto'

/** Numbers that follow from a seed: the same seed gives the same numbers in the same order. */
export class Random {
  readonly #seed: string
  #turn = 0

  constructor(seed: string) {
    this.#seed = seed
  }

  /** From 0 up to 1, not 1 itself. */
  next(): number {
    return (
      createHash('sha256')
        .update(`${this.#seed} ${this.#turn++}`)
        .digest()
        .readUInt32BE() /
      2 ** 32
    )
  }

  /** A whole number, both bounds included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(choices: readonly T[]): T {
    const chosen = choices[this.integer(0, choices.length - 1)]
    if (chosen === undefined) throw new RangeError('there is nothing to pick from')
    return chosen
  }

  /** The same ones in another order. */
  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map(item => ({ item, place: this.next() }))
      .sort((one, two) => one.place - two.place)
      .map(({ item }) => item)
  }

  /** A stream of its own: what is drawn from it moves nothing here. */
  fork(name: string): Random {
    return new Random(`${this.#seed}/${name}`)
  }
}
