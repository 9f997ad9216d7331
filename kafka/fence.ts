import { fail } from '../server/errors.ts'
import type { Offset, RoomId } from '../server/ports/room-log.ts'
import { NotYet, notYet } from './cluster.ts'
import type { Cluster } from './cluster.ts'
import type { Home, Homes } from './homes.ts'
import { encodeBatch, packBarrier } from './record.ts'
import { KafkaError, produce } from './wire.ts'

export interface FenceOptions {
  /** How far the clocks of two brokers may differ, ms. */
  readonly skew: number
  /** ms that a broker may wait for its copies before it answers. */
  readonly brokerTimeout: number
}

/** A barrier is nobody's: it may be in the log twice, and has no number. */
const NOBODY = { producerId: -1n, producerEpoch: -1, sequence: -1 }

/**
 * Makes sure that nothing old gets into a room's log any more. A broker refuses records whose time is too long ago, so one
 * that has refused a record of a certain time has refused, or will refuse, every record of that time or an earlier one
 * that was not in the log by then. What shows it is a record that readers skip.
 */
export class Fence {
  readonly #cluster: Cluster
  readonly #homes: Homes
  readonly #options: FenceOptions

  constructor(cluster: Cluster, homes: Homes, options: FenceOptions) {
    this.#cluster = cluster
    this.#homes = homes
    this.#options = options
  }

  /**
   * Resolves when no record of `time` (epoch ms) or earlier can get into the log of the room any more, with an offset
   * behind all that have. Rejects with LOG_UNAVAILABLE where that does not come about within the log's timeout.
   */
  async raise(home: Home, time: number): Promise<Offset> {
    // Another broker may lead the room next, with a clock that is behind.
    const probe = time + this.#options.skew
    await this.#cluster.patiently(async () => {
      const { errorCode } = await this.#write(home, probe)
      if (errorCode === KafkaError.INVALID_TIMESTAMP) return
      throw errorCode === KafkaError.NONE
        ? new NotYet(`${home.topic} takes records of ${probe} still`)
        : notYet(home.topic, errorCode)
    })
    return this.#cluster.patiently(async () => {
      const { errorCode, baseOffset } = await this.#write(home, Date.now())
      if (errorCode !== KafkaError.NONE) throw notYet(home.topic, errorCode)
      return baseOffset
    })
  }

  async #write({ id, room, topic }: Home, time: number): Promise<{ errorCode: number; baseOffset: Offset }> {
    const home = await this.#current(room, id)
    const batch = encodeBatch([packBarrier(time)], NOBODY)
    try {
      const link = this.#cluster.link(home.leader, 'fence')
      const answer = await link.call(produce, this.#options.brokerTimeout, [{ topic, batch }])
      const part = answer.responses[0]!.partitionResponses[0]!
      const { errorCode } = part
      if (errorCode !== KafkaError.NONE && errorCode !== KafkaError.INVALID_TIMESTAMP) this.#homes.lost(home)
      return part
    } catch (error) {
      this.#homes.lost(home)
      throw error
    }
  }

  async #current(room: RoomId, id: string): Promise<Home> {
    const home = await this.#homes.of(room)
    if (home.id !== id) throw fail('LOG_UNAVAILABLE', 'the room was removed and made again')
    return home
  }
}
