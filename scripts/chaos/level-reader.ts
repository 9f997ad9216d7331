import { join } from 'node:path'
import { openLevelLog } from '../../server/drivers/level/room-log.ts'
import type { Kept, Ledger } from './ledger.ts'

const PAGE = 1_000
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** Reads on in the rooms of a node that is down, from where the ledger is, and enters what is there. */
export const readFolder = async (data: string, rooms: readonly string[], ledger: Ledger): Promise<void> => {
  const options = { roomsMax: 1_000, idempotencyWindow: 600_000, logger: silent }
  const driver = await openLevelLog({ folder: join(data, 'log'), ...options })
  const log = driver.port
  try {
    for (const room of rooms) {
      const { next } = await log.bounds(room)
      for (let from = BigInt(ledger.next(room)); from < next; from = BigInt(ledger.next(room))) {
        const page = await log.read(room, from, PAGE)
        const records = page.map((each): Kept => ({ ...each, offset: Number(each.offset) }))
        const last = records.at(-1)
        ledger.learn(room, records, last ? last.offset + 1 : Number(next))
      }
      // A log that became shorter has lost what was acknowledged, whatever is written at those places later.
      if (next < BigInt(ledger.next(room)))
        ledger.broke('lost', `${room} ends at ${next} and reached ${ledger.next(room)}`)
    }
  } finally {
    await driver.close()
  }
}
