import { spawn } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openLevelLog } from '../drivers/level/room-log.ts'
import { fail } from '../errors.ts'
import type { LogRecord, NewRecord, RoomLog } from '../ports/room-log.ts'
import { silent, testDatabases } from '../testkit/database.ts'
import { scratch, until } from '../testkit/node.ts'
import { at, openDatabase, transaction, type Db } from './database.ts'
import { newId } from './ids.ts'
import { type AppendingLog, ENTRY_ID, enqueue, enqueueRemove, sweepOutbox, type SweepOptions } from './outbox.ts'

const note = (text: string, size = 0): NewRecord => ({
  sender: 'system',
  headers: new Map([
    ['type', 'system'],
    ['b', '비밀'],
    ['a', '1'],
  ]),
  body: Buffer.concat([Buffer.from(text), Buffer.alloc(size)]),
})

const openLog = async (t: Test, folder?: string): Promise<RoomLog> => {
  const options = { roomsMax: 1000, idempotencyWindow: 600_000, logger: silent }
  const log = await openLevelLog({ folder: folder ?? (await scratch(t)), ...options })
  t.teardown(() => log.close())
  return log.port
}

/** The log with another way to append. */
const withAppend = (log: RoomLog, append: RoomLog['append']): AppendingLog => ({
  create: rooms => log.create(rooms),
  append,
  remove: room => log.remove(room),
})

/** A sweep that looks only when it is told to, unless `every` says otherwise. */
const sweep = (t: Test, options: Omit<SweepOptions, 'logger'> & Partial<SweepOptions>) => {
  const swept = sweepOutbox({ every: 3_600_000, logger: silent, ...options })
  t.teardown(() => swept.close())
  return swept
}

