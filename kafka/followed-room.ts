import type { Logger } from '../server/ports/logger.ts'
import type { Offset, Sink } from '../server/ports/room-log.ts'
import type { FetchLane, Followed } from './fetch-lane.ts'
import type { Home } from './homes.ts'
import { decodeBatches } from './batches.ts'
import { KafkaError } from './wire.ts'
import type { RoomAnswer } from './wire.ts'

/** One tail of a room. */
interface Follower {
  readonly sink: Sink
  /** The next offset that it is to be given. */
  next: Offset
}
export interface Around {
  readonly logger: Logger
  /** Records before `next` were handed out. */
  shown(home: Home, next: Offset): void
  /** The broker answered with an error for this room. */
  trouble(room: FollowedRoom, errorCode: number): void
}

/** One life of a room that is followed here, by one tail or more. */
export class FollowedRoom implements Followed {
  readonly home: Home
  /** The lane that reads it, and whose it is; undefined while its leader is being looked for. */
  lane: { readonly broker: number; readonly reads: FetchLane } | undefined
  /** Troubles in a row. */
  failures = 0
  readonly #around: Around
  readonly #followers = new Set<Follower>()
  #position: Offset

  constructor(home: Home, position: Offset, around: Around) {
    this.home = home
    this.#position = position
    this.#around = around
  }

  get id(): string {
    return this.home.id
  }
  get position(): Offset {
    return this.#position
  }
  get empty(): boolean {
    return this.#followers.size === 0
  }

  /** Hands everything from `next` on to `sink`. Where that was read already, it is read once more for it alone. */
  follow(sink: Sink, next: Offset): Follower {
    const follower = { sink, next }
    this.#followers.add(follower)
    if (next < this.#position) {
      this.#position = next
      this.lane?.reads.add(this)
    }
    return follower
  }

  leave(follower: Follower): void {
    this.#followers.delete(follower)
  }

  /** Ends every tail of the room. */
  end(error?: Error): void {
    const followers = [...this.#followers]
    this.#followers.clear()
    for (const { sink } of followers) sink.end(error)
  }

  answered(from: Offset, { errorCode, batches }: RoomAnswer): void {
    if (errorCode !== KafkaError.NONE) return this.#around.trouble(this, errorCode)
    this.failures = 0
    const { records, next, unreadable } = decodeBatches(batches, from)
    const { room } = this.home
    if (unreadable > 0)
      this.#around.logger.warn({ room, from: String(from), unreadable }, 'batches that nobody can read')
    this.#around.shown(this.home, next)
    for (const follower of this.#followers) {
      // An answer to an earlier question may come late, or twice: each tail takes what it has not had, and no gap.
      if (from > follower.next || next <= follower.next) continue
      const fresh = from === follower.next ? records : records.filter(({ offset }) => offset >= follower.next)
      follower.next = next
      if (fresh.length > 0) follower.sink.records(fresh)
    }
    this.#advance()
  }

  /** Reads on from where the tail is that has got least. */
  #advance(): void {
    let least: Offset | undefined
    for (const { next } of this.#followers) if (least === undefined || next < least) least = next
    if (least !== undefined) this.#position = least
  }
}
