import t from 'tap'
import { at, transaction, type Tx } from '../database/database.ts'
import type { HoofbeatError } from '../errors.ts'
import { testDatabases } from '../testkit/database.ts'
import { createRoom, openDirect } from './create.ts'
import { bansOf, membersOf, myRooms, publicRooms, readRoom } from './lists.ts'
import { nameOf } from './names.ts'
import { deleteRoom, removeRoom } from './removal.ts'
import { changeRoom } from './settings.ts'
import { ended, limits, people, rolesIn, roomOf, spendUpTo, told, unlimited } from './testkit/people.ts'

const MOST = 50_000

await testDatabases(t, async (t, { db }) => {
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => transaction(db, work)
  const all = { after: undefined, limit: 100 }

  await t.test('a room is made: its maker owns it, and there is no log of it yet', async t => {
    const [ann] = await people(db, 'ann')
    const { room, invitations } = await write(tx =>
      createRoom(tx, ann, { name: '  Riders ', about: ' of horses ', visibility: 'public' }, limits()),
    )
    t.match(room, { name: 'Riders', about: 'of horses', visibility: 'public', member_count: 1, max_members: 100 })
    t.match(room, { created_by: ann })
    t.same(invitations, [])
    t.same(await rolesIn(db, room.id), { [ann]: 'owner' })
    t.same(await told(db, room.id), [])
    t.match(await readRoom(db, room.id, ann), { id: room.id, role: 'owner', other: null, member_count: 1 })
  })

  await t.test('a room with several people at once: each is invited', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const { room, invitations, telling } = await write(tx =>
      createRoom(tx, ann, { name: 'three', visibility: 'private', invite: [bob, cem, bob, ann] }, limits()),
    )
    t.match(invitations, [
      { invitee_id: bob, state: 'pending' },
      { invitee_id: cem, state: 'pending' },
    ])
    t.same(
      telling.map(({ user, event }) => [user, event.type]),
      [
        [ann, 'membership'],
        ...[bob, cem].flatMap(user => [
          [user, 'notification'],
          [user, 'invitation'],
        ]),
      ],
    )
    t.same(await rolesIn(db, room.id), { [ann]: 'owner' })
    const unknown = write(tx =>
      createRoom(tx, ann, { name: 'no', visibility: 'private', invite: ['nobody'] }, limits()),
    )
    await t.rejects(unknown, { code: 'NO_SUCH_USER' })
    t.equal((await myRooms(db, ann, all)).length, 1, 'then there is no room')
  })

  await t.test('names: what people can see, on one line', async t => {
    const bad = ['', ' \t', '\u200b', 'a\nb', 'a\u0000', 'a\u2028b', '\ud800', 'x'.repeat(81), '\u00ad \u2060']
    for (const [i, name] of bad.entries()) t.throws(() => nameOf(name), { code: 'BAD_NAME' }, `${i}`)
    t.same(nameOf(' 🐎'.repeat(40)).name, '🐎 '.repeat(40).trim(), 'up to 80 code points')
    t.equal(nameOf('x'.repeat(80)).key, 'x'.repeat(80))
    t.equal(nameOf('Ｒｉｄｅｒｓ\u200b').key, 'riders')
    const [ann] = await people(db, 'ann')
    const make = (values: object) =>
      write(tx => createRoom(tx, ann, { name: 'n', visibility: 'public', ...values }, limits()))
    await t.rejects(make({ name: ' ' }), { code: 'BAD_NAME' })
    await t.rejects(make({ about: 'x'.repeat(501) }), { code: 'BAD_REQUEST' })
    await t.rejects(make({ about: 'a\0' }), { code: 'BAD_REQUEST' })
    await t.resolves(make({ about: 'x'.repeat(500) }))
  })

  await t.test('the cap: from 1 to ROOM_MAX_MEMBERS', async t => {
    const [ann] = await people(db, 'ann')
    const make = (maxMembers: number | undefined, mostMembers = MOST) =>
      write(tx => createRoom(tx, ann, { name: 'n', visibility: 'public', maxMembers }, { ...limits(), mostMembers }))
    for (const maxMembers of [0, 201]) await t.rejects(make(maxMembers, 200), { code: 'BAD_REQUEST' })
    for (const maxMembers of [1, 200]) t.equal((await make(maxMembers, 200)).room.max_members, maxMembers)
    t.equal((await make(undefined, 50)).room.max_members, 50)
  })

  await t.test('quota on creation: so many rooms per user within an hour', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const options = { ...limits(), spend: spendUpTo(2) }
    const make = (user: string, name = 'n') =>
      write(tx => createRoom(tx, user, { name, visibility: 'public' }, options))
    await t.rejects(make(ann, ''), { code: 'BAD_NAME' }, 'which makes none')
    await make(ann)
    const { room } = await make(ann)
    await t.rejects(make(ann), { code: 'TOO_MANY_ROOMS', headers: { 'retry-after-ms': /^3[0-9]{6}$/ } })
    await write(tx => deleteRoom(tx, room.id, ann))
    await t.rejects(make(ann), { code: 'TOO_MANY_ROOMS' }, 'what is deleted was made all the same')
    await t.resolves(make(bob), 'another one may')
    await write(tx => openDirect(tx, bob, ann, options))
    await t.resolves(make(bob), 'a direct room does not count')
    await t.rejects(make('nobody'), { code: 'NO_SUCH_USER' })
  })

  await t.test('settings: each by who may, all of it or nothing, told in the log', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { admins: [bob], members: [cem] })
    const change = (who: string, values: Parameters<typeof changeRoom>[3], most = MOST) =>
      write(tx => changeRoom(tx, room, who, values, most))
    await change(bob, { name: 'Renamed', about: 'topic' })
    t.match(await readRoom(db, room, cem), { name: 'Renamed', name_key: 'renamed', about: 'topic' })
    await change(bob, { name: 'Renamed', about: 'topic' })
    await change(ann, { visibility: 'public', maxMembers: 3 })
    await change(ann, { visibility: 'public' })
    t.match(await readRoom(db, room, cem), { visibility: 'public', max_members: 3 })
    t.same(await ended(db, room), [], 'nobody has lost anything')
    await change(ann, { visibility: 'private' })
    t.same(await ended(db, room), [{ kind: 'visibility' }])
    t.same(await told(db, room), [
      { by: bob, event: 'renamed', name: 'Renamed' },
      { by: bob, event: 'described', about: 'topic' },
      { by: ann, event: 'visibility', visibility: 'public' },
      { by: ann, event: 'visibility', visibility: 'private' },
    ])
    for (const values of [{ name: 'x' }, { about: 'x' }, { maxMembers: 9 }, { visibility: 'public' } as const]) {
      await t.rejects(change(cem, values), { code: 'FORBIDDEN' })
    }
    await t.rejects(change(bob, { name: 'half', visibility: 'public' }), { code: 'FORBIDDEN' })
    t.match(await readRoom(db, room, ann), { name: 'Renamed' })
    await t.rejects(change(bob, { maxMembers: 9 }), { code: 'FORBIDDEN' })
    for (const maxMembers of [2, 11]) await t.rejects(change(ann, { maxMembers }, 10), { code: 'BAD_REQUEST' })
    await change(ann, { maxMembers: 10 }, 10)
  })

  await t.test('an unknown room and one that may not be seen give the same answer', async t => {
    const [ann, bob, eve] = await people(db, 'ann', 'bob', 'eve')
    const hidden = await roomOf(db, ann)
    const { room: direct } = await write(tx => openDirect(tx, ann, bob, unlimited()))
    const banning = await roomOf(db, ann, { visibility: 'public' })
    await db.insertInto('bans').values({ room_id: banning, user_id: eve }).execute()
    const answers = new Set<string>()
    for (const id of ['unknown', hidden, direct.id, banning]) {
      const acts = [
        () => readRoom(db, id, eve),
        () => membersOf(db, id, eve, all),
        () => bansOf(db, id, eve, all),
        () => write(tx => changeRoom(tx, id, eve, { name: 'x' }, MOST)),
        () => write(tx => deleteRoom(tx, id, eve)),
      ]
      for (const act of acts) {
        const error = (await act().catch((error: unknown) => error)) as HoofbeatError
        t.equal(error.code, 'NO_SUCH_ROOM')
        answers.add(error.message.replace(id, '…'))
      }
    }
    t.equal(answers.size, 1)
  })

  await t.test('a room is deleted: its rows at once, its log after every node knows', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann, { admins: [bob] })
    await t.rejects(
      write(tx => deleteRoom(tx, room, bob)),
      { code: 'FORBIDDEN' },
    )
    await write(tx => deleteRoom(tx, room, ann))
    await t.rejects(readRoom(db, room, ann), { code: 'NO_SUCH_ROOM' })
    t.same(await ended(db, room), [{ kind: 'room' }])
    t.same(await told(db, room), [{ act: 'remove' }])
    const [entry] = await db.selectFrom('outbox').selectAll().where('room_id', '=', room).execute()
    t.ok(entry!.claimed_until! >= entry!.created_at + 2_000)
    await t.rejects(
      write(tx => removeRoom(tx, room)),
      { code: 'NO_SUCH_ROOM' },
    )
    const other = await roomOf(db, ann)
    await write(tx => removeRoom(tx, other))
    await t.rejects(readRoom(db, other, ann), { code: 'NO_SUCH_ROOM' })
  })

  await t.test('a direct room: of exactly two, the same for both, however often it is asked for', async t => {
    const [ann, bob, eve] = await people(db, 'ann', 'bob', 'eve')
    const open = (from: string, to: string) => write(tx => openDirect(tx, from, to, unlimited()))
    const first = await open(ann, bob)
    t.match(first, { made: true, room: { visibility: 'direct', name: null, member_count: 2 } })
    t.match(await open(bob, ann), { made: false, room: { id: first.room.id } })
    t.same(await rolesIn(db, first.room.id), { [ann]: 'member', [bob]: 'member' })
    t.match(await readRoom(db, first.room.id, ann), { role: 'member', other: bob })
    t.match(await readRoom(db, first.room.id, bob), { other: ann })
    t.same(await told(db, first.room.id), [])
    await t.rejects(open(ann, ann), { code: 'BAD_REQUEST' })
    await t.rejects(open(ann, 'nobody'), { code: 'NO_SUCH_USER' })
    for (const act of [
      () => write(tx => changeRoom(tx, first.room.id, ann, { name: 'x' }, MOST)),
      () => write(tx => changeRoom(tx, first.room.id, ann, { visibility: 'public' }, MOST)),
      async () => void (await write(tx => deleteRoom(tx, first.room.id, ann))),
    ]) {
      await t.rejects(act(), { code: 'FORBIDDEN' })
    }
    await db.insertInto('blocks').values({ user_id: eve, blocked_id: ann }).execute()
    await t.rejects(open(ann, eve), { code: 'FORBIDDEN' }, 'not with one who has blocked them')
    await t.rejects(open(eve, ann), { code: 'FORBIDDEN' }, 'nor the other way round')
  })

  await t.test('quota on direct rooms with strangers, friends aside', async t => {
    const [ann, bob, cem, dan, eve] = await people(db, 'ann', 'bob', 'cem', 'dan', 'eve')
    const now = Date.now()
    const options = { spend: spendUpTo(1), now }
    const open = (to: string) => write(tx => openDirect(tx, ann, to, options))
    const befriend = async (user: string, state: 'requested' | 'accepted') => {
      const [low_id, high_id] = [ann, user].toSorted() as [string, string]
      const accepted_at = state === 'accepted' ? at(now) : null
      await db.insertInto('friendships').values({ low_id, high_id, requester_id: ann, state, accepted_at }).execute()
    }
    await befriend(bob, 'accepted')
    await befriend(eve, 'requested')
    await open(bob)
    await open(cem)
    await t.rejects(open(dan), { code: 'QUOTA_REACHED' })
    await t.rejects(open(eve), { code: 'QUOTA_REACHED' }, 'a request makes no friend')
    await t.resolves(open(cem), 'what is open stays so')
  })

  await t.test('my rooms: the one with the newest message first, direct ones too, a page at a time', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const rooms: string[] = []
    for (let i = 0; i < 4; i++) rooms.push(await roomOf(db, ann, { name: `room ${i}` }))
    const direct = await write(tx => openDirect(tx, ann, bob, unlimited()))
    rooms.push(direct.room.id)
    await roomOf(db, bob)
    const base = Date.now()
    // Two share a time.
    const times = [3, 1, 2, 2, 4].map(n => base + n * 1000)
    for (const [i, id] of rooms.entries()) {
      await db
        .updateTable('rooms')
        .set({ last_message_at: at(times[i]!) })
        .where('id', '=', id)
        .execute()
    }
    const order = [rooms[4], rooms[0], ...[rooms[2]!, rooms[3]!].toSorted().toReversed(), rooms[1]]
    t.same(
      (await myRooms(db, ann, all)).map(({ id }) => id),
      order,
    )
    const paged: string[] = []
    for (let after: readonly [number, string] | undefined; ;) {
      const rows = await myRooms(db, ann, { after, limit: 2 })
      t.ok(rows.length <= 3)
      for (const { id } of rows.slice(0, 2)) paged.push(id)
      if (rows.length <= 2) break
      after = [rows[1]!.last_message_at, rows[1]!.id]
    }
    t.same(paged, order)
    t.match(await myRooms(db, bob, all), [{ id: direct.room.id, role: 'member', other: ann }, { role: 'owner' }])
  })

  await t.test('public rooms are browsed by name, without those that one is banned from', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const make = (name: string, visibility: 'public' | 'private' = 'public') => roomOf(db, ann, { name, visibility })
    const horses = await make('Zz Horses')
    const twins = [await make('zz hay'), await make('ZZ Hay')].toSorted()
    const barred = await make('zz barred')
    await make('zz secret', 'private')
    await db.insertInto('bans').values({ room_id: barred, user_id: bob }).execute()
    const ids = async (search: string, part: Parameters<typeof publicRooms>[3] = all) =>
      (await publicRooms(db, bob, search, part)).map(({ id }) => id)
    t.same(await ids('ＺＺ'), [...twins, horses])
    t.same(await ids('zz ho'), [horses])
    t.same(await ids('zz', { after: ['zz hay', twins[0]!], limit: 1 }), [twins[1], horses])
    t.same(await ids('zzz'), [])
    t.ok((await ids('')).length >= 3)
    t.match(await publicRooms(db, ann, 'zz b', all), [{ id: barred, role: 'owner', other: null }])
  })
})
