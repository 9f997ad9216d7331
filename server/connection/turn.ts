/** Does what was scheduled in an event-loop turn once, at its end: however much gathers, it is one write a socket. */
export class Turn {
  #due: (() => void)[] = []

  schedule(work: () => void): void {
    if (this.#due.push(work) === 1) setImmediate(() => this.#run())
  }

  #run(): void {
    const due = this.#due
    this.#due = []
    for (const work of due) work()
  }
}
