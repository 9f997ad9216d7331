import { fail, HoofbeatError } from '../errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { Meter } from '../ports/meter.ts'
import type { Epoch, RoomId, RoomLog } from '../ports/room-log.ts'
import { CatchUp } from './catch-up.ts'
import { messageId } from './destination.ts'
import type { IsErased } from './erasure.ts'
import { LocalRoom, type RoomSurroundings } from './local-room.ts'
import { Readers } from './readers.ts'
import { RecentMemory } from './recent.ts'
import { place, type Place, type Start } from './start.ts'
import { Styles, type Look } from './style.ts'
import { Subscription, type SubscriptionOptions } from './subscription.ts'

/** A subscription as asked for; the hub finds the style that others share. */
export type Wanted = Omit<SubscriptionOptions, 'style'> & { readonly style: Look }

export interface Joined {
  readonly subscription: Subscription
  /** For `after`: whether everything since then is there. */
  readonly recovered?: boolean
  /** Where delivery begins instead, as a message-id, if not. */
  readonly first?: string
}

export interface HubOptions {
  readonly log: RoomLog
  readonly meter: Meter
  readonly logger: Logger
  readonly recentBytes: number
  /** How long a room is tailed after its last subscriber has left, ms. */
  readonly idleMs?: number
  /** How long to wait before a log that failed is asked again, ms. */
  readonly retryMs?: number
  /** Called when the log says that a room that was there is not there any more. */
  readonly onGone?: (room: RoomId) => void
  /** Of whom what they wrote is not shown. What changes in that, the hub is told by `erase`. */
  readonly isErased?: IsErased
}

interface Entry {
  readonly room: LocalRoom
  readonly ready: Promise<void>
  users: number
  idle?: NodeJS.Timeout
}

/** The rooms of this node: the first local subscriber starts a room's tail, the last one leaving stops it a second later. */
export class Hub {
  readonly #rooms = new Map<RoomId, Entry>()
  readonly #around: RoomSurroundings
  readonly #styles = new Styles()
  readonly #idleMs: number
  readonly #onGone: (room: RoomId) => void
  #closed = false

  constructor({ recentBytes, idleMs = 1000, retryMs = 500, onGone = () => {}, ...around }: HubOptions) {
    const memory = new RecentMemory(recentBytes)
    const catchUp = new CatchUp({ logger: around.logger, retryMs })
    this.#around = { ...around, memory, catchUp, readers: new Readers(), retryMs }
    this.#idleMs = idleMs
    this.#onGone = onGone
  }

  /** How many rooms are tailed now. */
  get rooms(): number {
    return this.#rooms.size
  }

  /** How many bytes of recent records are kept. */
  get recentBytes(): number {
    return this.#around.memory.used
  }

  /**
   * Subscribes to a room that exists. When it resolves the start is fixed: whatever is sent after that is delivered,
   * from the next turn on. Rejects with NO_SUCH_ROOM or LOG_UNAVAILABLE, or DRAINING when the hub is closed.
   */
  async subscribe(id: RoomId, start: Start, wanted: Wanted): Promise<Joined> {
    const entry = this.#enter(id)
    const { room } = entry
    try {
      await entry.ready
      let epoch: Epoch
      let found: Place
      do {
        epoch = room.epoch
        found = await place(room, start)
        // Made anew while we looked, the place is not one of it.
      } while (room.epoch !== epoch)
      if (room.over) throw room.over
      const { next, recovered } = found
      const style = this.#styles.take(wanted.style)
      const subscription = new Subscription(room, next, { ...wanted, style }, () => {
        this.#styles.release(style)
        this.#leave(entry)
      })
      room.subscriptions.add(subscription)
      room.catchUp(subscription)
      if (recovered === undefined) return { subscription }
      return { subscription, recovered, ...(recovered ? {} : { first: messageId(room.epoch, next) }) }
    } catch (error) {
      this.#leave(entry)
      throw error
    }
  }

  #enter(id: RoomId): Entry {
    if (this.#closed) throw fail('DRAINING')
    let entry = this.#rooms.get(id)
    if (!entry) {
      entry = this.#open(id)
      this.#rooms.set(id, entry)
    }
    clearTimeout(entry.idle)
    entry.users++
    return entry
  }

  #open(id: RoomId): Entry {
    const forget = (): void => {
      clearTimeout(entry.idle)
      if (this.#rooms.get(id) === entry) this.#rooms.delete(id)
    }
    const gone = (): void => {
      forget()
      this.#onGone(id)
    }
    const room = new LocalRoom(id, this.#around, gone)
    const ready = room.open().catch((error: unknown) => {
      if (error instanceof HoofbeatError && error.code === 'NO_SUCH_ROOM') gone()
      else forget()
      throw error
    })
    const entry: Entry = { room, ready, users: 0 }
    return entry
  }

  #leave(entry: Entry): void {
    const { room } = entry
    if (--entry.users > 0 || this.#rooms.get(room.id) !== entry) return
    entry.idle = setTimeout(() => {
      this.#rooms.delete(room.id)
      room.close()
    }, this.#idleMs)
    entry.idle.unref()
  }

  /** What more people wrote is erased: what is kept of it in memory goes. */
  erase(): void {
    for (const { room } of this.#rooms.values()) room.erase()
  }

  /** Stops all tails, for the end of the process. */
  close(): void {
    this.#closed = true
    for (const { room, idle } of this.#rooms.values()) {
      clearTimeout(idle)
      room.end(fail('DRAINING'))
    }
    this.#rooms.clear()
  }
}
