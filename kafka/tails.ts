import { fail, HoofbeatError } from '../server/errors.ts'
import type { Logger } from '../server/ports/logger.ts'
import type { Offset, RoomId, Sink, Tail } from '../server/ports/room-log.ts'
import type { Cluster } from './cluster.ts'
import { FetchLane } from './fetch-lane.ts'
import { FollowedRoom } from './followed-room.ts'
import type { Home, Homes } from './homes.ts'
import { fetch, KafkaError } from './wire.ts'

/** A record wakes the poll of its lane, and the broker then looks at all rooms of that lane: at no more than so many. */
const ROOMS_A_LANE = 100

/** How often, without any sign of trouble, it is checked that rooms are still where we read them. ms */
const HOME_HOLDS = 30_000

/** Follows rooms as they grow: which lane reads each, and what becomes of it when something happens to the room. */
export class Tails {
  readonly #cluster: Cluster
  readonly #homes: Homes
  readonly #logger: Logger
  readonly #rooms = new Map<RoomId, FollowedRoom>()
  /** By broker. */
  readonly #lanes = new Map<number, FetchLane[]>()
  #checking: NodeJS.Timeout | undefined
  #closed = false

  constructor(cluster: Cluster, homes: Homes, logger: Logger) {
    this.#cluster = cluster
    this.#homes = homes
    this.#logger = logger
  }

  /** As `RoomLog.tail`. */
  tail(room: RoomId, from: Offset | 'end', sink: Sink): Promise<Tail> {
    return this.#cluster.patiently(async () => {
      const home = await this.#homes.of(room)
      const start = from === 'end' ? await this.#homes.end(home) : await this.#startAt(home, from)
      if (this.#closed) throw fail('LOG_UNAVAILABLE', 'this node is closing')
      const followed = this.#follow(home, start)
      const follower = followed.follow(sink, start)
      const stop = (): void => {
        followed.leave(follower)
        if (followed.empty) this.#drop(followed)
      }
      return { epoch: home.id, next: start, stop }
    })
  }

  async #startAt(home: Home, from: Offset): Promise<Offset> {
    const { first, next } = await this.#homes.bounds(home)
    return from < first || from > next ? first : from
  }

  /** The room has been removed. */
  removed(room: RoomId): void {
    const followed = this.#rooms.get(room)
    if (followed) this.#end(followed, fail('NO_SUCH_ROOM', room))
  }

  /** Ends all tails. */
  close(): void {
    this.#closed = true
    clearInterval(this.#checking)
    for (const followed of this.#rooms.values()) this.#end(followed)
  }

  #follow(home: Home, start: Offset): FollowedRoom {
    const known = this.#rooms.get(home.room)
    if (known?.id === home.id) return known
    if (known) this.#end(known, madeAgain(home.room))
    const followed = new FollowedRoom(home, start, {
      logger: this.#logger,
      shown: (where, next) => this.#homes.shown(where, next),
      trouble: (room, errorCode) => void this.#relocate(room, errorCode),
    })
    this.#rooms.set(home.room, followed)
    this.#assign(followed)
    this.#checking ??= setInterval(() => void this.#check([...this.#rooms.values()]), HOME_HOLDS).unref()
    return followed
  }

  /** Has the room read by a lane of its leader. */
  #assign(followed: FollowedRoom): void {
    const { leader: broker } = followed.home
    if (followed.lane?.broker === broker) return
    followed.lane?.reads.remove(followed)
    const reads = this.#laneOf(broker)
    followed.lane = { broker, reads }
    reads.add(followed)
  }

  #laneOf(broker: number): FetchLane {
    const lanes = this.#lanes.get(broker) ?? []
    this.#lanes.set(broker, lanes)
    const free = lanes.find(({ size }) => size < ROOMS_A_LANE)
    if (free) return free
    const tail = `tail ${lanes.length}` as const
    const lane = new FetchLane({
      fetch: async (on, query) => this.#cluster.link(broker, on === 'tail' ? tail : on).call(fetch, query),
      broken: failures => this.#broken(lane, failures),
    })
    lanes.push(lane)
    return lane
  }

  #leave(followed: FollowedRoom): void {
    followed.lane?.reads.remove(followed)
    followed.lane = undefined
  }

  #drop(followed: FollowedRoom): void {
    this.#leave(followed)
    if (this.#rooms.get(followed.home.room) === followed) this.#rooms.delete(followed.home.room)
  }

  #end(followed: FollowedRoom, error?: Error): void {
    this.#drop(followed)
    followed.end(error)
  }

  /** A broker does not answer. The lane's rooms may be elsewhere by now; those that are not wait for it. */
  async #broken(reads: FetchLane, failures: number): Promise<void> {
    await this.#cluster.backOff(failures)
    await this.#check(Array.from(this.#rooms.values()).filter(({ lane }) => lane?.reads === reads))
  }

  /** Asks where these rooms are, and moves those that are somewhere else. */
  async #check(rooms: readonly FollowedRoom[]): Promise<void> {
    await Promise.all(rooms.map(followed => this.#locate(followed).catch(() => undefined)))
  }

  /** The leader answered with an error for this room. Until it is found again nothing is asked for it. */
  async #relocate(followed: FollowedRoom, errorCode: number): Promise<void> {
    this.#leave(followed)
    this.#logger.debug({ room: followed.home.room, kafka: errorCode }, 'a tail is looked for again')
    while (!followed.empty && !this.#closed) {
      const tries = followed.failures++
      if (tries > 0) await this.#cluster.backOff(tries)
      try {
        return await this.#locate(followed, errorCode === KafkaError.OFFSET_OUT_OF_RANGE)
      } catch {
        // No broker knows now: ask again.
      }
    }
  }

  /** Reads the room where it is now, or ends its tails where it is not what they followed. */
  async #locate(followed: FollowedRoom, outOfRange = false): Promise<void> {
    const { room } = followed.home
    try {
      const home = await this.#homes.look(room)
      if (followed.empty) return
      if (home.id !== followed.id) return this.#end(followed, madeAgain(room))
      if (outOfRange && (await this.#isOut(followed))) return this.#end(followed, lost(room))
      if (!followed.empty) this.#assign(followed)
    } catch (error) {
      if (!(error instanceof HoofbeatError)) throw error
      this.#end(followed, error)
    }
  }

  /** Whether the log is not where the room is read. Its leader has said so: this is not about how far it has got. */
  async #isOut({ home, position }: FollowedRoom): Promise<boolean> {
    const { first, next } = await this.#homes.measure(home)
    if (next < position && next < home.end) this.#homes.shortened(home, next)
    return position < first || position > next
  }
}

const madeAgain = (room: RoomId): Error => fail('LOG_UNAVAILABLE', `${room} was removed and made again`)
const lost = (room: RoomId): Error => fail('LOG_UNAVAILABLE', `records of ${room} are gone before they were delivered`)
