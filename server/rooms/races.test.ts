import { setImmediate } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { deleteAccount } from '../accounts/index.ts'
import { transaction, type Db, type Tx } from '../database/database.ts'
import { sweepOutbox } from '../database/outbox.ts'
import { openLevelLog } from '../drivers/level/room-log.ts'
import { HoofbeatError } from '../errors.ts'
import { eraseSome, forgetMessages } from '../messages/erasure.ts'
import { silent, testDatabase } from '../testkit/database.ts'
import { scratch } from '../testkit/node.ts'
import { ban } from './bans.ts'
import { forgetInRooms, join, kick, leave, leaveBehind } from './coming-and-going.ts'
import { createRoom, openDirect } from './create.ts'
import { accept, invite } from './invitations.ts'
import { joinByLink, makeLink } from './links.ts'
import { membersOf } from './lists.ts'
import { logOfRooms } from './log.ts'
import { deleteRoom } from './removal.ts'
import { setRole } from './roles.ts'
import { limits, people, rolesIn, roomOf, spendUpTo, told, unlimited } from './testkit/people.ts'

// Two nodes: each has connections of its own to one PostgreSQL.
const { db, another } = await testDatabase(t, 'postgres')
const { db: other } = await another()
const ROUNDS = 8
t.setTimeout(90_000)
const now = Date.now()

const write =
  <T>(work: (tx: Tx) => Promise<T>) =>
  (node: Db): Promise<T> =>
    transaction(node, work)

/** Does both at once, one on each node, and answers what each came to. */
const atOnce = async (...works: ((node: Db) => Promise<unknown>)[]): Promise<string[]> =>
  Promise.all(
    works.map(async (work, i) => {
      try {
        await work(i % 2 === 0 ? db : other)
        return 'ok'
      } catch (error) {
        if (error instanceof HoofbeatError) return error.code
        throw error
      }
    }),
  )

/** A race may go either way: it is run so often that both are likely. */
const rounds = async (run: () => Promise<void>): Promise<void> => {
  for (let i = 0; i < ROUNDS; i++) await run()
}

void t.test('accepting one invitation twice: one membership', async t => {
  await rounds(async () => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann)
    const { invitations } = await write(tx => invite(tx, room, ann, [bob], unlimited(now)))(db)
    const { id } = invitations[0]!
    const yes = write(tx => accept(tx, id, bob, now))
    t.same(await atOnce(yes, yes), ['ok', 'ok'])
    t.same(await rolesIn(db, room), { [ann]: 'owner', [bob]: 'member' })
    t.equal((await told(db, room)).length, 1)
  })
})

void t.test('accepting while being banned: the ban wins, whichever is first', async t => {
  await rounds(async () => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann)
    const { invitations } = await write(tx => invite(tx, room, ann, [bob], unlimited(now)))(db)
    const [accepted, banned] = await atOnce(
      write(tx => accept(tx, invitations[0]!.id, bob, now)),
      write(tx => ban(tx, room, ann, bob)),
    )
    t.match(accepted, /^(ok|INVITATION_OVER)$/)
    t.equal(banned, 'ok')
    t.same(await rolesIn(db, room), { [ann]: 'owner' })
  })
})

void t.test('two hand a room on at once: it has one owner', async t => {
  await rounds(async () => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { members: [bob, cem] })
    const results = await atOnce(
      write(tx => setRole(tx, room, ann, bob, 'owner')),
      write(tx => setRole(tx, room, ann, cem, 'owner')),
    )
    t.same(results.toSorted(), ['FORBIDDEN', 'ok'])
    const owners = Object.entries(await rolesIn(db, room)).filter(([, role]) => role === 'owner')
    t.same(owners, [[results[0] === 'ok' ? bob : cem, 'owner']])
  })
})

void t.test('handing on to one who leaves at the same time: there is an owner', async t => {
  await rounds(async () => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann, { members: [bob] })
    const results = await atOnce(
      write(tx => setRole(tx, room, ann, bob, 'owner')),
      write(tx => leave(tx, room, bob)),
    )
    t.ok([['ok', 'OWNER_STAYS'].join(), ['FORBIDDEN', 'ok'].join()].includes(results.join()), results.join())
    t.ok(Object.values(await rolesIn(db, room)).includes('owner'))
  })
})

void t.test('joining the last free place: one of two', async t => {
  await rounds(async () => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { visibility: 'public', maxMembers: 2 })
    const { token } = await write(tx => makeLink(tx, room, ann, {}))(db)
    const results = await atOnce(
      write(tx => join(tx, room, bob)),
      write(tx => joinByLink(tx, token, cem, now)),
    )
    t.same(results.toSorted(), ['ROOM_FULL', 'ok'])
    t.equal(Object.keys(await rolesIn(db, room)).length, 2)
  })
})

void t.test(
  'the last place of 50,000; nobody is told who comes, the list is paged, and all of it is deleted',
  async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { visibility: 'public', maxMembers: 50_000 })
    for (let from = 1; from < 49_999; from += 2_500) {
      const to = Math.min(from + 2_499, 49_998)
      await sql`insert into users (id, name, name_key, display_name, password_hash)
      select 'crowd.' || i, 'crowd.' || i, 'crowd.' || i, 'crowd', 'x'
      from generate_series(${from}::int, ${to}::int) as i`.execute(db)
      await sql`insert into members (room_id, user_id, name_key)
      select ${room}, 'crowd.' || i, 'crowd.' || i from generate_series(${from}::int, ${to}::int) as i`.execute(db)
    }
    await db.updateTable('rooms').set({ member_count: 49_999 }).where('id', '=', room).execute()
    const results = await atOnce(
      write(tx => join(tx, room, bob)),
      write(tx => join(tx, room, cem)),
    )
    t.same(results.toSorted(), ['ROOM_FULL', 'ok'])
    t.same(await told(db, room), [])
    const page = await membersOf(db, room, ann, { after: ['crowd.4', 'crowd.4'], limit: 2 })
    t.same(
      page.map(({ user_id }) => user_id),
      ['crowd.40', 'crowd.400', 'crowd.4000'],
    )
    await write(tx => deleteRoom(tx, room, ann))(other)
    t.equal((await db.selectFrom('members').select('user_id').where('room_id', '=', room).execute()).length, 0)
  },
)

