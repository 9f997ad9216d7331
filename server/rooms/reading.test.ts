import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { sql } from 'kysely'
import { transaction, type Db } from '../database/database.ts'
import { memoryCounters } from '../drivers/memory/counters.ts'
import { memorySignals } from '../drivers/memory/signals.ts'
import { userChannel } from '../ports/signals.ts'
import { openTestApi } from '../testkit/api.ts'
import { testDatabases } from '../testkit/database.ts'
import { ModelLog } from '../testkit/model-log.ts'
import { readingRoutes, roomsApi } from './index.ts'
import { people, roomOf, unlimited } from './testkit/people.ts'
import { openDirect } from './create.ts'

t.setTimeout(90_000)

/** What the archive would have of messages that `sender` has sent one after the other, `from` on. */
const sent = async (db: Db, room: string, sender: string, from: number, count: number): Promise<void> => {
  await sql`insert into room_epochs (room_id, generation, epoch) values (${room}, 1, ${`e${room}`})
    on conflict do nothing`.execute(db)
  await sql`insert into messages (room_id, generation, at_offset, kind, sender, body, created_at, changed_offset)
    select ${room}, 1, i, 'message', ${sender}, 'x', now(), i from generate_series(${from}::int, ${from + count - 1}::int) as i`.execute(
    db,
  )
  await sql`update room_epochs set next_offset = ${from + count} where room_id = ${room}`.execute(db)
  await sql`update rooms set last_message_at = clock_timestamp() where id = ${room}`.execute(db)
}

type Body = Record<string, unknown>
const items = (body: Body): Body[] => body['items'] as Body[]

await testDatabases(t, async (t, { db }) => {
  const signals = memorySignals().port
  const config = { ROOM_MAX_MEMBERS: 100, ROOMS_PER_HOUR: 1000, STRANGERS_PER_HOUR: 1000, INVITATIONS_PER_HOUR: 1000 }
  const counters = memoryCounters().port
  const rooms = roomsApi({ db, signals, counters, config, hint: () => {} })
  const log = new ModelLog()
  const ask = await openTestApi(t, db, rooms, api => readingRoutes(api, { db, log, signals }))

  await t.test('rooms, direct ones too, are listed by their last message, with what is unread', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const open = await roomOf(db, ann, { visibility: 'public', name: 'Open to all', members: [bob] })
    const closed = await roomOf(db, ann, { members: [bob] })
    const { room: direct } = await transaction(db, tx => openDirect(tx, ann, bob, unlimited()))
    await sent(db, open, ann, 0, 3)
    await sent(db, direct.id, ann, 0, 2)
    await sent(db, closed, ann, 0, 1)
    await sent(db, closed, bob, 1, 4)
    const listed = async (user: string): Promise<unknown[][]> =>
      items((await ask(user, 'GET', '/rooms')).body).map(({ id, unread }) => [id, unread])
    t.same(await listed(bob), [
      [closed, 1],
      [direct.id, 2],
      [open, 3],
    ])
    t.same(await listed(ann), [
      [closed, 4],
      [direct.id, 0],
      [open, 0],
    ])
    const first = await ask(bob, 'GET', '/rooms?limit=2')
    const second = await ask(bob, 'GET', `/rooms?limit=2&cursor=${first.body['next'] as string}`)
    t.match(items(second.body), [{ id: open, unread: 3 }])
    t.match((await ask(bob, 'GET', `/rooms/${closed}`)).body, { id: closed, unread: 1 })
    const again = await ask(bob, 'POST', '/direct-rooms', { body: { user: ann } })
    t.match(again, { status: 200, body: { id: direct.id, unread: 2 } })
    t.match((await ask(cem, 'POST', '/direct-rooms', { body: { user: ann } })).body, { unread: 0 })
    const browsed = async (user: string): Promise<Body> =>
      items((await ask(user, 'GET', '/rooms/public?search=open%20to')).body).find(({ id }) => id === open)!
    t.match(await browsed(bob), { unread: 3, role: 'member' })
    t.notOk('unread' in (await browsed(cem)), 'who is no member reads up to no place')
    t.notOk('unread' in (await ask(cem, 'GET', `/rooms/${open}`)).body)
    t.match((await ask(cem, 'PUT', `/rooms/${open}/membership`)).body, { unread: 0 }, 'who joins begins there')
  })

  await t.test('how far one has read; other devices are told', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { members: [bob], visibility: 'public' })
    await sent(db, room, ann, 0, 5)
    const heard: unknown[] = []
    await signals.subscribe(userChannel(bob), event => void heard.push(event))
    const read = (user: string, message: string, where = room) =>
      ask(user, 'POST', `/rooms/${where}/read`, { body: { message } })
    const id = (offset: number): string => `e${room}-${offset}`
    t.match(await read(bob, id(2)), { status: 200, body: { unread: 2 } })
    t.match(await read(bob, id(2)), { status: 200, body: { unread: 2 } })
    t.match(await read(bob, id(0)), { status: 200, body: { unread: 2 } })
    t.match(await read(bob, id(4)), { status: 200, body: { unread: 0 } })
    while (heard.length < 2) await setImmediate()
    t.same(heard, [
      { type: 'read', body: { room, message: id(2), unread: 2 } },
      { type: 'read', body: { room, message: id(4), unread: 0 } },
    ])
    t.match(await read(bob, 'x'), { status: 400, body: { code: 'BAD_REQUEST' } })
    t.match(await read(bob, id(5)), { status: 400, body: { code: 'BAD_REQUEST' } })
    t.match(await read(cem, id(0)), { status: 403, body: { code: 'FORBIDDEN' } })
    t.match(await read(cem, id(0), await roomOf(db, ann)), { status: 404, body: { code: 'NO_SUCH_ROOM' } })
  })
})
