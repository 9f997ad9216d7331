interface Asked<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/** Asks for many things at once: what is wanted while an answer is under way makes up the next question. */
export class Gather<Item, Result> {
  readonly #answer: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>
  #waiting: Asked<Item, Result>[] = []
  #busy = false

  /** @param answer what belongs to each of the items, in their order; rejects where nothing can be said of any. */
  constructor(answer: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>) {
    this.#answer = answer
  }

  ask(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (this.#busy) return
      this.#busy = true
      // Whatever else is wanted in this turn comes along.
      queueMicrotask(() => void this.#run())
    })
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const asked = this.#waiting
      this.#waiting = []
      try {
        const results = await this.#answer(asked.map(({ item }) => item))
        for (const [index, { resolve, reject }] of asked.entries()) {
          const result = results[index] as Result | Error
          if (result instanceof Error) reject(result)
          else resolve(result)
        }
      } catch (error) {
        for (const { reject } of asked) reject(error)
      }
    }
    this.#busy = false
  }
}
