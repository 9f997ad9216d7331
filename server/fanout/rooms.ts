import { fail, HoofbeatError } from '../errors.ts'
import type { RoomId, RoomLog } from '../ports/room-log.ts'

/**
 * Which rooms exist. In mode auto the first SUBSCRIBE or SEND makes a room; in mode declared an unknown one is refused.
 * A room that was found once is not asked for again until the log says that it is gone (`forget`).
 */
export class Rooms {
  readonly #log: RoomLog
  readonly #auto: boolean
  readonly #known = new Set<RoomId>()
  /** What is under way serves all who ask meanwhile. */
  readonly #looking = new Map<RoomId, Promise<boolean>>()
  readonly #making = new Map<RoomId, Promise<void>>()

  constructor(log: RoomLog, mode: 'auto' | 'declared') {
    this.#log = log
    this.#auto = mode === 'auto'
  }

  has(room: RoomId): boolean {
    return this.#known.has(room)
  }

  forget(room: RoomId): void {
    this.#known.delete(room)
  }

  /**
   * Resolves when `room` exists. `mayMake` is asked before a new one is made.
   * Rejects with NO_SUCH_ROOM (declared), TOO_MANY_ROOMS, LOG_UNAVAILABLE.
   */
  async ensure(room: RoomId, mayMake: () => boolean): Promise<void> {
    const exists = await once(this.#looking, room, () => this.#exists(room))
    if (!exists) await this.#make(room, mayMake)
    this.#known.add(room)
  }

  /**
   * Does `work`, which rejects with NO_SUCH_ROOM where `room` does not exist; then the room is made, and it is done again.
   * So a room that is there is not asked for twice. Rejects as `ensure` and `work` do.
   */
  async within<T>(room: RoomId, work: () => Promise<T>, mayMake: () => boolean): Promise<T> {
    try {
      const result = await work()
      this.#known.add(room)
      return result
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    await this.#make(room, mayMake)
    this.#known.add(room)
    return work()
  }

  /** Each is asked for itself: that one may not make the room does not refuse it to another. */
  async #make(room: RoomId, mayMake: () => boolean): Promise<void> {
    if (!this.#auto) throw fail('NO_SUCH_ROOM', room)
    if (!this.#making.has(room) && !this.#known.has(room) && !mayMake()) {
      throw fail('TOO_MANY_ROOMS', 'too many new ones in a minute')
    }
    await once(this.#making, room, () => this.#log.create([room]))
  }

  async #exists(room: RoomId): Promise<boolean> {
    try {
      await this.#log.bounds(room)
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }
}

const isMissing = (error: unknown): boolean => error instanceof HoofbeatError && error.code === 'NO_SUCH_ROOM'

const once = <T>(underWay: Map<RoomId, Promise<T>>, room: RoomId, begin: () => Promise<T>): Promise<T> => {
  let promise = underWay.get(room)
  if (!promise) {
    promise = begin().finally(() => underWay.delete(room))
    underWay.set(room, promise)
  }
  return promise
}
