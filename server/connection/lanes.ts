import type { RoomId } from '../ports/room-log.ts'

/** Work that is not done because earlier work was refused. That one tells the client; this one has nothing to say. */
export const SKIPPED = new Error('earlier work of this connection was refused')

/** A connection's work, in order for each room; rooms do not wait for each other. Once some is refused, no more is done. */
export class Lanes {
  readonly #last = new Map<RoomId, Promise<unknown>>()
  #refused = false

  /** Runs `work` after all earlier work for `room`; rejects with SKIPPED where earlier work of any room was refused. */
  run<T>(room: RoomId, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(room) ?? Promise.resolve()
    const result = before.then(() => {
      if (this.#refused) throw SKIPPED
      return work()
    })
    // What follows must not begin before the refusal has got to the client.
    const lane = result.then(
      () => {},
      () => this.refuse(),
    )
    this.#last.set(room, lane)
    void lane.then(() => this.#last.get(room) === lane && this.#last.delete(room))
    return result
  }

  refuse(): void {
    this.#refused = true
  }
}
