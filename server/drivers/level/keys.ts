import type { NewRecord, Offset } from '../../ports/room-log.ts'
import type { Batch } from './batch.ts'
import type { Room } from './room.ts'
import { everything, keyOfRow, keyRow, keyRowOfUse, readUseValue, timeOfUseRow, useRow, useValue } from './rows.ts'
import type { Store } from './store.ts'

/** How many old keys go with one batch at most. */
const SWEEP = 256
/** ms that an old key may stay, so that not every batch looks for them. */
const SWEEP_SLACK = 1000

const nameOf = (row: Buffer): string => row.toString('latin1')

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

  /** Finds out what `append` has to know about the keys in `rows`, and takes some old ones away. */
  prepare(batch: Batch, rows: Buffer[]): Promise<unknown> | undefined {
    const sweep = batch.time >= this.#sweepFrom
    if (rows.length === 0 && !sweep) return undefined
    return Promise.all([rows.length > 0 && this.#look(batch, rows), sweep && this.#sweep(batch)])
  }

  async #look(batch: Batch, rows: Buffer[]): Promise<void> {
    const values = await this.#store.getMany(rows)
    for (const [i, value] of values.entries()) if (value) batch.uses.set(nameOf(rows[i]!), readUseValue(value))
  }

  /** Old keys go before anything else is in the batch: one of them may be used again in it. */
  async #sweep(batch: Batch): Promise<void> {
    const rows = await this.#store.entries(everything('x'), SWEEP)
    let oldest: number | undefined
    for (const [row, key] of rows) {
      oldest = timeOfUseRow(row)
      if (batch.time - oldest <= this.#window) break
      oldest = undefined
      batch.del(row)
      batch.del(keyRowOfUse(row, key))
    }
    if (oldest !== undefined) this.#sweepFrom = oldest + this.#window + SWEEP_SLACK
    else if (rows.length === 0) this.#sweepFrom = batch.time + this.#window
  }

  /** Appends `record`, unless its key was used within the window: then it answers the offset of that use. */
  append(batch: Batch, room: Room, record: NewRecord): Offset {
    if (record.key === undefined) return batch.append(room, record)
    const row = keyRow(room.life, record.sender, record.key)
    const used = batch.uses.get(nameOf(row))
    if (used && batch.time - used.time <= this.#window) return used.offset
    if (used) batch.del(useRow(room.life, used))
    const use = { time: batch.time, offset: batch.append(room, record) }
    batch.uses.set(nameOf(row), use)
    batch.put(row, useValue(use))
    batch.put(useRow(room.life, use), keyOfRow(row))
    return use.offset
  }
}
