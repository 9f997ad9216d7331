import { setImmediate } from 'node:timers/promises'
import type { KyselyPlugin } from 'kysely'
import t, { type Test } from 'tap'
import { transaction, type Tx } from '../database/database.ts'
import type { Visibility } from '../database/schema.ts'
import { openLevelLog } from '../drivers/level/room-log.ts'
import type { RoomLog } from '../ports/room-log.ts'
import { silent, testDatabases } from '../testkit/database.ts'
import { scratch } from '../testkit/node.ts'
import { roomRights, type RoomRights } from './access.ts'
import { ban } from './bans.ts'
import { join, kick } from './coming-and-going.ts'
import { openDirect } from './create.ts'
import { logOfRooms } from './log.ts'
import { may, type Standing } from './rights.ts'
import { setRole } from './roles.ts'
import { people, roomOf, unlimited } from './testkit/people.ts'

const CACHED = 1_000

const levelLog = async (t: Test) => {
  const log = await openLevelLog({
    folder: await scratch(t),
    roomsMax: 1_000,
    idempotencyWindow: 1_000,
    logger: silent,
  })
  t.teardown(() => log.close())
  return log
}

const record = (sender: string, headers: Record<string, string> = {}) => ({
  sender,
  headers: new Map(Object.entries(headers)),
  body: Buffer.from('x'),
})

