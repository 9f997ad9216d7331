import type { NewRecord, Offset } from '../../ports/room-log.ts'
import type { Batch } from './batch.ts'
import type { Room } from './room.ts'
import { everything, keyRow, readUseValue, readUsedRows, timeOfUsedRow, type Use } from './rows.ts'
import type { Store } from './store.ts'

/** How many batches' old keys go with one batch at most. */
const SWEEP = 4
/** ms that an old key may stay, so that not every batch looks for them. */
const SWEEP_SLACK = 1000

/** The idempotency keys that were used within the window, kept in the batches of their records. */
export class Keys {
  readonly #store: Store
  /** ms */
  readonly #window: number
  /** Before this there is nothing to sweep, epoch ms. */
  #sweepFrom = 0

  constructor(store: Store, window: number) {
    this.#store = store
    this.#window = window
  }

  /** Finds out what `append` has to know about `keyed`, and takes some old keys away. */
  prepare(batch: Batch, keyed: readonly (readonly [Room, NewRecord])[]): Promise<unknown> | undefined {
    const sweep = batch.time >= this.#sweepFrom
    if (keyed.length === 0 && !sweep) return undefined
    return Promise.all([keyed.length > 0 && this.#look(batch, keyed), sweep && this.#sweep(batch)])
  }

  /** Appends `record`, unless its key was used within the window: then it answers the offset of that use. */
  append(batch: Batch, room: Room, record: NewRecord): Offset {
    if (record.key === undefined) return batch.append(room, record)
    const row = keyRow(room.life, record.sender, record.key)
    const name = row.toString('latin1')
    const used = batch.uses.get(name)
    if (used && !this.#isOld(used, batch)) return used.offset
    const offset = batch.append(room, record)
    batch.uses.set(name, { time: batch.time, offset })
    batch.use(room, offset, row)
    return offset
  }

  #isOld({ time }: Use, batch: Batch): boolean {
    return batch.time - time > this.#window
  }

  async #look(batch: Batch, keyed: readonly (readonly [Room, NewRecord])[]): Promise<void> {
    const rows = keyed.map(([room, { sender, key }]) => keyRow(room.life, sender, key!))
    const values = await this.#store.getMany(rows)
    for (const [i, value] of values.entries()) {
      if (value) batch.uses.set(rows[i]!.toString('latin1'), readUseValue(value))
    }
  }

  /** The old keys go before anything else is in the batch: one of them may be used again in it. */
  async #sweep(batch: Batch): Promise<void> {
    const used = await this.#store.entries(everything('x'), SWEEP)
    const old = used.filter(([row]) => batch.time - timeOfUsedRow(row) > this.#window)
    const rows = old.flatMap(([, value]) => readUsedRows(value))
    const values = await this.#store.getMany(rows)
    for (const [row] of old) batch.del(row)
    // One that was used again later has a later time, and the row of a later batch tells of it.
    for (const [i, row] of rows.entries()) {
      const value = values[i]
      if (value && this.#isOld(readUseValue(value), batch)) batch.del(row)
    }
    const oldest = used[old.length]
    if (oldest) this.#sweepFrom = timeOfUsedRow(oldest[0]) + this.#window + SWEEP_SLACK
    else if (used.length === 0) this.#sweepFrom = batch.time + this.#window
  }
}
