/** Does what was scheduled in an event-loop turn once, at its end: however much gathers, it is one write a socket. */
export class Turn {
  #due: (() => void)[] = []
  #parts: readonly Buffer[] = []
  #joined: Buffer | undefined

  schedule(work: () => void): void {
    if (this.#due.push(work) === 1) setImmediate(() => this.#run())
  }

  /** `parts` in one piece of `length` bytes, which those that ask for the same parts one after the other share. */
  join(parts: readonly Buffer[], length: number): Buffer {
    const known = this.#joined
    if (known?.length === length && same(parts, this.#parts)) return known
    this.#parts = parts
    return (this.#joined = Buffer.concat(parts, length))
  }

  #run(): void {
    const due = this.#due
    this.#due = []
    for (const work of due) work()
    this.#parts = []
    this.#joined = undefined
  }
}

const same = (some: readonly Buffer[], others: readonly Buffer[]): boolean =>
  some.length === others.length && some.every((part, i) => part === others[i])