void t.test('the last use of a link: one of two', async t => {
  await rounds(async () => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann)
    const { token } = await write(tx => makeLink(tx, room, ann, { maxUses: 1 }))(db)
    const results = await atOnce(
      write(tx => joinByLink(tx, token, bob, now)),
      write(tx => joinByLink(tx, token, cem, now)),
    )
    t.same(results.toSorted(), ['INVITATION_OVER', 'ok'])
    t.equal(Object.keys(await rolesIn(db, room)).length, 2)
  })
})

void t.test('a direct room that both open at once is one room', async t => {
  await rounds(async () => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const options = unlimited(now)
    const results = await Promise.all([
      write(tx => openDirect(tx, ann, bob, options))(db),
      write(tx => openDirect(tx, bob, ann, options))(other),
      write(tx => openDirect(tx, ann, bob, options))(other),
    ])
    t.equal(new Set(results.map(({ room }) => room.id)).size, 1)
    t.equal(results.filter(({ made }) => made).length, 1)
    t.same(await rolesIn(db, results[0].room.id), { [ann]: 'member', [bob]: 'member' })
  })
})

void t.test('a direct room that the other one is opening just now is waited for', async t => {
  const [ann, bob] = await people(db, 'ann', 'bob')
  const options = unlimited(now)
  const [first, second] = await transaction(db, async tx => {
    const opened = await openDirect(tx, ann, bob, options)
    const waiting = write(tx => openDirect(tx, bob, ann, options))(other)
    const blocked = sql<{ n: number }>`select count(*)::int as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`
    while ((await blocked.execute(db)).rows[0]!.n === 0) await setImmediate()
    return [opened, { waiting }] as const
  })
  t.match(await second.waiting, { made: false, room: { id: first.room.id } })
})

void t.test('the last room within the hour: one of two', async t => {
  await rounds(async () => {
    const [ann] = await people(db, 'ann')
    const options = { ...limits(now), spend: spendUpTo(1) }
    const make = write(tx => createRoom(tx, ann, { name: 'n', visibility: 'public' }, options))
    t.same((await atOnce(make, make)).toSorted(), ['TOO_MANY_ROOMS', 'ok'])
  })
})

void t.test('an account ends while its holder joins, is kicked, and its room is deleted', async t => {
  await rounds(async () => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const open = await roomOf(db, ann, { visibility: 'public' })
    const kicking = await roomOf(db, ann, { members: [bob] })
    const deleted = await roomOf(db, ann, { members: [bob] })
    const results = await atOnce(
      node => deleteAccount(node, bob, [forgetMessages, forgetInRooms]),
      write(tx => join(tx, open, bob)),
      write(tx => kick(tx, kicking, ann, bob)),
      write(tx => deleteRoom(tx, deleted, ann)),
    )
    t.match(results, ['ok', /^(ok|NO_SUCH_USER)$/, /^(ok|FORBIDDEN)$/, 'ok'])
    // Two nodes at once.
    const erase = async (node: Db): Promise<void> => {
      while (await eraseSome(node, leaveBehind));
    }
    await Promise.all([erase(db), erase(other)])
    t.same(await rolesIn(db, open), { [ann]: 'owner' }, 'nobody is a member without an account')
    t.same(await rolesIn(db, kicking), { [ann]: 'owner' })
  })
})

void t.test(
  'a room is deleted while somebody sends: what was acknowledged was durable, and nothing is left',
  async t => {
    const { port: log, close } = await openLevelLog({
      folder: await scratch(t),
      roomsMax: 1000,
      idempotencyWindow: 1000,
      logger: silent,
    })
    t.teardown(close)
    const [ann] = await people(db, 'ann')
    const rooms = [logOfRooms(db, log), logOfRooms(other, log)]
    const record = { sender: ann, headers: new Map(), body: Buffer.from('x') }
    const deleted: string[] = []
    await rounds(async () => {
      const room = await roomOf(db, ann)
      const send = (node: 0 | 1) => async () => {
        // As the bridge does: make the log where there is none, then write.
        await rooms[node]!.create([room])
        await rooms[node]!.append(room, [record])
      }
      const results = await atOnce(
        send(0),
        write(tx => deleteRoom(tx, room, ann)),
        send(1),
      )
      t.equal(results[1], 'ok')
      for (const sent of [results[0], results[2]]) t.match(sent, /^(ok|NO_SUCH_ROOM)$/)
      deleted.push(room)
    })
    const sweep = sweepOutbox({ db, log, logger: silent, every: 10 })
    for (const room of deleted) while ((await told(db, room)).length > 0) sweep.hint()
    await sweep.close()
    for (const room of deleted) {
      await t.rejects(log.bounds(room), { code: 'NO_SUCH_ROOM' })
      await t.rejects(rooms[1]!.create([room]), { code: 'NO_SUCH_ROOM' })
      await t.rejects(log.bounds(room), { code: 'NO_SUCH_ROOM' }, 'nobody brings it back')
    }
  },
)
