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
  readonly #looking = new Map<RoomId, Promise<void>>()

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
  ensure(room: RoomId, mayMake: () => boolean): Promise<void> {
    let looking = this.#looking.get(room)
    if (!looking) {
      looking = this.#ensure(room, mayMake).finally(() => this.#looking.delete(room))
      this.#looking.set(room, looking)
    }
    return looking
  }

  async #ensure(room: RoomId, mayMake: () => boolean): Promise<void> {
    if (!(await this.#exists(room))) {
      if (!this.#auto) throw fail('NO_SUCH_ROOM', room)
      if (!mayMake()) throw fail('TOO_MANY_ROOMS', 'too many new ones in a minute')
      await this.#log.create([room])
    }
    this.#known.add(room)
  }

  async #exists(room: RoomId): Promise<boolean> {
    try {
      await this.#log.bounds(room)
      return true
    } catch (error) {
      if (error instanceof HoofbeatError && error.code === 'NO_SUCH_ROOM') return false
      throw error
    }
  }
}
