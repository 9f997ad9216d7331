/** What newcomers may take of one turn of the event loop, ms. */
const TURN_MS = 5

/**
 * One step of coming in, such as the handshake or the login, for all connections of a node: a few of them in each turn of
 * the event loop, in the order in which they came. When thousands come back at once, because another node has died,
 * whoever is there already must not wait for all of them.
 */
export class Arrivals {
  readonly #waiting = new Set<() => void>()
  /** When this turn's time is over, by the process's clock. Undefined: nobody has come in it. */
  #end: number | undefined

  /** Whether nobody may come in now: see `whenRoom`. */
  get full(): boolean {
    const now = performance.now()
    if (this.#end === undefined) {
      this.#end = now + TURN_MS
      setImmediate(() => void this.#turn())
    }
    return now >= this.#end
  }

  /** Calls `work` in a later turn, when it is not full. The same function waits only once. */
  whenRoom(work: () => void): void {
    this.#waiting.add(work)
  }

  /** It does not wait any more. */
  forget(work: () => void): void {
    this.#waiting.delete(work)
  }

  async #turn(): Promise<void> {
    this.#end = undefined
    for (const work of this.#waiting) {
      if (this.full) return
      this.#waiting.delete(work)
      work()
      // What it goes on with at once takes of the same time.
      await Promise.resolve()
    }
  }
}
