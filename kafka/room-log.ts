import { deleteRecordsV2 } from '@platformatic/kafka'
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { fail, HoofbeatError } from '../server/errors.ts'
import type { Claims } from '../server/ports/claims.ts'
import type { Driver } from '../server/ports/driver.ts'
import type { Logger } from '../server/ports/logger.ts'
import type {
  Bounds,
  LogRecord,
  NewRecord,
  Offset,
  Position,
  RoomId,
  RoomLog,
  Sink,
  Tail,
} from '../server/ports/room-log.ts'
import { Appends } from './appends.ts'
import { Cluster, notYet } from './cluster.ts'
import { Creation } from './creation.ts'
import { Fence } from './fence.ts'
import { Keys } from './keys.ts'
import { Homes } from './homes.ts'
import { Producer } from './producer.ts'
import { Reader } from './reader.ts'
import { Tails } from './tails.ts'
import { PARTITION } from './topics.ts'
import { KafkaError } from './wire.ts'

export interface KafkaLogOptions {
  /** host:port of some of the brokers. */
  readonly brokers: readonly string[]
  readonly clientId?: string
  readonly tls?: Pick<TlsOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized'>
  readonly sasl?: {
    readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
    readonly username: string
    readonly password: string
  }
  /** Copies of each new room. */
  readonly replication: number
  /** How long a new room keeps its records, ms; -1: for ever. */
  readonly retentionMs: number
  /** How long the log may be away before a call is rejected, ms. */
  readonly logTimeout: number
  /** What may wait to be written, in bytes. Beyond it `append` rejects at once. */
  readonly queueBytes: number
  /** How many rooms there may be in the cluster. */
  readonly roomsMax: number
  /** Who uses which idempotency key: shared with all that write to this cluster, or keys hold among those that share it. */
  readonly claims: Claims
  /** How long a key is known, ms: the same as that of `claims`. */
  readonly idempotencyWindow: number
  readonly logger: Logger
}

/** After this long without an answer a broker counts as gone, ms; less only where the log's own timeout is shorter. */
const ANSWER_WITHIN = { least: 2_000, most: 5_000 }
/** How far clocks that ought to be the same may differ, ms; less only where the log's own timeout is short. */
const SKEW = 1_000

class KafkaRoomLog implements RoomLog {
  readonly #cluster: Cluster
  readonly #homes: Homes
  readonly #reader: Reader
  readonly #appends: Appends
  readonly #tails: Tails
  readonly #creation: Creation
  readonly #options: KafkaLogOptions
  #closing = false

  constructor(options: KafkaLogOptions) {
    const { logger, logTimeout } = options
    const timeout = Math.max(ANSWER_WITHIN.least, Math.min(ANSWER_WITHIN.most, logTimeout))
    this.#options = options
    this.#cluster = new Cluster({ clientId: 'hoofbeat', ...options, timeout })
    this.#homes = new Homes(this.#cluster, logger)
    this.#reader = new Reader(this.#cluster, this.#homes, logger)
    const brokerTimeout = Math.floor(timeout * 0.8)
    const producer = new Producer(this.#cluster, this.#homes, this.#reader, { logTimeout, brokerTimeout, logger })
    const skew = Math.min(SKEW, logTimeout / 10)
    const fence = new Fence(this.#cluster, this.#homes, { skew, brokerTimeout })
    const keysOptions = { ...options, window: options.idempotencyWindow, skew }
    const keys = new Keys(this.#cluster, this.#homes, this.#reader, fence, keysOptions)
    this.#appends = new Appends(producer, keys, options)
    this.#tails = new Tails(this.#cluster, this.#homes, logger)
    this.#creation = new Creation(this.#cluster, this.#homes, { ...options, making: () => keys.making() })
  }

  async create(rooms: readonly RoomId[]): Promise<void> {
    this.#require()
    await this.#creation.create(rooms)
  }

  append(room: RoomId, records: readonly NewRecord[]): Promise<Position[]> {
    return this.#appends.append(room, records)
  }

  async tail(room: RoomId, from: Offset | 'end', sink: Sink): Promise<Tail> {
    this.#require()
    return this.#tails.tail(room, from, sink)
  }

  async read(room: RoomId, from: Offset, limit: number): Promise<LogRecord[]> {
    this.#require()
    return this.#reader.read(room, from, limit)
  }

  async bounds(room: RoomId): Promise<Bounds> {
    this.#require()
    return this.#cluster.patiently(async () => this.#homes.bounds(await this.#homes.of(room)))
  }

  async remove(room: RoomId, before?: Offset): Promise<void> {
    this.#require()
    if (before !== undefined) {
      await this.#removeBefore(room, before).catch((error: unknown) => {
        if (!(error instanceof HoofbeatError) || error.code !== 'NO_SUCH_ROOM') throw error
      })
      return
    }
    await this.#creation.remove(room)
    this.#tails.removed(room)
  }

  /** Rejects, within `timeout` ms, where no broker answers. */
  async check(timeout: number): Promise<void> {
    this.#require()
    const answered = this.#cluster.patiently(async () => {
      await this.#cluster.metadata([])
      this.#cluster.controller()
    }, timeout)
    // A request may be out for longer than that.
    const late = this.#cluster.pause(timeout).then(() => {
      throw fail('LOG_UNAVAILABLE', `no broker answered in ${timeout} ms`)
    })
    await Promise.race([answered, late])
  }

  /** A first look at the cluster, for those who read the log of a start. */
  async greet(): Promise<void> {
    await this.#cluster.metadata([])
    const { logger, replication } = this.#options
    const { size } = this.#cluster
    logger.info({ brokers: size }, 'Kafka answers')
    if (size < replication) logger.warn({ brokers: size, replication }, 'fewer brokers than a room has copies')
  }

  close(): void {
    this.#closing = true
    this.#appends.close()
    this.#tails.close()
    this.#cluster.close()
  }

  #require(): void {
    if (this.#closing) throw fail('LOG_UNAVAILABLE', 'this node is closing')
  }

  async #removeBefore(room: RoomId, before: Offset): Promise<void> {
    await this.#cluster.patiently(async () => {
      const home = await this.#homes.of(room)
      const { first, next } = await this.#homes.bounds(home)
      if (before <= first) return
      const offset = before < next ? before : next
      const topics = [{ name: home.topic, partitions: [{ partitionIndex: PARTITION, offset }] }]
      const link = this.#cluster.link(home.leader, 'ask')
      const answer = await link.call(deleteRecordsV2.api, topics, this.#options.logTimeout)
      const { errorCode } = answer.topics[0]!.partitions[0]!
      if (errorCode !== KafkaError.NONE) {
        this.#homes.lost(home)
        throw notYet(home.topic, errorCode)
      }
    })
  }
}

/** Opens the log of the rooms on a Kafka cluster. A cluster that is away is waited for, by each call on its own. */
export const openKafkaLog = async (options: KafkaLogOptions): Promise<Driver<RoomLog>> => {
  const log = new KafkaRoomLog(options)
  // The cluster may be away, and says so itself.
  void log.greet().catch(() => undefined)
  return { port: log, check: timeout => log.check(timeout), close: async () => log.close() }
}
