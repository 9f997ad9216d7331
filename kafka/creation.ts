import { createTopicsV7, deleteTopicsV6 } from '@platformatic/kafka'
import { fail, HoofbeatError } from '../server/errors.ts'
import type { Logger } from '../server/ports/logger.ts'
import type { RoomId } from '../server/ports/room-log.ts'
import { NotYet, notYet } from './cluster.ts'
import type { Cluster } from './cluster.ts'
import { Gather } from './gather.ts'
import { SECOND_LOOK } from './homes.ts'
import type { Homes } from './homes.ts'
import { isRoomTopic, topicConfigs, topicOf } from './topics.ts'
import { KafkaError } from './wire.ts'

export interface CreationOptions {
  readonly replication: number
  readonly retentionMs: number
  readonly logTimeout: number
  readonly roomsMax: number
  readonly logger: Logger
  /** Called before rooms are made; what it answers is called with the lives of those that were. */
  readonly making: () => (lives: readonly string[]) => Promise<void>
}

/** Topics of one request; a controller makes that many in a fraction of a second. */
const AT_ONCE = 500
/** How long a count of the rooms is good for, ms. The other nodes make rooms too. */
const COUNT_HOLDS = 10_000
/** Errors that go away: a controller that is being elected, a request that took too long, too many at once. */
const PASSING: ReadonlySet<number> = new Set([-1, 5, 7, 8, 13, 14, 15, 16, 41, 89])

const isMissing = (error: unknown): boolean => error instanceof HoofbeatError && error.code === 'NO_SUCH_ROOM'

/** Makes and removes the topics of rooms. */
export class Creation {
  readonly #cluster: Cluster
  readonly #homes: Homes
  readonly #options: CreationOptions
  readonly #calls: Gather<readonly RoomId[], undefined>
  #count = { rooms: 0, at: -Infinity }

  constructor(cluster: Cluster, homes: Homes, options: CreationOptions) {
    this.#cluster = cluster
    this.#homes = homes
    this.#options = options
    this.#calls = new Gather(calls => this.#answer(calls))
  }

  /** As `RoomLog.create`. Calls that come while rooms are being made are served together by the next request. */
  create(rooms: readonly RoomId[]): Promise<void> {
    return this.#calls.ask(rooms)
  }

