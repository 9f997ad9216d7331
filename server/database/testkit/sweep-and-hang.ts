/** A node that appends what is in its transactional outbox and then does nothing any more: to be killed. */

import { join } from 'node:path'
import { openLevelLog } from '../../drivers/level/room-log.ts'
import type { NewRecord, RoomLog } from '../../ports/room-log.ts'
import { silent } from '../../testkit/database.ts'
import { openDatabase, transaction } from '../database.ts'
import { newId } from '../ids.ts'
import { enqueue, sweepOutbox } from '../outbox.ts'

const folder = process.env['FOLDER']!
const { db } = await openDatabase({ DATA_DIR: folder, DATABASE_POOL: 1, DATABASE_TIMEOUT: 5_000 }, silent)
const { port } = await openLevelLog({
  folder: join(folder, 'log'),
  roomsMax: 10,
  idempotencyWindow: 600_000,
  logger: silent,
})
const room = newId()
await port.create([room])
/** All that a sweep of what is enqueued here calls. */
const hanging: Pick<RoomLog, 'append'> = {
  append: async (room: string, records: readonly NewRecord[]) => {
    await port.append(room, records)
    process.stdout.write(room)
    return new Promise(() => {})
  },
}
await transaction(db, tx => enqueue(tx, room, { sender: 'system', headers: new Map(), body: Buffer.from('hello') }))
sweepOutbox({
  db,
  log: { ...hanging, create: rooms => port.create(rooms), remove: room => port.remove(room) },
  logger: silent,
  lease: 1,
})
setInterval(() => {}, 60_000)
