import { fail, HoofbeatError } from '../server/errors.ts'
import type { ClaimId } from '../server/ports/claims.ts'
import type { NewRecord, Offset, Position, RoomId } from '../server/ports/room-log.ts'
import type { Claimant, Grant, Keys } from './keys.ts'
import type { Producer } from './producer.ts'
import { packRecord } from './record.ts'
import type { PackedRecord } from './record.ts'
import { sizeOf } from './room-queue.ts'

export interface AppendsOptions {
  /** ms */
  readonly logTimeout: number
  /** What may wait for its outcome, in bytes. */
  readonly queueBytes: number
}

/** One call of `append`, in the form in which it waits. */
interface Call {
  readonly room: RoomId
  readonly records: readonly NewRecord[]
  readonly packed: readonly PackedRecord[]
}

/**
 * What comes to be written: bounded, and in order. What has no key goes straight to the producer. What has one waits until
 * that is claimed, and whatever its senders send to the same room after it waits behind it; other senders do not.
 */
export class Appends {
  readonly #producer: Producer
  readonly #keys: Keys
  readonly #options: AppendsOptions
  /** Of each sender to a room, when the last of its calls that wait has had its turn. */
  readonly #lanes = new Map<string, Promise<void>>()
  #bytes = 0
  #turns = 0
  #closing = false

  constructor(producer: Producer, keys: Keys, options: AppendsOptions) {
    this.#producer = producer
    this.#keys = keys
    this.#options = options
  }

  /** As `RoomLog.append`. */
  async append(room: RoomId, records: readonly NewRecord[]): Promise<Position[]> {
    if (records.length === 0) return []
    if (this.#closing) throw fail('LOG_UNAVAILABLE', 'this node is closing')
    const now = Date.now()
    const call = { room, records, packed: records.map(record => packRecord(record, now)) }
    const bytes = sizeOf(call.packed)
    if (this.#bytes + bytes > this.#options.queueBytes) throw fail('LOG_UNAVAILABLE', 'too much is waiting for it')
    this.#bytes += bytes
    try {
      return await this.#inTurn(call)
    } finally {
      this.#bytes -= bytes
    }
  }

  /** Refuses what comes, and rejects what has no outcome yet. */
  close(): void {
    this.#closing = true
    this.#keys.close()
    this.#producer.close()
  }

  async #inTurn(call: Call): Promise<Position[]> {
    const { room, records, packed } = call
    const keyed = records.some(({ key }) => key !== undefined)
    if (!keyed && this.#lanes.size === 0) return this.#producer.append(room, packed)
    const lanes = [...new Set(records.map(({ sender }) => `${room} ${sender}`))]
    const ahead = lanes.flatMap(lane => this.#lanes.get(lane) ?? [])
    if (!keyed && ahead.length === 0) return this.#producer.append(room, packed)
    const { promise: turn, resolve: pass } = Promise.withResolvers<void>()
    for (const lane of lanes) this.#lanes.set(lane, turn)
    try {
      return await this.#wait(call, keyed, ahead, pass)
    } finally {
      pass()
      for (const lane of lanes) if (this.#lanes.get(lane) === turn) this.#lanes.delete(lane)
    }
  }

  /** @param pass called when the place in the room's order is fixed */
  async #wait(call: Call, keyed: boolean, ahead: readonly Promise<void>[], pass: () => void): Promise<Position[]> {
    const { room, records, packed } = call
    const deadline = performance.now() + 2 * this.#options.logTimeout
    const claimant = { room, records, deadline, turn: ++this.#turns }
    const taking = keyed ? this.#keys.take(claimant) : undefined
    // Whether it could be had is asked only when it is this call's turn.
    taking?.catch(() => undefined)
    await Promise.all(ahead)
    let grant = await taking
    while (grant && !this.#keys.start(grant)) grant = await this.#again(claimant, grant)
    // Without a claim it is as old as its turn: what is too old the broker refuses.
    const written = grant ? this.#write(call, grant) : this.#producer.append(room, at(packed, Date.now()))
    pass()
    return written
  }

  /** A grant that waited for too long for its turn, or went to a call before it. */
  async #again(claimant: Claimant, grant: Grant): Promise<Grant> {
    try {
      const again = await this.#keys.take(claimant, grant)
      void this.#keys.tell(grant)
      return again
    } catch (error) {
      void this.#keys.tell(grant, nothing(grant))
      throw error
    }
  }

  /** Writes what has not been written yet, and says where each record is. */
  async #write({ room, records, packed }: Call, grant: Grant): Promise<Position[]> {
    const { home, ids, settled, claim } = grant
    const places = new Map<ClaimId, number>()
    // The claim's own time: by it the broker refuses the record when others no longer count with it.
    const timed = at(packed, claim.at)
    const fresh: PackedRecord[] = []
    const where = ids.map((id, index) => {
      if (id !== undefined && (settled.has(id) || places.has(id))) return places.get(id) ?? -1
      if (id !== undefined) places.set(id, fresh.length)
      return fresh.push(timed[index]!) - 1
    })
    const written = fresh.length > 0 ? await this.#settling(room, records, grant, places, fresh) : []
    if (fresh.length === 0) void this.#keys.tell(grant)
    return where.map((each, index) => written[each] ?? { epoch: home.id, offset: settled.get(ids[index]!)! })
  }

  async #settling(
    room: RoomId,
    records: readonly NewRecord[],
    grant: Grant,
    places: ReadonlyMap<ClaimId, number>,
    fresh: readonly PackedRecord[],
  ): Promise<Position[]> {
    try {
      const written = await this.#producer.append(room, fresh)
      const positions = new Map(Array.from(places, ([id, index]) => [id, written[index]!]))
      if (written[0]!.epoch === grant.home.id) void this.#keys.tell(grant, offsets(positions))
      else void this.#keys.moved(grant, records, positions)
      return written
    } catch (error) {
      const unknown = error instanceof HoofbeatError && error.code === 'LOG_UNAVAILABLE'
      void this.#keys.tell(grant, unknown ? undefined : nothing(grant))
      throw error
    }
  }
}

const at = (records: readonly PackedRecord[], time: number): PackedRecord[] =>
  records.map(({ packed }) => ({ packed, time }))
const nothing = ({ mine }: Grant): Map<ClaimId, undefined> => new Map(mine.map(id => [id, undefined]))
const offsets = (positions: ReadonlyMap<ClaimId, Position>): Map<ClaimId, Offset> =>
  new Map(Array.from(positions, ([id, { offset }]) => [id, offset]))