/** Resolves when nothing is left, in one room or at all. */
const empty = async (db: Db, room?: string): Promise<void> => {
  for (const patience = Date.now() + 20_000; Date.now() < patience;) {
    const entries = db.selectFrom('outbox').select('id').limit(1)
    const rows = await (room === undefined ? entries : entries.where('room_id', '=', room)).execute()
    if (rows.length === 0) return
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  throw new Error('the outbox was not emptied')
}

const texts = (records: readonly LogRecord[]): string[] => records.map(({ body }) => body.toString())
const read = (log: RoomLog, room: string): Promise<LogRecord[]> => log.read(room, 0n, 1000)

const readAll = async (log: RoomLog, room: string): Promise<string[]> => {
  const found: LogRecord[] = []
  for (let from = 0n; ;) {
    const page = await log.read(room, from, 1000)
    if (page.length === 0) return texts(found)
    found.push(...page)
    from = page.at(-1)!.offset + 1n
  }
}

await testDatabases(t, async (t, { db, kind, another }) => {
  await t.test('what is committed reaches the log, in order, as it was; what is not does not', async t => {
    const log = await openLog(t)
    const room = newId()
    await transaction(db, async tx => {
      await enqueue(tx, room, note('one'))
      await enqueue(tx, room, note('two'))
    })
    const undone = transaction(db, async tx => {
      await enqueue(tx, room, note('never'))
      throw new Error('undone')
    })
    await t.rejects(undone, { message: 'undone' })
    sweep(t, { db, log })
    await empty(db)
    const records = await read(log, room)
    t.same(texts(records), ['one', 'two'])
    t.equal(records[0]?.sender, 'system')
    t.same([...records[0]!.headers.keys()], ['type', 'b', 'a', ENTRY_ID], 'the order of headers too')
    t.equal(records[0]?.headers.get('b'), '비밀')
    t.not(records[0]?.headers.get(ENTRY_ID), records[1]?.headers.get(ENTRY_ID))
  })

  await t.test('a hint is enough, and so is time', async t => {
    const log = await openLog(t)
    const [hinted, timed] = [newId(), newId()]
    const swept = sweep(t, { db, log })
    await transaction(db, tx => enqueue(tx, hinted, note('hinted')))
    swept.hint()
    await empty(db)
    t.same(texts(await read(log, hinted)), ['hinted'])
    await swept.close()
    sweep(t, { db, log, every: 10 })
    await transaction(db, tx => enqueue(tx, timed, note('timed')))
    await empty(db)
    t.same(texts(await read(log, timed)), ['timed'])
  })

  await t.test('a room’s log is made at its first record, and removed', async t => {
    const log = await openLog(t)
    const [room, gone] = [newId(), newId()]
    const swept = sweep(t, { db, log })
    await transaction(db, tx => enqueue(tx, room, note('made')))
    await transaction(db, async tx => {
      await enqueue(tx, gone, note('for nothing'))
      await enqueueRemove(tx, gone)
    })
    swept.hint()
    await empty(db)
    t.same(texts(await read(log, room)), ['made'])
    await t.rejects(log.bounds(gone), { code: 'NO_SUCH_ROOM' })
  })

  await t.test('a removal that is written down for later waits for its time', async t => {
    const log = await openLog(t)
    const [room, barrier] = [newId(), newId()]
    await log.create([room])
    await transaction(db, async tx => {
      await enqueueRemove(tx, room, 3_600_000)
      await enqueue(tx, barrier, note('barrier'))
    })
    const swept = sweep(t, { db, log, every: 5 })
    await empty(db, barrier)
    t.match(await log.bounds(room), { next: 0n })
    await db
      .updateTable('outbox')
      .set({ claimed_until: at(Date.now() - 1_000) })
      .where('room_id', '=', room)
      .execute()
    await empty(db, room)
    await t.rejects(log.bounds(room), { code: 'NO_SUCH_ROOM' })
    await swept.close()
  })

  await t.test('more than one append takes', async t => {
    const log = await openLog(t)
    const room = newId()
    const names = Array.from({ length: 250 }, (_, i) => `n${i}`)
    await transaction(db, async tx => {
      for (const name of names) await enqueue(tx, room, note(name))
      for (const name of ['large', 'larger']) await enqueue(tx, room, note(name, 700_000))
      const most = 1024 * 1024 - 'largest'.length - 'type'.length - 'system'.length - 'b'.length - '비밀'.length * 3 - 2
      await enqueue(tx, room, note('largest', most))
      await t.rejects(enqueue(tx, room, note('largest', most + 1)), { code: 'FRAME_TOO_LARGE' })
    })
    sweep(t, { db, log })
    await empty(db)
    const found = await readAll(log, room)
    t.same(found.slice(0, 250), names)
    t.same(
      found.slice(250).map(text => text.replaceAll('\0', '')),
      ['large', 'larger', 'largest'],
    )
  })

  await t.test('what the log refuses is tried again, said once, and holds up no other room', async t => {
    const log = await openLog(t)
    const [stuck, free] = [newId(), newId()]
    let refusals = 0
    let broken = true
    const failing = withAppend(log, async (room, records) => {
      if (room !== stuck || !broken) return log.append(room, records)
      refusals++
      throw fail('LOG_UNAVAILABLE')
    })
    const lines: string[] = []
    const write = (_fields: object, message: string): void => void lines.push(message)
    const logger = { debug: write, info: write, warn: write, error: write }
    await transaction(db, tx => enqueue(tx, stuck, note('late')))
    const swept = sweep(t, { db, log: failing, logger, every: 5, again: 1 })
    await until(() => refusals >= 2)
    await transaction(db, tx => enqueue(tx, free, note('at once')))
    await empty(db, free)
    t.same(texts(await read(log, free)), ['at once'])
    await until(() => refusals >= 3)
    broken = false
    await empty(db)
    await swept.close()
    t.same(texts(await read(log, stuck)), ['late'])
    t.equal(lines[0], 'what was decided in SQL is not in the log yet: it is tried again')
    t.equal(lines.at(-1), 'what was decided in SQL goes into the log again')
    t.ok(lines.length < refusals + 2)
  })

  await t.test('several nodes: each entry once, and each room in order', async t => {
    const log = await openLog(t)
    const rooms = Array.from({ length: 20 }, newId)
    const others = [await another(), await another()]
    const sweeps = [db, ...others.map(other => other.db)].map(db => sweep(t, { db, log, every: 1 }))
    const names = Array.from({ length: 15 }, (_, i) => `n${i}`)
    await Promise.all(
      rooms.map(async room => {
        for (const name of names) {
          await transaction(db, tx => enqueue(tx, room, note(name)))
          for (const swept of sweeps) swept.hint()
        }
      }),
    )
    await empty(db)
    for (const room of rooms) t.same(texts(await read(log, room)), names)
  })

  await t.test('a node that stops between append and commit: the entry comes again, with its id', async t => {
    const log = await openLog(t)
    const room = newId()
    const appended = Promise.withResolvers<void>()
    const thaw = Promise.withResolvers<void>()
    const freezing = withAppend(log, async (room, records) => {
      const positions = await log.append(room, records)
      appended.resolve()
      await thaw.promise
      return positions
    })
    await log.create([room])
    await transaction(db, tx => enqueue(tx, room, note('twice')))
    const frozen = sweep(t, { db, log: freezing, lease: 1 })
    await appended.promise
    const other = await another()
    sweep(t, { db: other.db, log, every: 1 })
    await empty(db)
    const records = await read(log, room)
    t.same(texts(records), ['twice', 'twice'])
    t.equal(records[0]?.headers.get(ENTRY_ID), records[1]?.headers.get(ENTRY_ID))
    await transaction(db, tx => enqueue(tx, room, note('after')))
    thaw.resolve()
    await frozen.close()
    await empty(db)
    t.same(texts(await read(log, room)), ['twice', 'twice', 'after'], 'what it did too late harms nothing')
  })

  await t.test('claims that end too early cost repeats, and nothing else', async t => {
    const log = await openLog(t)
    const rooms = Array.from({ length: 100 }, newId)
    const others = [await another(), await another()]
    await transaction(db, async tx => {
      for (const room of rooms) await enqueue(tx, room, note('once'))
    })
    for (const each of [{ db }, ...others]) sweep(t, { db: each.db, log, lease: 0, every: 1 })
    await empty(db)
    for (const room of rooms) {
      const ids = (await read(log, room)).map(({ headers }) => headers.get(ENTRY_ID))
      t.equal(new Set(ids).size, 1)
    }
  })

  await t.test('while a node is at a room, no other touches that room, and it waits for no other room', async t => {
    const log = await openLog(t)
    const room = newId()
    const begun = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    const slow = withAppend(log, async (to, records) => {
      begun.resolve()
      if (to === room) await go.promise
      return log.append(to, records)
    })
    await log.create([room])
    await transaction(db, tx => enqueue(tx, room, note('first')))
    const slowly = sweep(t, { db, log: slow })
    await begun.promise
    await transaction(db, tx => enqueue(tx, room, note('second')))
    const probe = newId()
    const other = await another()
    const swept = sweep(t, { db: other.db, log, every: 1 })
    await transaction(db, tx => enqueue(tx, probe, note('barrier')))
    swept.hint()
    await empty(db, probe)
    t.same(await read(log, room), [])
    const elsewhere = newId()
    await transaction(db, tx => enqueue(tx, elsewhere, note('of another room')))
    await swept.close()
    slowly.hint()
    await empty(db, elsewhere)
    go.resolve()
    await empty(db)
    t.same(texts(await read(log, room)), ['first', 'second'])
  })

  if (kind === 'embedded') return
  await t.test('without a database it waits', async t => {
    const log = await openLog(t)
    const database = await another()
    const swept = sweep(t, { db: database.db, log, every: 1 })
    await database.close()
    swept.hint()
    await swept.close()
    t.pass('it ends')
  })
})

await t.test('kill -9 between append and commit, embedded', async t => {
  const folder = await scratch(t)
  const env = { ...process.env, FOLDER: folder }
  const child = spawn(process.execPath, [join(import.meta.dirname, 'testkit/sweep-and-hang.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const room = await new Promise<string>(resolve => child.stdout.once('data', chunk => resolve(String(chunk))))
  child.kill('SIGKILL')
  await new Promise(resolve => child.once('exit', resolve))
  const database = await openDatabase({ DATA_DIR: folder, DATABASE_POOL: 1, DATABASE_TIMEOUT: 5_000 }, silent)
  t.teardown(() => database.close())
  const log = await openLog(t, join(folder, 'log'))
  t.same(texts(await read(log, room)), ['hello'])
  sweep(t, { db: database.db, log, every: 5 })
  await empty(database.db)
  const records = await read(log, room)
  t.same(texts(records), ['hello', 'hello'])
  t.equal(new Set(records.map(({ headers }) => headers.get(ENTRY_ID))).size, 1)
})