await testDatabases(t, async (t, { kind, db, another }) => {
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => transaction(db, work)
  const { port: log } = await levelLog(t)
  const rightsOf = (over: Partial<Parameters<typeof roomRights>[0]> = {}): RoomRights =>
    roomRights({ db, log, cached: CACHED, ...over })
  const rights = rightsOf()
  const read = async (user: string, room: string, by = rights) => by.mayRead({ user }, room)
  const send = async (user: string, room: string, headers = {}, by = rights) =>
    by.maySend({ user }, room, record(user, headers))

  await t.test('reading and sending go by the table of rights, in each kind of room', async t => {
    const [ann, bob, cem, eve, fay] = await people(db, 'ann', 'bob', 'cem', 'eve', 'fay')
    const rooms = new Map<Visibility, string>()
    for (const visibility of ['public', 'private'] as const) {
      const room = await roomOf(db, ann, { visibility, admins: [bob], members: [cem, fay] })
      await write(tx => ban(tx, room, ann, fay))
      rooms.set(visibility, room)
    }
    const standings: [Standing, string][] = [
      ['owner', ann],
      ['admin', bob],
      ['member', cem],
      ['outsider', eve],
      ['banned', fay],
    ]
    for (const [visibility, room] of rooms) {
      for (const [standing, user] of standings) {
        t.equal(await read(user, room), may('read', visibility, standing), `${standing} reads ${visibility}`)
        t.equal(await send(user, room), may('send', visibility, standing), `${standing} sends ${visibility}`)
      }
    }
    const { room: direct } = await write(tx => openDirect(tx, ann, bob, unlimited()))
    for (const [user, allowed] of [
      [ann, true],
      [bob, true],
      [cem, false],
    ] as const) {
      t.equal(await read(user, direct.id), allowed)
      t.equal(await send(user, direct.id), allowed)
    }
    t.equal(await read(ann, 'unknown'), false)
    t.equal(await send(ann, 'unknown'), false)
  })

  await t.test('what is known is answered at once, a no is asked for again', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann, { visibility: 'public' })
    t.equal(await read(bob, room), true)
    t.equal(rights.mayRead({ user: bob }, room), true, 'no promise')
    t.equal(await send(bob, room), false)
    await write(tx => join(tx, room, bob))
    t.equal(await send(bob, room), true, 'rights that begin are not told of')
    t.equal(rights.maySend({ user: bob }, room, record(bob)), true)
    t.equal(rights.maySend({ user: bob }, room, record(bob, { x: 'y' })), true)
  })

  await t.test('a right that has ended counts until that is told', async t => {
    const [ann, bob, cem, dan] = await people(db, 'ann', 'bob', 'cem', 'dan')
    const room = await roomOf(db, ann, { members: [bob, cem, dan] })
    for (const user of [bob, cem, dan]) t.equal(await read(user, room), true)
    await write(tx => kick(tx, room, ann, bob))
    await write(tx => ban(tx, room, ann, cem))
    t.equal(await read(bob, room), true)
    rights.ended({ kind: 'session', user: bob })
    t.equal(await read(bob, room), true, 'a session is none of it')
    rights.ended({ kind: 'member', user: bob, room })
    t.equal(await read(bob, room), false)
    t.equal(rights.mayRead({ user: dan }, room), true, 'others are still known')
    t.equal(await send(cem, room), true)
    rights.ended({ kind: 'ban', user: cem, room })
    t.equal(await send(cem, room), false)
    rights.ended({ kind: 'user', user: dan })
    t.not(rights.mayRead({ user: dan }, room), true, 'it is asked for')
    for (const kind of ['visibility', 'room'] as const) {
      await read(ann, room)
      rights.ended({ kind, room })
      t.not(rights.mayRead({ user: ann }, room), true, kind)
    }
  })

  await t.test('a block ends sending in the direct room of the two, reading not', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const { room } = await write(tx => openDirect(tx, ann, bob, unlimited()))
    const shared = await roomOf(db, cem, { members: [ann, bob] })
    for (const [user, other] of [
      [ann, bob],
      [bob, ann],
    ] as const) {
      t.same([await send(ann, room.id), await send(bob, room.id)], [true, true])
      await db.insertInto('blocks').values({ user_id: user, blocked_id: other }).execute()
      rights.ended({ kind: 'block', user, other })
      t.same([await send(ann, room.id), await send(bob, room.id)], [false, false])
      t.same([await read(ann, room.id), await read(bob, room.id)], [true, true])
      t.equal(await send(ann, shared), true, 'in a room of others nothing changes')
      await db.deleteFrom('blocks').where('user_id', '=', user).execute()
    }
  })

  await t.test('a question that is under way when a right ends is asked again', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann, { members: [bob] })
    const gate = Promise.withResolvers<void>()
    const read = Promise.withResolvers<void>()
    let held = 0
    const holding: KyselyPlugin = {
      transformQuery: ({ node }) => node,
      async transformResult({ result }) {
        if (++held === 1) {
          read.resolve()
          await gate.promise
        }
        return result
      },
    }
    const slow = rightsOf({ db: db.withPlugin(holding) })
    const answer = slow.mayRead({ user: bob }, room)
    const others = slow.mayRead({ user: ann }, room)
    await read.promise
    // What was read is from before this.
    await write(tx => kick(tx, room, ann, bob))
    slow.ended({ kind: 'member', user: bob, room })
    gate.resolve()
    t.equal(await answer, false)
    t.equal(await others, true)
    t.equal(held, 2, 'the other one was not asked again')
    t.not(slow.mayRead({ user: bob }, room), true, 'nor is it known')
  })

  await t.test('many questions at once', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann, { members: [bob] })
    const asked = Array.from({ length: 1_100 }, (_, i) => read([ann, bob, 'eve'][i % 3]!, i % 2 === 0 ? room : 'none'))
    const answers = await Promise.all(asked)
    t.same(
      answers,
      answers.map((_, i) => i % 3 !== 2 && i % 2 === 0),
    )
  })

  await t.test('without the database what is known stays, and nothing else is answered', async t => {
    if (kind === 'embedded') return
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann, { members: [bob] })
    const other = await another()
    const there = rightsOf({ db: other.db })
    t.equal(await read(ann, room, there), true)
    await other.close()
    t.equal(there.mayRead({ user: ann }, room), true)
    t.equal(there.maySend({ user: ann }, room, record(ann)), true)
    await t.rejects(read(bob, room, there))
    await t.rejects(send(bob, room, {}, there))
  })

  await t.test('records: by their type, and by whom what they refer to was written', async t => {
    const [ann, bob, cem, eve] = await people(db, 'ann', 'bob', 'cem', 'eve')
    const room = await roomOf(db, ann, { admins: [bob], members: [cem], visibility: 'public' })
    const { room: direct } = await write(tx => openDirect(tx, ann, cem, unlimited()))
    await log.create([room, direct.id])
    const say = async (sender: string, headers = {}, where = room) => {
      const [position] = await log.append(where, [record(sender, headers)])
      return `${position!.epoch}-${position!.offset}`
    }
    const [mine, plain, theirs, edit] = [
      await say(cem, { type: 'message' }),
      await say(cem),
      await say(ann),
      await say(cem, { type: 'edit' }),
    ]
    const event = await say(cem, { type: 'system' })
    const inDirect = { mine: await say(cem, {}, direct.id), theirs: await say(ann, {}, direct.id) }
    const [epoch, offset] = mine.split('-')
    const cases: [string, Record<string, string>, boolean, string?][] = [
      [cem, { type: 'message' }, true],
      [cem, { type: 'message', ref: theirs }, true],
      [cem, { type: 'reaction', ref: theirs, op: 'add' }, true],
      [cem, { type: 'edit', ref: mine }, true],
      [cem, { type: 'edit', ref: plain }, true],
      [cem, { type: 'edit', ref: theirs }, false],
      [ann, { type: 'edit', ref: mine }, false],
      [cem, { type: 'delete', ref: mine }, true],
      [cem, { type: 'delete', ref: theirs }, false],
      [bob, { type: 'delete', ref: theirs }, true],
      [ann, { type: 'delete', ref: mine }, true],
      [cem, { type: 'edit' }, false],
      [cem, { type: 'edit', ref: 'nonsense' }, false],
      [cem, { type: 'edit', ref: `${epoch}-${Number(offset) + 1000}` }, false],
      [cem, { type: 'edit', ref: `other${mine}` }, false],
      [cem, { type: 'edit', ref: `${epoch}-0${offset}` }, false],
      [cem, { type: 'edit', ref: edit }, false],
      [cem, { type: 'delete', ref: event }, false],
      [cem, { type: 'system' }, false],
      [ann, { type: 'system' }, false],
      [ann, { type: 'of tomorrow' }, false],
      [ann, { to: cem }, false],
      [eve, { type: 'message' }, false],
      [eve, { type: 'edit', ref: mine }, false],
      [eve, { type: 'delete', ref: mine }, false],
      [cem, { type: 'delete', ref: inDirect.mine }, true, direct.id],
      [cem, { type: 'delete', ref: inDirect.theirs }, false, direct.id],
      [ann, { type: 'delete', ref: inDirect.mine }, false, direct.id],
    ]
    for (const [user, headers, allowed, where = room] of cases) {
      t.equal(await send(user, where, headers), allowed, JSON.stringify(headers))
    }
    const silentRoom = await roomOf(db, cem)
    t.equal(await send(cem, silentRoom, { type: 'edit', ref: mine }), false, 'where nothing was written yet')
    await write(tx => setRole(tx, room, ann, bob, 'member'))
    rights.ended({ kind: 'role', user: bob, room })
    t.equal(await send(bob, room, { type: 'delete', ref: theirs }), false)
    const broken = await levelLog(t)
    await broken.close()
    await t.rejects(send(cem, room, { type: 'edit', ref: mine }, rightsOf({ log: broken.port })))
  })

  await t.test('a log is made for a room that there is', async t => {
    const [ann] = await people(db, 'ann')
    const room = await roomOf(db, ann)
    const { port: bare } = await levelLog(t)
    const rooms: RoomLog = logOfRooms(db, bare)
    await t.rejects(rooms.create(['unknown']), { code: 'NO_SUCH_ROOM' })
    await t.rejects(rooms.create([room, 'unknown']), { code: 'NO_SUCH_ROOM' })
    for (const each of [room, 'unknown']) await t.rejects(bare.bounds(each), { code: 'NO_SUCH_ROOM' })
    await rooms.create([room])
    const came: string[] = []
    const tail = await rooms.tail(room, 'end', {
      records: batch => void came.push(...batch.map(({ body }) => body.toString())),
      end: () => undefined,
    })
    const [position] = await rooms.append(room, [record(ann)])
    t.same(
      (await rooms.read(room, 0n, 10)).map(({ offset }) => offset),
      [position!.offset],
    )
    t.match(await rooms.bounds(room), { epoch: position!.epoch })
    while (came.length === 0) await setImmediate()
    tail.stop()
    await rooms.remove(room)
    await t.rejects(rooms.bounds(room), { code: 'NO_SUCH_ROOM' })
  })
})
