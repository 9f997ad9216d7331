import type { RoomId, RoomLog } from '../ports/room-log.ts'
import type { Signals } from '../ports/signals.ts'

/** How long the rooms gather that other nodes are told of, ms. */
const GATHERED = 100
const CHANNEL = 'appended'

/** Which rooms have been appended to: what the archive, here or on another node, is to look at now. */
export class Hints {
  readonly #signals: Signals
  readonly #gathered = new Set<RoomId>()
  #listener: ((room: RoomId) => void) | undefined

  constructor(signals: Signals) {
    this.#signals = signals
  }

  /** `log`, where each room that something is appended to is hinted at. */
  of(log: RoomLog): RoomLog {
    return {
      create: rooms => log.create(rooms),
      tail: (room, from, sink) => log.tail(room, from, sink),
      read: (room, from, limit) => log.read(room, from, limit),
      bounds: room => log.bounds(room),
      remove: (room, before) => log.remove(room, before),
      append: (room, records) => {
        const appended = log.append(room, records)
        const hint = (): void => this.#hint(room)
        // What could not be found out to be kept may have been.
        appended.then(hint, hint)
        return appended
      },
    }
  }

  /** Tells `listener`, who returns at once, of rooms of this node, and of those of nodes that have no archive. */
  async follow(listener: (room: RoomId) => void): Promise<void> {
    this.#listener = listener
    await this.#signals.subscribe(CHANNEL, rooms => {
      for (const room of rooms as readonly RoomId[]) listener(room)
    })
  }

  #hint(room: RoomId): void {
    if (this.#listener) return this.#listener(room)
    if (this.#gathered.add(room).size === 1) setTimeout(() => this.#publish(), GATHERED).unref()
  }

  #publish(): void {
    const rooms = [...this.#gathered]
    this.#gathered.clear()
    this.#signals.publish(CHANNEL, rooms)
  }
}
