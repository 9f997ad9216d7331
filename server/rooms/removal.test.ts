import t, { type Test } from 'tap'
import { at, transaction, type Db, type Tx } from '../database/database.ts'
import { sweepOutbox } from '../database/outbox.ts'
import { archive } from '../messages/testkit/archive.ts'
import { record, testLog, texts } from '../messages/testkit/log.ts'
import type { RoomLog } from '../ports/room-log.ts'
import { silent, testDatabases } from '../testkit/database.ts'
import { until } from '../testkit/node.ts'
import { roomRights } from './access.ts'
import { openDirect } from './create.ts'
import { logOfRooms } from './log.ts'
import { removeRoom } from './removal.ts'
import { people, roomOf, told, unlimited } from './testkit/people.ts'

/** `log`, which makes nothing before it is told to. */
const holding = (log: RoomLog, most: number) => {
  const [asked, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let calls = 0
  const slow: RoomLog = {
    append: (room, records) => log.append(room, records),
    tail: (room, from, sink) => log.tail(room, from, sink),
    read: (room, from, limit) => log.read(room, from, limit),
    bounds: room => log.bounds(room),
    remove: (room, before) => log.remove(room, before),
    create: async rooms => {
      if (++calls === most) asked.resolve()
      await held.promise
      await log.create(rooms)
    },
  }
  return { slow, asked: asked.promise, release: held.resolve }
}

/** The removal of the room's log is due now, and done. */
const sweepNow = async (t: Test, db: Db, log: RoomLog, room: string): Promise<void> => {
  await db
    .updateTable('outbox')
    .set({ claimed_until: at(0) })
    .where('room_id', '=', room)
    .execute()
  const swept = sweepOutbox({ db, log, logger: silent, every: 10 })
  t.teardown(() => swept.close())
  await until(async () => (await told(db, room)).length === 0)
}

await testDatabases(t, async (t, { db }) => {
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => transaction(db, work)

  await t.test('a direct room that is deleted and opened again at once is another one', async t => {
    const log = await testLog(t)
    const bridged = logOfRooms(db, log)
    const rights = roomRights({ db, log, cached: 10 })
    const [ann, bob] = await people(db, 'ann', 'bob')
    const open = () => write(tx => openDirect(tx, ann, bob, unlimited()))
    /** As the bridge does, with a RECEIPT where it resolves. */
    const say = async (room: string, text: string): Promise<void> => {
      t.equal(await rights.maySend({ user: ann }, room, record(ann, text)), true)
      await bridged.create([room])
      await bridged.append(room, [record(ann, text)])
    }
    const { room: first } = await open()
    await say(first.id, 'of the first')
    const copied = archive(t, { db, log, every: 10 })
    await until(async () => (await texts(db, first.id)).length === 1)
    await write(tx => removeRoom(tx, first.id))
    rights.ended({ kind: 'room', room: first.id })
    const { room: second, made } = await open()
    t.equal(made, true)
    await say(second.id, 'of the second')
    t.equal(await rights.mayRead({ user: ann }, first.id), false, 'what was said in the first is read by nobody')
    // What the deletion has left to be done is done.
    await sweepNow(t, db, log, first.id)
    const left = () => db.selectFrom('erasures').select('id').where('room_id', '=', first.id).execute()
    await until(async () => (await left()).length === 0 && (await texts(db, second.id)).length > 0)
    await copied.close()
    const kept = await log.read(second.id, 0n, 10)
    t.same(
      kept.map(({ body }) => body.toString()),
      ['of the second'],
      'nothing else, and nothing is lost',
    )
    t.same([await texts(db, first.id), await texts(db, second.id)], [[], ['of the second']])
    await t.rejects(log.bounds(first.id), { code: 'NO_SUCH_ROOM' })
  })
  await t.test(
    'while a log is slow to make logs, nothing of the database is held; whose room is gone has none',
    async t => {
      const log = await testLog(t)
      const [ann] = await people(db, 'ann')
      // More than there are connections to the database.
      const rooms: string[] = []
      for (let i = 0; i < 12; i++) rooms.push(await roomOf(db, ann))
      const [gone, ...kept] = rooms as [string, ...string[]]
      const { slow, asked, release } = holding(log, rooms.length)
      const bridged = logOfRooms(db, slow)
      const making = kept.map(room => bridged.create([room]))
      const inVain = bridged.create([gone, kept[0]!])
      await asked
      await write(tx => removeRoom(tx, gone))
      await sweepNow(t, db, log, gone)
      release()
      await t.rejects(inVain, { code: 'NO_SUCH_ROOM', message: new RegExp(gone) })
      await Promise.all(making)
      await t.rejects(log.bounds(gone), { code: 'NO_SUCH_ROOM' })
      for (const room of kept) t.match(await log.bounds(room), { next: 0n })
    },
  )
})
