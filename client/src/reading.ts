import type { RoomInfo } from './api-types.ts'
import { Refusal } from './api.ts'
import type { Message, RoomId } from './chat/index.ts'
import { isMessage } from './components/rows.ts'

/** More unread messages than this are not counted. */
const MOST = 999
/** So long after the server was told how far one has read it is told again, ms, and after it could not be. */
const EVERY = 1_000
const AGAIN = 10_000

type Counted = Pick<RoomInfo, 'id' | 'unread' | 'lastMessageAt'>

/** How far one has read in each room, on this device and, as far as they tell, on one's others. */
export class Reading {
  readonly #tell: (room: RoomId, message: string) => Promise<unknown>
  readonly #watchers = new Set<() => void>()
  /** The time of the newest message by others that is known to be read. */
  readonly #seen = new Map<RoomId, number>()
  /** What the server is to be told next. */
  readonly #untold = new Map<RoomId, string>()

  /** `tell` has the server know; it rejects with Refusal. */
  constructor(tell: (room: RoomId, message: string) => Promise<unknown>) {
    this.#tell = tell
  }

  readonly subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /**
   * How many messages of others in a room are unread. Two counts are right or too high: the server's, as of the message that
   * its list knew as the newest, with what has come since; and what has come since what was seen here.
   */
  unread({ id, unread = 0, lastMessageAt }: Counted, messages: readonly Message[], user: string): number {
    const seen = this.#seen.get(id) ?? Infinity
    let [counted, here] = [unread, seen === Infinity ? MOST : 0]
    for (let at = messages.length - 1; at >= 0; at--) {
      const message = messages[at]!
      if (message.time <= Math.min(lastMessageAt, seen)) break
      if (message.sender === user || !isMessage(message)) continue
      if (message.time > lastMessageAt) counted++
      if (message.time > seen) here++
    }
    return Math.min(MOST, counted, here)
  }

  /** One sees these messages, down to the newest. */
  see(room: Counted, messages: readonly Message[], user: string): void {
    const newest = messages.findLast(({ sender }) => sender !== user)
    if (!newest) return
    const told = this.unread(room, messages, user) === 0
    this.#move(room.id, newest.time)
    if (told) return
    const telling = this.#untold.has(room.id)
    this.#untold.set(room.id, newest.id)
    if (!telling) void this.#say(room.id)
  }

  /** One has seen a message on another device. Answers if that is of use: where the message is not here, only the server can count. */
  heard(room: RoomId, id: string, messages: readonly Message[]): boolean {
    const message = messages.find(each => each.id === id)
    if (message) this.#move(room, message.time)
    return message !== undefined
  }

  #move(room: RoomId, time: number): void {
    if (time <= (this.#seen.get(room) ?? -1)) return
    this.#seen.set(room, time)
    for (const watcher of this.#watchers) watcher()
  }

  /** Goes on until the server knows the newest. */
  async #say(room: RoomId): Promise<void> {
    for (let said: string | undefined; said !== this.#untold.get(room);) {
      const message = this.#untold.get(room) ?? ''
      const passing = await this.#tell(room, message).then(() => false, isPassing)
      if (!passing) said = message
      await new Promise(resolve => setTimeout(resolve, passing ? AGAIN : EVERY))
    }
    this.#untold.delete(room)
  }
}

/** What another try may help against. */
const isPassing = (error: unknown): boolean =>
  error instanceof Refusal && (error.status === 0 || error.status === 429 || error.status >= 500)
