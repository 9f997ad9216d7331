import { sql } from 'kysely'
import type { Test } from 'tap'
import { transaction, type Db } from '../../database/database.ts'
import { memorySignals } from '../../drivers/memory/signals.ts'
import type { NewRecord, RoomLog } from '../../ports/room-log.ts'
import { leaveBehind } from '../../rooms/index.ts'
import { people, roomOf } from '../../rooms/testkit/people.ts'
import { silent } from '../../testkit/database.ts'
import { until } from '../../testkit/node.ts'
import { openArchive, type Archive, type ArchiveOptions } from '../archive.ts'
import { record, testLog } from './log.ts'

/** An archive that looks only at what it is hinted at, after a first look at everything, unless `every` says otherwise. */
export const archive = (t: Test, options: Pick<ArchiveOptions, 'db' | 'log'> & Partial<ArchiveOptions>): Archive => {
  const signals = memorySignals().port
  const opened = openArchive({ signals, leave: leaveBehind, logger: silent, every: 3_600_000, gathered: 1, ...options })
  t.teardown(() => opened.close())
  return opened
}

/** A room with members whose log is there. */
export const scene = async (t: Test, db: Db) => {
  const log = await testLog(t)
  const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
  const room = await roomOf(db, ann, { members: [bob, cem] })
  await log.create([room])
  return { log, ann, bob, cem, room }
}

/** `log` with other ways to be read. */
export const reading = (
  log: RoomLog,
  other: Partial<Pick<RoomLog, 'read' | 'bounds'>>,
): Pick<RoomLog, 'read' | 'bounds'> => ({
  read: (room, from, limit) => log.read(room, from, limit),
  bounds: room => log.bounds(room),
  ...other,
})

export const lastMessage = async (db: Db, room: string): Promise<number> => {
  const row = db.selectFrom('rooms').select('last_message_at').where('id', '=', room)
  return (await row.executeTakeFirstOrThrow()).last_message_at
}

/** Up to where each life of a room's log is copied. */
export const lives = async (db: Db, room: string): Promise<number[]> => {
  const rows = db.selectFrom('room_epochs').select('next_offset').where('room_id', '=', room).orderBy('generation')
  return (await rows.execute()).map(({ next_offset }) => Number(next_offset))
}

/** Resolves when the archive has all of a room's log as it is now. */
export const caughtUp = async (db: Db, log: RoomLog, room: string): Promise<void> => {
  const { next } = await log.bounds(room)
  await until(async () => ((await lives(db, room)).at(-1) ?? 0) === Number(next))
}

export const numbered = (sender: string, from: number, count: number): NewRecord[] =>
  Array.from({ length: count }, (_, i) => record(sender, String(from + i)))

/** Resolves when a transaction has begun that holds the room's row; ends it when told to. */
export const holdRoom = async (db: Db, room: string): Promise<() => Promise<void>> => {
  const held = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  const over = transaction(db, async tx => {
    await sql`select from rooms where id = ${room} for update`.execute(tx)
    held.resolve()
    await release.promise
  })
  await held.promise
  return () => {
    release.resolve()
    return over
  }
}
