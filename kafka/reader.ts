import type { Logger } from '../server/ports/logger.ts'
import type { LogRecord, Offset, RoomId } from '../server/ports/room-log.ts'
import { NotYet, notYet } from './cluster.ts'
import type { Cluster } from './cluster.ts'
import type { Home, Homes } from './homes.ts'
import { decodeBatches, findBatch, findKeyed } from './batches.ts'
import type { Keyed } from './batches.ts'
import type { Identity } from './record.ts'
import { fetch, KafkaError } from './wire.ts'
import type { RoomAnswer } from './wire.ts'

const MiB = 1024 * 1024
/** What a reader who wants so many records asks the broker for, in bytes each: it may get fewer of larger ones. */
const RECORD_BYTES = 1024
const LEAST_BYTES = 64 * 1024
/** Of a fetch's session: there is none. */
const NO_SESSION = { sessionId: 0, sessionEpoch: -1, forgotten: [] }

/** Reads what is in the log, at once and from anywhere. */
export class Reader {
  readonly #cluster: Cluster
  readonly #homes: Homes
  readonly #logger: Logger

  constructor(cluster: Cluster, homes: Homes, logger: Logger) {
    this.#cluster = cluster
    this.#homes = homes
    this.#logger = logger
  }

  /** As `RoomLog.read`. */
  read(room: RoomId, from: Offset, limit: number): Promise<LogRecord[]> {
    return this.#cluster.patiently(async () => {
      const home = await this.#homes.of(room)
      for (let at = from; ;) {
        const bytes = Math.min(MiB, Math.max(LEAST_BYTES, limit * RECORD_BYTES))
        const answer = await this.#fetch(home, at, bytes)
        if (!answer) {
          const { first, next } = await this.#homes.bounds(home)
          if (at > next) return []
          if (at >= first) throw new NotYet(`${room} has ${at} after all`)
          at = first
          continue
        }
        const { records, next, unreadable } = decodeBatches(answer.batches, at, { records: limit, bytes: MiB })
        if (unreadable > 0) this.#logger.warn({ room, from: String(at), unreadable }, 'batches that nobody can read')
        this.#homes.shown(home, next)
        if (records.length > 0) return records
        if (next === at) {
          // Nothing from here on: unless this broker is behind what was shown already.
          if (at < home.end) this.#homes.reaches(home, answer.end)
          return []
        }
        at = next
      }
    })
  }

  /** The offset of our own batch, if it is in the log at or after `from`. Rejects with LOG_UNAVAILABLE. */
  find(home: Home, identity: Identity, from: Offset): Promise<Offset | undefined> {
    return this.#cluster.patiently(async () => {
      for (let at = from; ;) {
        const answer = await this.#fetch(home, at)
        const { offset, next } = findBatch(answer?.batches ?? Buffer.alloc(0), identity)
        if (offset !== undefined || next === undefined) return offset
        at = next
      }
    })
  }

  /**
   * Hands what was written with idempotency keys to `visit`, page by page: from the first record of `time` (epoch ms) or later
   * up to the record at `to`, which is in the log.
   */
  async keyed(home: Home, time: number, to: Offset, visit: (page: Keyed[]) => Promise<void>): Promise<void> {
    let at = await this.#cluster.patiently(() => this.#homes.since(home, time))
    while (at < to) {
      const { keyed, next } = await this.#cluster.patiently(async () => {
        const answer = await this.#fetch(home, at)
        if (!answer) return { keyed: [], next: (await this.#homes.bounds(home)).first }
        const page = findKeyed(answer.batches, at, to)
        if (page.next === at) throw new NotYet(`${home.topic} has no ${at} yet`)
        return page
      })
      await visit(keyed)
      at = next
    }
  }

  /** One try; undefined where `from` is out of range. */
  async #fetch(home: Home, from: Offset, bytes = MiB): Promise<RoomAnswer | undefined> {
    const wanted = [{ id: home.id, from, bytes }]
    try {
      const link = this.#cluster.link(home.leader, 'read')
      const { errorCode, rooms } = await link.call(fetch, { ...NO_SESSION, wait: 0, bytes, wanted })
      const answer = rooms[0]
      if (answer?.errorCode === KafkaError.OFFSET_OUT_OF_RANGE) return undefined
      if (!answer || answer.errorCode !== KafkaError.NONE) throw notYet(home.topic, answer?.errorCode ?? errorCode)
      return answer
    } catch (error) {
      this.#homes.lost(home)
      throw error
    }
  }
}
