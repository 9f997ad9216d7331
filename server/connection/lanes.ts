import type { RoomId } from '../ports/room-log.ts'

/** Work that is not done because earlier work was refused. That one tells the client; this one has nothing to say. */
export const SKIPPED = new Error('earlier work of this connection was refused')

/** A connection's work, in order for each room; rooms do not wait for each other. Once some is refused, no more is done. */
export class Lanes {
  /** There only while there is work: most connections wait most of the time. */
  #last: Map<RoomId, Promise<unknown>> | undefined
  #refused = false

  /**
   * Runs `work` after all earlier work for `room`, at once where there is none; rejects with SKIPPED where earlier work
   * of any room was refused.
   */
  run<T>(room: RoomId, work: () => T | Promise<T>): T | Promise<T> {
    const before = this.#last?.get(room)
    const result = before ? before.then(() => this.#do(work)) : this.#do(work)
    if (!(result instanceof Promise)) return result
    // What follows must not begin before the refusal has got to the client.
    const lane = result.then(
      () => {},
      () => this.refuse(),
    )
    this.#last ??= new Map()
    this.#last.set(room, lane)
    void lane.then(() => this.#left(room, lane))
    return result
  }

  #left(room: RoomId, lane: Promise<unknown>): void {
    if (this.#last?.get(room) === lane) this.#last.delete(room)
    if (this.#last?.size === 0) this.#last = undefined
  }

  #do<T>(work: () => T | Promise<T>): T | Promise<T> {
    return this.#refused ? Promise.reject(SKIPPED) : work()
  }

  refuse(): void {
    this.#refused = true
  }
}
