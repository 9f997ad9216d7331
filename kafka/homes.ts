import { fail } from '../server/errors.ts'
import type { Logger } from '../server/ports/logger.ts'
import type { Bounds, Offset, RoomId } from '../server/ports/room-log.ts'
import { NotYet } from './cluster.ts'
import type { Cluster, Listing } from './cluster.ts'
import { Gather } from './gather.ts'
import { topicOf } from './topics.ts'

/** Where a room is, as far as we know: its topic, and the broker that leads it. */
export interface Home {
  readonly room: RoomId
  readonly topic: string
  /** The topic's id, hex: another one for every life of the room. */
  readonly id: string
  /** The broker to ask about the room; -1 while that is unknown. */
  leader: number
  /** After the newest record that anyone was shown. What lies before it is in the log, whatever an answer says. */
  end: Offset
  /** When Kafka said so, epoch ms. */
  found: number
}

const EARLIEST = -2n
const LATEST = -1n
/** Twice, this long apart (ms), must a room that was there be unknown: one broker alone may just be behind. */
export const SECOND_LOOK = 100

/** The log ends before what was shown of it: a new leader learns of its own end a moment after its election. */
class Behind extends NotYet {
  readonly #accept: () => void
  constructor(message: string, accept: () => void) {
    super(message)
    this.#accept = accept
  }
  override abandoned(): void {
    this.#accept()
  }
}

/** Where each room is and how far its log reaches. The methods that ask Kafka try once; see `Cluster.patiently`. */
export class Homes {
  readonly #cluster: Cluster
  readonly #logger: Logger
  readonly #homes = new Map<RoomId, Home>()
  readonly #listings: Gather<string, Listing | undefined>
  /** By what is asked, and of whom. */
  readonly #offsets = new Map<string, Gather<string, Offset>>()
  readonly #leads = new Map<number, Gather<string, undefined>>()

  constructor(cluster: Cluster, logger: Logger) {
    this.#cluster = cluster
    this.#logger = logger
    this.#listings = new Gather(topics => cluster.list(topics))
  }

  /** Where the room is. Rejects with NO_SUCH_ROOM; with anything else it may be asked again. */
  async of(room: RoomId): Promise<Home> {
    const known = this.#homes.get(room)
    return known && known.leader >= 0 ? known : this.look(room)
  }

  /** What we know of the room without asking. */
  known(room: RoomId): Home | undefined {
    return this.#homes.get(room)
  }

  /** Asks Kafka where the room is now; rejects as `of` does. */
  async look(room: RoomId): Promise<Home> {
    const topic = topicOf(room)
    let listing = await this.#listings.ask(topic)
    if (!listing && this.#homes.has(room)) {
      await this.#cluster.pause(SECOND_LOOK)
      listing = await this.#listings.ask(topic)
    }
    if (!listing) {
      this.#homes.delete(room)
      throw fail('NO_SUCH_ROOM', room)
    }
    const { id, leader } = listing
    const known = this.#homes.get(room)
    const home = known?.id === id ? known : { room, topic, id, leader, end: 0n, found: 0 }
    home.leader = leader
    home.found = Date.now()
    this.#homes.set(room, home)
    if (leader < 0) throw new NotYet(`${topic} has no leader`)
    return home
  }

  /** The leader did not answer as one: the next `of` asks anew. */
  lost(home: Home): void {
    home.leader = -1
  }
  /** The room is known to be gone. */
  forget(room: RoomId): void {
    this.#homes.delete(room)
  }

  /** Records before `next` were shown to somebody. */
  shown(home: Home, next: Offset): void {
    if (next > home.end) home.end = next
  }

  /** Throws where an answer that takes `end` for the log's end comes from a broker that does not know it yet. */
  reaches(home: Home, end: Offset): void {
    const { room, end: shown } = home
    if (end >= shown) return
    this.lost(home)
    throw new Behind(`the log of ${room} reaches ${end}, but ${shown} was shown`, () => {
      if (home.end === shown) this.shortened(home, end)
    })
  }

  /** What was shown beyond `end` is lost: a broker has come back without it. */
  shortened(home: Home, end: Offset): void {
    this.#logger.error({ room: home.room, end: String(end), shown: String(home.end) }, 'the log lost its end')
    home.end = end
  }

  /** Where the log of the room begins and ends. */
  async bounds(home: Home): Promise<Bounds> {
    const bounds = await this.measure(home)
    this.reaches(home, bounds.next)
    this.shown(home, bounds.next)
    return bounds
  }

  /** Where the log of the room ends. */
  async end(home: Home): Promise<Offset> {
    const [next] = await this.#asked(home, Promise.all([this.#offset(home, LATEST), this.#lead(home)]))
    this.reaches(home, next)
    this.shown(home, next)
    return next
  }

  /** The same as the leader has it, also where it has not got all that was shown. */
  async measure(home: Home): Promise<Bounds> {
    // Offsets are asked for by name, so somebody has to say whether the name still means this life of the room.
    const asking = Promise.all([this.#offset(home, EARLIEST), this.#offset(home, LATEST), this.#lead(home)])
    const [first, next] = await this.#asked(home, asking)
    return { epoch: home.id, first, next: first > next ? first : next }
  }

  /** The offset of the first record of `time` (epoch ms) or later; where there is none, of the first that comes. */
  async since(home: Home, time: number): Promise<Offset> {
    const { room, topic } = home
    const { leader } = await this.of(room)
    const [offset] = await this.#cluster.offsets(leader, BigInt(time), [topic])
    if (offset instanceof Error) {
      this.lost(home)
      throw offset
    }
    return offset! < 0n ? (await this.bounds(home)).next : offset!
  }

  async #asked<T>(home: Home, asking: Promise<T>): Promise<T> {
    try {
      return await asking
    } catch (error) {
      this.lost(home)
      throw error
    }
  }

  #offset({ leader, topic }: Home, timestamp: bigint): Promise<Offset> {
    const key = `${timestamp} ${leader}`
    let gather = this.#offsets.get(key)
    if (!gather) {
      gather = new Gather(topics => this.#cluster.offsets(leader, timestamp, topics))
      this.#offsets.set(key, gather)
    }
    return gather.ask(topic)
  }

  #lead({ leader, id }: Home): Promise<undefined> {
    let gather = this.#leads.get(leader)
    if (!gather) {
      gather = new Gather(ids => this.#cluster.leads(leader, ids))
      this.#leads.set(leader, gather)
    }
    return gather.ask(id)
  }
}
