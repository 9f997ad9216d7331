import t from 'tap'
import { at, transaction, type Tx } from '../database/database.ts'
import { TOLD_UP_TO } from '../people/index.ts'
import { testDatabases } from '../testkit/database.ts'
import { ban, unban } from './bans.ts'
import { join, kick, leave } from './coming-and-going.ts'
import { openDirect } from './create.ts'
import { invite } from './invitations.ts'
import { bansOf, membersOf, readRoom } from './lists.ts'
import { setRole } from './roles.ts'
import { changeRoom } from './settings.ts'
import { depart, ended, people, rolesIn, roomOf, told, unlimited } from './testkit/people.ts'

await testDatabases(t, async (t, { db }) => {
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => transaction(db, work)
  const all = { after: undefined, limit: 100 }
  const now = Date.now()

  await t.test('anyone joins a public room, nobody a private one by themselves', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann, { visibility: 'public' })
    t.match(await readRoom(db, room, bob), { role: null })
    await write(tx => join(tx, room, bob))
    await write(tx => join(tx, room, bob))
    await write(tx => join(tx, room, ann))
    t.same(await rolesIn(db, room), { [ann]: 'owner', [bob]: 'member' })
    t.same(await told(db, room), [{ by: bob, event: 'joined', user: bob }])
    t.same(await ended(db, room), [], 'rights that begin are not told')
    const hidden = await roomOf(db, ann)
    await t.rejects(
      write(tx => join(tx, hidden, bob)),
      { code: 'NO_SUCH_ROOM' },
    )
    await t.rejects(
      write(tx => join(tx, room, 'nobody')),
      { code: 'NO_SUCH_USER' },
    )
  })

  await t.test('a full room takes nobody', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { visibility: 'public', maxMembers: 2 })
    await write(tx => join(tx, room, bob))
    await t.rejects(
      write(tx => join(tx, room, cem)),
      { code: 'ROOM_FULL' },
    )
    await write(tx => leave(tx, room, bob))
    await write(tx => join(tx, room, cem))
    t.same(await rolesIn(db, room), { [ann]: 'owner', [cem]: 'member' })
  })

  await t.test('a member leaves, the owner does not', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { admins: [bob], visibility: 'public' })
    await write(tx => leave(tx, room, bob))
    t.same(await told(db, room), [{ by: bob, event: 'left', user: bob }])
    t.same(await ended(db, room), [{ kind: 'member', user: bob }])
    await t.rejects(
      write(tx => leave(tx, room, ann)),
      { code: 'OWNER_STAYS' },
    )
    await t.rejects(
      write(tx => leave(tx, room, cem)),
      { code: 'FORBIDDEN' },
      'who is no member',
    )
    const direct = await write(tx => openDirect(tx, ann, bob, unlimited(now)))
    await t.rejects(
      write(tx => leave(tx, direct.room.id, bob)),
      { code: 'FORBIDDEN' },
      'a direct room has two',
    )
  })

  await t.test('kick: those above those below, who may come back', async t => {
    const [ann, bob, bea, cem, eve] = await people(db, 'ann', 'bob', 'bea', 'cem', 'eve')
    const room = await roomOf(db, ann, { admins: [bob, bea], members: [cem], visibility: 'public' })
    const refused = [
      [cem, bob],
      [cem, cem],
      [bob, ann],
      [bob, bea],
      [bob, bob],
      [ann, ann],
      [ann, eve],
      [eve, cem],
    ] as const
    for (const [who, whom] of refused) {
      await t.rejects(
        write(tx => kick(tx, room, who, whom)),
        { code: 'FORBIDDEN' },
      )
    }
    await write(tx => kick(tx, room, bob, cem))
    await write(tx => kick(tx, room, ann, bob))
    t.same(await rolesIn(db, room), { [ann]: 'owner', [bea]: 'admin' })
    t.same(await ended(db, room), [
      { kind: 'member', user: cem },
      { kind: 'member', user: bob },
    ])
    t.same(await told(db, room), [
      { by: bob, event: 'left', user: cem },
      { by: ann, event: 'left', user: bob },
    ])
    await write(tx => join(tx, room, cem))
  })

  await t.test('ban: out, not back, not even by an invitation; unban ends it', async t => {
    const [ann, bob, cem, eve] = await people(db, 'ann', 'bob', 'cem', 'eve')
    const room = await roomOf(db, ann, { admins: [bob], members: [cem], visibility: 'public' })
    await write(tx => invite(tx, room, ann, [eve], unlimited(now)))
    const guests = await people(db, 'guest')
    await write(tx => invite(tx, room, cem, guests, unlimited(now)))
    for (const [who, whom] of [
      [cem, eve],
      [bob, ann],
      [bob, bob],
    ] as const) {
      await t.rejects(
        write(tx => ban(tx, room, who, whom)),
        { code: 'FORBIDDEN' },
      )
    }
    await t.rejects(
      write(tx => ban(tx, room, bob, 'nobody')),
      { code: 'NO_SUCH_USER' },
    )
    await write(tx => ban(tx, room, bob, cem))
    await write(tx => ban(tx, room, bob, eve))
    t.same(await write(tx => ban(tx, room, bob, eve)), [], 'they are already')
    const states = await db.selectFrom('invitations').select('state').where('room_id', '=', room).execute()
    t.same(
      states.map(({ state }) => state),
      ['revoked', 'revoked'],
      'those to them and those by them',
    )
    t.same(await told(db, room), [{ by: bob, event: 'left', user: cem }], 'an outsider had not been there')
    t.same(await ended(db, room), [
      { kind: 'ban', user: cem },
      { kind: 'ban', user: eve },
    ])
    await t.rejects(
      write(tx => join(tx, room, cem)),
      { code: 'NO_SUCH_ROOM' },
    )
    await t.rejects(
      write(tx => invite(tx, room, ann, [eve], unlimited(now))),
      { code: 'FORBIDDEN' },
    )
    const banned = [cem, eve].toSorted()
    t.same(
      (await bansOf(db, room, ann, all)).map(({ user_id }) => user_id),
      banned,
    )
    t.same(
      (await bansOf(db, room, ann, { after: banned[0], limit: 1 })).map(({ user_id }) => user_id),
      [banned[1]],
    )
    await t.rejects(bansOf(db, room, (await people(db, 'dan'))[0], all), { code: 'FORBIDDEN' })
    const [fay] = await people(db, 'fay')
    for (const who of [ann, bob, fay]) t.same(await write(tx => unban(tx, room, bob, who)), [], 'who is not banned')
    await t.rejects(
      write(tx => unban(tx, room, cem, eve)),
      { code: 'NO_SUCH_ROOM' },
    )
    await write(tx => unban(tx, room, bob, cem))
    t.same(await write(tx => unban(tx, room, bob, cem)), [], 'again')
    t.same(await rolesIn(db, room), { [ann]: 'owner', [bob]: 'admin' })
    await write(tx => join(tx, room, cem))
    t.equal((await rolesIn(db, room))[cem], 'member')
  })

  await t.test('roles: the owner gives and takes them, and hands the room on', async t => {
    const [ann, bob, cem, eve] = await people(db, 'ann', 'bob', 'cem', 'eve')
    const room = await roomOf(db, ann, { members: [bob, cem] })
    const give = (who: string, whom: string, role: 'owner' | 'admin' | 'member') =>
      write(tx => setRole(tx, room, who, whom, role))
    await give(ann, bob, 'admin')
    for (const [who, whom, role] of [
      [bob, cem, 'admin'],
      [bob, ann, 'member'],
      [bob, bob, 'owner'],
      [ann, ann, 'owner'],
      [ann, eve, 'admin'],
      [ann, bob, 'admin'],
      [ann, cem, 'member'],
    ] as const) {
      await t.rejects(give(who, whom, role), { code: 'FORBIDDEN' }, role)
    }
    await t.rejects(give(eve, bob, 'admin'), { code: 'NO_SUCH_ROOM' })
    t.same(await ended(db, room), [])
    await give(ann, bob, 'member')
    await give(ann, cem, 'owner')
    t.same(await rolesIn(db, room), { [ann]: 'admin', [bob]: 'member', [cem]: 'owner' })
    t.same(await ended(db, room), [
      { kind: 'role', user: bob },
      { kind: 'role', user: ann },
    ])
    t.same(await told(db, room), [
      { by: ann, event: 'role', user: bob, role: 'admin' },
      { by: ann, event: 'role', user: bob, role: 'member' },
      { by: ann, event: 'role', user: ann, role: 'admin' },
      { by: ann, event: 'role', user: cem, role: 'owner' },
    ])
    await write(tx => leave(tx, room, ann))
    t.same(await rolesIn(db, room), { [bob]: 'member', [cem]: 'owner' })
  })

  await t.test('who comes and goes is told in rooms of up to 200', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { visibility: 'public', maxMembers: 1000 })
    // The count is what is looked at.
    const fill = (members: number) =>
      db.updateTable('rooms').set({ member_count: members }).where('id', '=', room).execute()
    await fill(TOLD_UP_TO - 1)
    await write(tx => join(tx, room, bob))
    await write(tx => join(tx, room, cem))
    t.same(await told(db, room), [{ by: bob, event: 'joined', user: bob }])
    await write(tx => leave(tx, room, cem))
    t.equal((await told(db, room)).length, 1, 'of 201 members one has left')
    await write(tx => leave(tx, room, bob))
    t.same((await told(db, room)).slice(1), [{ by: bob, event: 'left', user: bob }])
    await write(tx => changeRoom(tx, room, ann, { about: 'always' }, 1000))
    t.equal((await told(db, room)).length, 3)
  })

  await t.test('the members of a room by name, a page at a time', async t => {
    const ids = await people(db, 'ann', 'bob', 'cem', 'dan', 'eve')
    const [ann, ...members] = ids
    const room = await roomOf(db, ann, { members: members.toReversed() })
    const found: string[] = []
    for (let after: readonly [string, string] | undefined; ;) {
      const rows = await membersOf(db, room, ann, { after, limit: 2 })
      for (const { user_id } of rows.slice(0, 2)) found.push(user_id)
      if (rows.length <= 2) break
      after = [rows[1]!.name_key, rows[1]!.user_id]
    }
    t.same(found, ids)
    t.match(await membersOf(db, room, members[0]!, all), [{ user_id: ann, role: 'owner' }, { role: 'member' }])
    await t.rejects(membersOf(db, room, (await people(db, 'fay'))[0], all), { code: 'NO_SUCH_ROOM' })
  })

  await t.test('an account ends: its rooms go on, those that it owned under another, those of nobody not', async t => {
    const [ann, bob, cem, dan] = await people(db, 'ann', 'bob', 'cem', 'dan')
    const withAdmin = await roomOf(db, ann, { admins: [cem], members: [bob] })
    const withMembers = await roomOf(db, ann, { members: [dan, bob] })
    for (const [user, days] of [
      [dan, 1],
      [bob, 2],
    ] as const) {
      await db
        .updateTable('members')
        .set({ joined_at: at(now - days * 86_400_000) })
        .where('room_id', '=', withMembers)
        .where('user_id', '=', user)
        .execute()
    }
    const alone = await roomOf(db, ann)
    const asMember = await roomOf(db, bob, { members: [ann] })
    const direct = await write(tx => openDirect(tx, ann, bob, unlimited(now)))
    await write(tx => invite(tx, withMembers, ann, [cem], unlimited(now)))
    await db
      .insertInto('bans')
      .values({ room_id: await roomOf(db, bob), user_id: ann })
      .execute()
    await depart(db, ann)
    const invited = await db.selectFrom('invitations').select('id').where('inviter_id', '=', ann).execute()
    const banned = await db.selectFrom('bans').select('room_id').where('user_id', '=', ann).execute()
    t.same([invited, banned], [[], []])
    t.same(await rolesIn(db, withAdmin), { [cem]: 'owner', [bob]: 'member' })
    t.same(await rolesIn(db, withMembers), { [bob]: 'owner', [dan]: 'member' }, 'who was there longest')
    t.same(await rolesIn(db, asMember), { [bob]: 'owner' })
    t.same(await rolesIn(db, direct.room.id), { [bob]: 'member' })
    t.match(await readRoom(db, direct.room.id, bob), { other: null })
    await t.rejects(readRoom(db, alone, ann), { code: 'NO_SUCH_ROOM' })
    t.same(await told(db, withAdmin), [
      { by: ann, event: 'left', user: ann },
      { by: ann, event: 'role', user: cem, role: 'owner' },
    ])
    for (const room of [withAdmin, withMembers, asMember, direct.room.id]) {
      t.same(await ended(db, room), [{ kind: 'member', user: ann }])
    }
    await depart(db, bob)
    await t.rejects(readRoom(db, direct.room.id, bob), { code: 'NO_SUCH_ROOM' }, 'both have gone')
  })
})
