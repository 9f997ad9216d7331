import { createHash } from 'node:crypto'
import t from 'tap'
import { transaction, type Tx } from '../database/database.ts'
import { testDatabases } from '../testkit/database.ts'
import { ban } from './bans.ts'
import { kick, leave } from './coming-and-going.ts'
import { invite } from './invitations.ts'
import { joinByLink, LINKS_MOST, linkStateAt, makeLink, revokeLink } from './links.ts'
import { linksOf, myInvitations } from './lists.ts'
import { deleteRoom } from './removal.ts'
import { setRole } from './roles.ts'
import { people, rolesIn, roomOf, unlimited } from './testkit/people.ts'

await testDatabases(t, async (t, { db }) => {
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => transaction(db, work)
  const all = { after: undefined, limit: 100 }
  const now = Date.now()
  const enter = (token: string, who: string, time = now) => write(tx => joinByLink(tx, token, who, time))

  await t.test('a link lets in whoever has it; only its hash is kept', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { admins: [cem] })
    const { link, token } = await write(tx => makeLink(tx, room, cem, {}))
    t.match(token, /^[\w-]{22}$/, '128 bits')
    t.not((await write(tx => makeLink(tx, room, cem, {}))).token, token)
    t.equal(link.token_hash, createHash('sha256').update(token).digest('hex'))
    t.notOk(JSON.stringify(await linksOf(db, room, ann, all)).includes(token))
    t.match(await enter(token, bob), { room: { id: room } })
    t.same(await rolesIn(db, room), { [ann]: 'owner', [cem]: 'admin', [bob]: 'member' })
    await enter(token, bob)
    await enter(token, ann)
    const [kept] = (await linksOf(db, room, ann, all)).filter(({ id }) => id === link.id)
    t.match(kept, { uses: 1, max_uses: null }, 'who is there already uses nothing up')
    await t.rejects(enter('unknown', bob), { code: 'NO_SUCH_INVITATION' })
  })

  await t.test('an end of uses, of time, by a word: over', async t => {
    const [ann, ...guests] = await people(db, 'ann', 'bob', 'cem', 'dan', 'eve')
    const room = await roomOf(db, ann)
    const twice = await write(tx => makeLink(tx, room, ann, { maxUses: 2 }))
    await enter(twice.token, guests[0]!)
    await enter(twice.token, guests[1]!)
    await t.rejects(enter(twice.token, guests[2]!), { code: 'INVITATION_OVER', message: /used up/ })
    await write(tx => leave(tx, room, guests[1]!))
    await t.rejects(enter(twice.token, guests[2]!), { code: 'INVITATION_OVER' }, 'a use is used')
    const short = await write(tx => makeLink(tx, room, ann, { expires: now + 1000 }))
    await t.rejects(enter(short.token, guests[2]!, now + 1000), { code: 'INVITATION_OVER', message: /expired/ })
    await enter(short.token, guests[2]!, now + 999)
    await write(tx => revokeLink(tx, room, ann, short.link.id, now))
    await write(tx => revokeLink(tx, room, ann, short.link.id, now + 5))
    await t.rejects(enter(short.token, guests[3]!, now), { code: 'INVITATION_OVER', message: /revoked/ })
    const links = await linksOf(db, room, ann, all)
    t.match(
      links.find(({ id }) => id === short.link.id),
      { revoked_at: now },
      'the first time counts',
    )
    t.same(links.map(link => linkStateAt(link, now)).toSorted(), ['revoked', 'used up'])
    t.same(
      (await linksOf(db, room, ann, { after: links[0]!.id, limit: 5 })).map(({ id }) => id),
      [links[1]!.id],
    )
  })

  await t.test('a full room uses no link up', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { maxMembers: 2, members: [bob] })
    const { token } = await write(tx => makeLink(tx, room, ann, { maxUses: 1 }))
    await t.rejects(enter(token, cem), { code: 'ROOM_FULL' })
    t.match(await linksOf(db, room, ann, all), [{ uses: 0 }])
    await write(tx => leave(tx, room, bob))
    await enter(token, cem)
    t.match(await linksOf(db, room, ann, all), [{ uses: 1 }])
  })

  await t.test('a ban wins', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann)
    const { token } = await write(tx => makeLink(tx, room, ann, {}))
    await write(tx => ban(tx, room, ann, bob))
    await t.rejects(enter(token, bob), { code: 'NO_SUCH_INVITATION' }, 'as if there were none')
    t.match(await linksOf(db, room, ann, all), [{ uses: 0 }])
  })

  await t.test('by a link an invitation is settled too', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann)
    const { token } = await write(tx => makeLink(tx, room, ann, {}))
    await write(tx => invite(tx, room, ann, [bob], unlimited(now)))
    await enter(token, bob)
    t.same(await myInvitations(db, bob, now, all), [])
  })

  await t.test('links are made, seen and revoked by those above alone', async t => {
    const [ann, bob, eve] = await people(db, 'ann', 'bob', 'eve')
    const room = await roomOf(db, ann, { members: [bob] })
    const other = await roomOf(db, ann)
    const { link, token } = await write(tx => makeLink(tx, room, ann, {}))
    for (const [who, code] of [
      [bob, 'FORBIDDEN'],
      [eve, 'NO_SUCH_ROOM'],
    ] as const) {
      await t.rejects(
        write(tx => makeLink(tx, room, who, {})),
        { code },
      )
      await t.rejects(linksOf(db, room, who, all), { code })
      await t.rejects(
        write(tx => revokeLink(tx, room, who, link.id, now)),
        { code },
      )
    }
    await t.rejects(
      write(tx => revokeLink(tx, other, ann, link.id, now)),
      { code: 'NO_SUCH_INVITATION' },
      'of another room',
    )
    await write(tx => deleteRoom(tx, room, ann))
    await t.rejects(enter(token, eve), { code: 'NO_SUCH_INVITATION' })
  })

  await t.test('so many links to a room: those that are over make way, those that are open do not', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann)
    const make = (given = {}, time = now) => write(tx => makeLink(tx, room, ann, given, time))
    const short = await make({ expires: now + 1 })
    const once = await make({ maxUses: 1 })
    const { link, token } = await make()
    for (let i = 3; i < LINKS_MOST; i++) await make()
    await t.rejects(make(), { code: 'TOO_MANY_LINKS' })
    const listed = async () => (await linksOf(db, room, ann, { after: undefined, limit: 2 * LINKS_MOST })).length
    t.equal(await listed(), LINKS_MOST)
    await t.resolves(
      write(tx => makeLink(tx, room, ann, {}, now + 1)),
      'one has expired',
    )
    t.equal(await listed(), LINKS_MOST)
    await t.rejects(enter(short.token, bob), { code: 'NO_SUCH_INVITATION' }, 'and is forgotten')
    await t.rejects(make(), { code: 'TOO_MANY_LINKS' })
    await enter(once.token, bob)
    await write(tx => revokeLink(tx, room, ann, link.id, now))
    await t.rejects(enter(token, cem), { code: 'INVITATION_OVER' }, 'as long as its place is not needed')
    await make()
    t.equal(await listed(), LINKS_MOST - 1)
    await t.rejects(enter(token, cem), { code: 'NO_SUCH_INVITATION' })
  })

  await t.test('links, as invitations, end with the right to let others in', async t => {
    for (const visibility of ['private', 'public'] as const) {
      const [ann, kicked, gone, banned, demoted, guest] = await people(db, 'ann', 'bob', 'cem', 'dan', 'eve', 'fay')
      const makers = [kicked, gone, banned, demoted]
      const guests = await people(db, 'g', 'h', 'i', 'j')
      const room = await roomOf(db, ann, { visibility, admins: makers })
      const own = await write(tx => makeLink(tx, room, ann, {}))
      const tokens: string[] = []
      for (const [i, maker] of makers.entries()) {
        tokens.push((await write(tx => makeLink(tx, room, maker, {}))).token)
        await write(tx => invite(tx, room, maker, [guests[i]!], unlimited(now)))
      }
      await write(tx => kick(tx, room, ann, kicked))
      await write(tx => leave(tx, room, gone))
      await write(tx => ban(tx, room, ann, banned))
      const telling = await write(tx => setRole(tx, room, ann, demoted, 'member'))
      for (const token of tokens) {
        await t.rejects(enter(token, guest), { code: 'INVITATION_OVER', message: /revoked/ })
      }
      const pending = await db
        .selectFrom('invitations')
        .select('inviter_id')
        .where('room_id', '=', room)
        .where('state', '=', 'pending')
        .execute()
      // To a public room a member may invite too.
      t.same(pending, visibility === 'public' ? [{ inviter_id: demoted }] : [])
      const told = telling.map(({ user, event }) => `${user} ${event.type}`)
      t.equal(told.includes(`${guests[3]} invitation`), visibility === 'private')
      await write(tx => setRole(tx, room, ann, demoted, 'owner'))
      await t.resolves(enter(own.token, guest), 'who hands the room on is an admin still')
    }
  })
})
