import type { Test } from 'tap'
import type { Db } from '../../database/database.ts'
import { openLevelLog } from '../../drivers/level/room-log.ts'
import { messageId } from '../../ports/message-id.ts'
import type { NewRecord, RoomId, RoomLog } from '../../ports/room-log.ts'
import { silent } from '../../testkit/database.ts'
import { scratch } from '../../testkit/node.ts'

/** An embedded log of the test's own. */
export const testLog = async (t: Test): Promise<RoomLog> => {
  const options = { roomsMax: 1000, idempotencyWindow: 600_000, logger: silent }
  const log = await openLevelLog({ folder: await scratch(t), ...options })
  t.teardown(() => log.close())
  return log.port
}

type Text = string | Buffer

export const record = (sender: string, body: Text, headers: Readonly<Record<string, string>> = {}): NewRecord => ({
  sender,
  headers: new Map(Object.entries(headers)),
  body: Buffer.from(body),
})

/** Appends one record and resolves with its message-id. */
export const say = async (
  log: RoomLog,
  room: RoomId,
  ...[sender, body, headers]: Parameters<typeof record>
): Promise<string> => {
  const [position] = await log.append(room, [record(sender, body, headers)])
  return messageId(position!.epoch, position!.offset)
}

/** Each row of a room in the archive, in order, by what is in it. */
export const archived = async (db: Db, room: RoomId) => {
  const rows = await db
    .selectFrom('messages')
    .selectAll()
    .where('room_id', '=', room)
    .orderBy('generation')
    .orderBy('at_offset')
    .execute()
  return rows.map(({ at_offset, changed_offset, ...row }) => ({
    ...row,
    offset: Number(at_offset),
    changed: Number(changed_offset),
  }))
}

/** The same, as their texts; what is gone is empty. */
export const texts = async (db: Db, room: RoomId): Promise<string[]> =>
  (await archived(db, room)).map(({ kind, body }) => (kind === 'unreadable' ? 'unreadable' : body))