  /** Removes the room's topic; resolves when the cluster does not know it any more. */
  async remove(room: RoomId): Promise<void> {
    const name = topicOf(room)
    const removed = await this.#cluster.patiently(async () => {
      await this.#cluster.metadata([])
      const answer = await this.#cluster.controller().call(deleteTopicsV6.api, [{ name }], this.#options.logTimeout)
      const { errorCode, topicId } = answer.responses[0]!
      if (errorCode !== KafkaError.NONE && errorCode !== KafkaError.UNKNOWN_TOPIC_OR_PARTITION) {
        throw notYet(name, errorCode)
      }
      return topicId.replaceAll('-', '')
    })
    this.#homes.forget(room)
    await this.#cluster.patiently(async () => {
      const [listing] = await this.#cluster.list([name])
      if (listing instanceof Error) throw listing
      if (listing?.id === removed) throw new NotYet(`${name} is still listed`)
    })
  }

  async #answer(calls: readonly (readonly RoomId[])[]): Promise<(undefined | Error)[]> {
    const missing = await this.#missing(new Set(calls.flat()))
    const make = new Set<RoomId>()
    const refused = new Map<readonly RoomId[], Error>()
    for (const rooms of calls) {
      const more = new Set(rooms.filter(room => missing.has(room) && !make.has(room)))
      if (more.size === 0 || (await this.#fit(make.size + more.size))) for (const room of more) make.add(room)
      else refused.set(rooms, fail('TOO_MANY_ROOMS', `there may be ${this.#options.roomsMax}`))
    }
    const problems = await this.#make([...make])
    return calls.map(rooms => refused.get(rooms) ?? problems.get(rooms.find(room => problems.has(room)) ?? ''))
  }

  /** Those of `rooms` that Kafka does not know. */
  async #missing(rooms: ReadonlySet<RoomId>): Promise<Set<RoomId>> {
    const missing = await this.#unlisted([...rooms])
    const doubtful = missing.filter(room => this.#homes.known(room))
    if (doubtful.length === 0) return new Set(missing)
    // They were there before: perhaps this broker alone is behind.
    await this.#cluster.pause(SECOND_LOOK)
    const gone = new Set(await this.#unlisted(doubtful))
    return new Set(missing.filter(room => gone.has(room) || !doubtful.includes(room)))
  }

  async #unlisted(rooms: readonly RoomId[]): Promise<RoomId[]> {
    const listings = await this.#cluster.patiently(() => this.#cluster.list(rooms.map(topicOf)))
    return rooms.filter((room, index) => {
      const listing = listings[index]
      if (listing === undefined) return true
      // Made again by somebody else: what we know is of its earlier life.
      if (!(listing instanceof Error) && this.#homes.known(room)?.id !== listing.id) this.#homes.forget(room)
      return false
    })
  }

  /** Whether `more` rooms can be made. A count that says no is taken anew before it is believed. */
  async #fit(more: number): Promise<boolean> {
    const fits = (): boolean => this.#count.rooms + more <= this.#options.roomsMax
    if (fits() && Date.now() - this.#count.at < COUNT_HOLDS) return true
    const topics = await this.#cluster.patiently(() => this.#cluster.metadata(null))
    this.#count = { rooms: topics.filter(({ name }) => isRoomTopic(name ?? '')).length, at: Date.now() }
    return fits()
  }

  /** Makes rooms and resolves when each can be used, with what stood in the way of those that could not be made. */
  async #make(rooms: readonly RoomId[]): Promise<Map<RoomId, Error>> {
    if (rooms.length === 0) return new Map()
    const problems = new Map<RoomId, Error>()
    const ours = new Set<RoomId>()
    const making = this.#options.making()
    for (let from = 0; from < rooms.length; from += AT_ONCE) {
      const some = rooms.slice(from, from + AT_ONCE)
      for (const [room, error] of await this.#cluster.patiently(() => this.#createTopics(some, ours)))
        problems.set(room, error)
    }
    const made = rooms.filter(room => !problems.has(room))
    this.#count.rooms += made.length
    // Whoever uses a room waits until its leader knows that it leads; a room that is not listed would not be waited for.
    await this.#cluster.patiently(async () => {
      const looks = await Promise.allSettled(made.map(room => this.#homes.look(room)))
      const missing = looks.find(look => look.status === 'rejected' && isMissing(look.reason))
      if (missing) throw new NotYet('a new room is not listed yet')
    })
    await making(Array.from(ours, room => this.#homes.known(room)?.id).filter(id => id !== undefined))
    return problems
  }

  /** @param ours gets those that this call has made, and nobody else */
  async #createTopics(rooms: readonly RoomId[], ours: Set<RoomId>): Promise<Map<RoomId, Error>> {
    const { replication, logTimeout, logger } = this.#options
    const configs = topicConfigs(this.#options)
    const topics = rooms.map(room => ({
      name: topicOf(room),
      numPartitions: 1,
      replicationFactor: replication,
      assignments: [],
      configs,
    }))
    const answer = await this.#cluster.controller().call(createTopicsV7.api, topics, logTimeout, false)
    const roomsByTopic = new Map(rooms.map(room => [topicOf(room), room]))
    const problems = new Map<RoomId, Error>()
    for (const { name, errorCode, errorMessage } of answer.topics) {
      if (errorCode === KafkaError.NONE) ours.add(roomsByTopic.get(name)!)
      if (errorCode === KafkaError.NONE || errorCode === KafkaError.TOPIC_ALREADY_EXISTS) continue
      if (PASSING.has(errorCode)) throw notYet(name, errorCode)
      logger.error({ topic: name, reason: errorMessage }, 'Kafka refuses to make a room')
      const cause = notYet(name, errorCode)
      problems.set(roomsByTopic.get(name)!, fail('LOG_UNAVAILABLE', 'the room could not be made', { cause }))
    }
    return problems
  }
}
