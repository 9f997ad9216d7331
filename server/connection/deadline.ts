/** Timers past this fire at once, so a later time is approached in steps. */
const LONGEST_TIMER = 2 ** 31 - 1

/** A time at which something happens, however far away. */
export class Deadline {
  #timer: NodeJS.Timeout | undefined

  /** Calls `listener` at `time` (epoch ms), instead of what was set before. */
  set(time: number, listener: () => void): void {
    clearTimeout(this.#timer)
    const wait = time - Date.now()
    this.#timer =
      wait > LONGEST_TIMER
        ? setTimeout(() => this.set(time, listener), LONGEST_TIMER)
        : setTimeout(listener, Math.max(wait, 0))
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}
