import type { Logger } from '../ports/logger.ts'
import type { Meter } from '../ports/meter.ts'
import type { RoomId, RoomLog } from '../ports/room-log.ts'
import { CatchUp } from './catch-up.ts'
import { messageId } from './destination.ts'
import { LocalRoom, type RoomSurroundings } from './local-room.ts'
import { RecentMemory } from './recent.ts'
import { place, type Start } from './start.ts'
import { Styles, type Style } from './style.ts'
import { Subscription, type SubscriptionOptions } from './subscription.ts'

/** A subscription as asked for; the hub finds the style that others share. */
export type Wanted = Omit<SubscriptionOptions, 'style'> & { readonly style: Omit<Style, 'users'> }

export interface Subscribed {
  readonly subscription: Subscription
  /** For `after`: whether everything since then is there. */
  readonly recovered?: boolean
  /** Where delivery begins instead, as a message-id, if not. */
  readonly first?: string
}

/** The rooms of this node: the first local subscriber starts a room's tail, the last one leaving stops it a second later. */
export class Hub {
  readonly #rooms = new Map<RoomId, { room: LocalRoom; ready: Promise<void>; users: number; idle?: NodeJS.Timeout }>()
  readonly #around: RoomSurroundings
  readonly #styles = new Styles()
  readonly #idleMs: number

  constructor(options: { log: RoomLog; meter: Meter; logger: Logger; recentBytes: number; idleMs?: number }) {
    this.#around = { ...options, memory: new RecentMemory(options.recentBytes), catchUp: new CatchUp() }
    this.#idleMs = options.idleMs ?? 1000
  }

  /** How many rooms are tailed now. */
  get rooms(): number {
    return this.#rooms.size
  }

  /**
   * Subscribes to a room that exists. When it resolves the start is fixed: whatever is sent after that is delivered,
   * from the next turn on. Rejects with NO_SUCH_ROOM or LOG_UNAVAILABLE.
   */
  async subscribe(id: RoomId, start: Start, wanted: Wanted): Promise<Subscribed> {
    const room = await this.#enter(id)
    try {
      const { next, recovered } = await place(room, this.#around.log, start)
      const { version, framing, subscription: name, acks } = wanted.style
      const style = this.#styles.take(version, framing, name, acks)
      const subscription = new Subscription(room, next, { ...wanted, style }, () => {
        this.#styles.release(style)
        this.#leave(id, room)
      })
      room.subscriptions.add(subscription)
      room.catchUp(subscription)
      if (recovered === undefined) return { subscription }
      return { subscription, recovered, ...(recovered ? {} : { first: messageId(room.epoch, next) }) }
    } catch (error) {
      this.#leave(id, room)
      throw error
    }
  }

  async #enter(id: RoomId): Promise<LocalRoom> {
    let entry = this.#rooms.get(id)
    if (!entry || entry.room.closed) {
      const room = new LocalRoom(id, this.#around)
      entry = { room, ready: room.open(), users: 0 }
      this.#rooms.set(id, entry)
    }
    clearTimeout(entry.idle)
    entry.users++
    try {
      await entry.ready
    } catch (error) {
      if (this.#rooms.get(id) === entry) this.#rooms.delete(id)
      throw error
    }
    return entry.room
  }

  #leave(id: RoomId, room: LocalRoom): void {
    const entry = this.#rooms.get(id)
    if (entry?.room !== room || --entry.users > 0) return
    entry.idle = setTimeout(() => {
      room.close()
      if (this.#rooms.get(id) === entry) this.#rooms.delete(id)
    }, this.#idleMs)
    entry.idle.unref()
  }

  /** Stops all tails, for the end of the process. */
  close(): void {
    for (const { room, idle } of this.#rooms.values()) {
      clearTimeout(idle)
      room.close()
    }
    this.#rooms.clear()
  }
}
