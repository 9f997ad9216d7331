import { fail } from '../server/errors.ts'
import type { Offset, RoomId } from '../server/ports/room-log.ts'
import { NotYet, notYet } from './cluster.ts'
import type { Cluster } from './cluster.ts'
import type { Place, Places } from './places.ts'
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
  readonly #places: Places
  readonly #options: FenceOptions

  constructor(cluster: Cluster, places: Places, options: FenceOptions) {
    this.#cluster = cluster
    this.#places = places
    this.#options = options
  }

  /**
   * Resolves when no record of `time` (epoch ms) or earlier can get into the log of the room any more, with an offset
   * behind all that have. Rejects with LOG_UNAVAILABLE where that does not come about within the log's timeout.
   */
  async raise(place: Place, time: number): Promise<Offset> {
    // Another broker may lead the room next, with a clock that is behind.
    const probe = time + this.#options.skew
    await this.#cluster.patiently(async () => {
      const { errorCode } = await this.#write(place, probe)
      if (errorCode === KafkaError.INVALID_TIMESTAMP) return
      throw errorCode === KafkaError.NONE
        ? new NotYet(`${place.topic} takes records of ${probe} still`)
        : notYet(place.topic, errorCode)
    })
    return this.#cluster.patiently(async () => {
      const { errorCode, baseOffset } = await this.#write(place, Date.now())
      if (errorCode !== KafkaError.NONE) throw notYet(place.topic, errorCode)
      return baseOffset
    })
  }

  async #write({ id, room, topic }: Place, time: number): Promise<{ errorCode: number; baseOffset: Offset }> {
    const place = await this.#current(room, id)
    const batch = encodeBatch([packBarrier(time)], NOBODY)
    try {
      const link = this.#cluster.link(place.leader, 'fence')
      const answer = await link.call(produce, this.#options.brokerTimeout, [{ topic, batch }])
      const part = answer.responses[0]!.partitionResponses[0]!
      const { errorCode } = part
      if (errorCode !== KafkaError.NONE && errorCode !== KafkaError.INVALID_TIMESTAMP) this.#places.lost(place)
      return part
    } catch (error) {
      this.#places.lost(place)
      throw error
    }
  }

  async #current(room: RoomId, id: string): Promise<Place> {
    const place = await this.#places.of(room)
    if (place.id !== id) throw fail('LOG_UNAVAILABLE', 'the room was removed and made again')
    return place
  }
}
