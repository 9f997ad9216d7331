/** How many reads of the log a node has under way at the same time; the others wait for their turn. */
const READERS = 16

export class Readers {
  #reading = 0
  readonly #waiting: (() => void)[] = []

  async run<T>(read: () => Promise<T>): Promise<T> {
    if (this.#reading >= READERS) await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#reading++
    try {
      return await read()
    } finally {
      // Whoever waits takes this place over.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#reading--
    }
  }
}
