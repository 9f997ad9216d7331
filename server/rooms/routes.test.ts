import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Db } from '../database/database.ts'
import { memoryCounters } from '../drivers/memory/counters.ts'
import { memorySignals } from '../drivers/memory/signals.ts'
import { userChannel, type UserEvent } from '../ports/signals.ts'
import { openTestApi } from '../testkit/api.ts'
import { testDatabases } from '../testkit/database.ts'
import { roomsApi } from './index.ts'
import { may, type Act, type Standing } from './rights.ts'
import { peopleOf } from './schemas.ts'
import { people, roomOf } from './testkit/people.ts'

t.setTimeout(90_000)

const setUp = async (t: Test, db: Db, limits = {}) => {
  const signals = memorySignals().port
  const config = {
    ROOM_MAX_MEMBERS: 1_000,
    ROOMS_PER_HOUR: 10_000,
    STRANGERS_PER_HOUR: 10_000,
    INVITATIONS_PER_HOUR: 10_000,
    ...limits,
  }
  const hints: number[] = []
  const counters = memoryCounters().port
  const ask = await openTestApi(t, db, roomsApi({ db, signals, counters, config, hint: () => void hints.push(1) }))
  /** What `user` is told from now on. */
  const listen = async (user: string): Promise<string[]> => {
    const heard: string[] = []
    await signals.subscribe(userChannel(user), event => void heard.push((event as UserEvent).type))
    return heard
  }
  return { ask, listen, hints }
}

type Body = Record<string, unknown>
const items = (body: Body): Body[] => body['items'] as Body[]

await testDatabases(t, async (t, { db }) => {
  const { ask, listen, hints } = await setUp(t, db)

  await t.test('a room from beginning to end', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const heard = await listen(bob)
    const before = hints.length
    const body = { name: 'Riders', about: 'horses', visibility: 'private', invite: [bob] }
    const made = await ask(ann, 'POST', '/rooms', { body })
    t.equal(made.status, 201)
    const { id } = made.body as { id: string }
    t.match(made.body, { name: 'Riders', about: 'horses', visibility: 'private', memberCount: 1, maxMembers: 100 })
    t.match(made.body, { role: 'owner', createdAt: Number, lastMessageAt: Number })
    t.notOk('other' in made.body)
    t.equal(hints.length, before + 1)
    while (heard.length < 2) await setImmediate()
    t.same(heard, ['notification', 'invitation'])
    t.equal((await ask(bob, 'GET', `/rooms/${id}`)).body['code'], 'NO_SUCH_ROOM')
    const { body: waiting } = await ask(bob, 'GET', '/invitations')
    t.match(items(waiting), [
      { room: { id, name: 'Riders', about: 'horses' }, inviter: { id: ann }, invitee: { id: bob } },
    ])
    const accepted = await ask(bob, 'POST', `/invitations/${items(waiting)[0]!['id'] as string}/accept`)
    t.match(accepted, { status: 200, body: { id, role: 'member', memberCount: 2 } })
    const changes = { name: 'Racers', about: '', visibility: 'public', maxMembers: 50 }
    t.match(await ask(ann, 'PATCH', `/rooms/${id}`, { body: changes }), { status: 200, body: changes })
    t.equal((await ask(bob, 'DELETE', `/rooms/${id}`)).body['code'], 'FORBIDDEN')
    t.same(await ask(ann, 'DELETE', `/rooms/${id}`), { status: 204, body: {} })
    t.equal((await ask(ann, 'GET', `/rooms/${id}`)).body['code'], 'NO_SUCH_ROOM')
  })

  await t.test('with an Idempotency-Key a room is made once, and told of once', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const heard = await listen(bob)
    const request = { headers: { 'idempotency-key': 'k' }, body: { name: 'n', visibility: 'public', invite: [bob] } }
    const first = await ask(ann, 'POST', '/rooms', request)
    t.same(await ask(ann, 'POST', '/rooms', request), first)
    t.equal(items((await ask(ann, 'GET', '/rooms')).body).length, 1)
    const to = `/rooms/${first.body['id'] as string}/invitations`
    const [cem] = await people(db, 'cem')
    const again = { headers: { 'idempotency-key': 'i' }, body: { users: [cem] } }
    const sent = await ask(ann, 'POST', to, again)
    t.match(sent, { status: 201, body: { invitations: [{ user: cem }] } })
    t.same(await ask(ann, 'POST', to, again), sent)
    t.match(items((await ask(ann, 'GET', to)).body), [{ invitee: { id: cem } }, { invitee: { id: bob } }])
    t.equal(heard.length, 2)
  })

  await t.test('what a request may not be', async t => {
    const [ann] = await people(db, 'ann')
    const bodies = [
      {},
      { name: '', visibility: 'public' },
      { name: 'n', visibility: 'direct' },
      { name: 'n', visibility: 'public', maxMembers: 0 },
      { name: 'n', visibility: 'public', maxMembers: 1_001 },
      { name: 'n', visibility: 'public', invite: Array.from({ length: 101 }, (_, i) => `${i}`) },
    ]
    for (const body of bodies) t.equal((await ask(ann, 'POST', '/rooms', { body })).status, 400, JSON.stringify(body))
    t.equal((await ask(ann, 'GET', '/rooms?cursor=nonsense')).body['code'], 'BAD_REQUEST')
    t.equal((await ask(ann, 'GET', '/rooms?limit=101')).status, 400)
    t.equal((await ask(ann, 'GET', '/rooms/public')).status, 200, 'what is searched for may be left out')
  })

  await t.test('somebody whose account ends while a list is read has no name', async t => {
    const [ann] = await people(db, 'ann')
    const person = await peopleOf(db, [ann, 'gone'])
    t.match(person(ann), { id: ann, displayName: 'ann' })
    t.same(person('gone'), { id: 'gone', name: '', displayName: '', statusText: '' })
  })

  await t.test('direct rooms: 201 and then 200, with the other one', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const first = await ask(ann, 'POST', '/direct-rooms', { body: { user: bob } })
    t.match(first, { status: 201, body: { visibility: 'direct', role: 'member', memberCount: 2, other: { id: bob } } })
    t.notOk('name' in first.body)
    const second = await ask(bob, 'POST', '/direct-rooms', { body: { user: ann } })
    t.match(second, { status: 200, body: { id: first.body['id'], other: { id: ann } } })
    t.match(items((await ask(bob, 'GET', '/rooms')).body), [{ other: { id: ann, displayName: 'ann' } }])
  })

  await t.test('lists are paged: my rooms, public ones, members, bans, invitations, links', async t => {
    const [ann, ...others] = await people(db, 'ann', 'bob', 'cem', 'dan')
    const members = await roomOf(db, ann, { members: others, name: 'Paged one', visibility: 'public' })
    await roomOf(db, ann, { name: 'Paged two', visibility: 'public' })
    await roomOf(db, ann, { name: 'Paged three', visibility: 'public' })
    const guests = await people(db, 'eve', 'fay', 'gil')
    await ask(ann, 'POST', `/rooms/${members}/invitations`, { body: { users: guests } })
    const barred = await people(db, 'hal', 'ian', 'jon')
    for (const user of barred) t.equal((await ask(ann, 'PUT', `/rooms/${members}/bans/${user}`)).status, 204)
    for (let i = 0; i < 3; i++) await ask(ann, 'POST', `/rooms/${members}/links`, { body: {} })
    for (const room of [await roomOf(db, ann), await roomOf(db, ann)]) {
      await ask(ann, 'POST', `/rooms/${room}/invitations`, { body: { users: guests.slice(0, 1) } })
    }
    for (const [who, path, count] of [
      [ann, '/rooms', 5],
      [ann, '/rooms/public?search=paged', 3],
      [ann, `/rooms/${members}/members`, 4],
      [ann, `/rooms/${members}/bans`, 3],
      [ann, `/rooms/${members}/invitations`, 3],
      [ann, `/rooms/${members}/links`, 3],
      [guests[0], '/invitations', 3],
    ] as const) {
      const seen: string[] = []
      const all = items((await ask(who, 'GET', path)).body).map(item => JSON.stringify(item))
      t.equal(all.length, count, path)
      for (let cursor = ''; ;) {
        const mark = path.includes('?') ? '&' : '?'
        const { body } = await ask(who, 'GET', `${path}${mark}limit=2${cursor && `&cursor=${cursor}`}`)
        for (const item of items(body)) seen.push(JSON.stringify(item))
        if (body['next'] === undefined) break
        cursor = body['next'] as string
      }
      t.same(seen, all, path)
    }
    t.match(items((await ask(others[0]!, 'GET', `/rooms/${members}/members`)).body), [
      { person: { id: ann, displayName: 'ann' }, role: 'owner', joinedAt: Number },
      { person: { id: others[0] }, role: 'member' },
      {},
      {},
    ])
  })

  await t.test('links: the token is shown once', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann)
    const body = { maxUses: 1, expiresAt: Date.now() + 60_000 }
    const made = await ask(ann, 'POST', `/rooms/${room}/links`, { body })
    t.match(made, { status: 201, body: { link: { state: 'open', uses: 0, ...body }, token: String } })
    const { token, link } = made.body as { token: string; link: { id: string } }
    const plain = await ask(ann, 'POST', `/rooms/${room}/links`, { body: {} })
    t.notOk('maxUses' in (plain.body['link'] as Body))
    t.match(await ask(bob, 'POST', '/links/join', { body: { token } }), {
      status: 200,
      body: { id: room, role: 'member' },
    })
    t.equal((await ask(cem, 'POST', '/links/join', { body: { token } })).body['code'], 'INVITATION_OVER')
    t.equal((await ask(cem, 'POST', '/links/join', { body: { token: 'x' } })).body['code'], 'NO_SUCH_INVITATION')
    const listed = await ask(ann, 'GET', `/rooms/${room}/links`)
    t.notOk(JSON.stringify(listed).includes(token))
    t.match(
      items(listed.body).find(({ id }) => id === link.id),
      { state: 'used up', uses: 1 },
    )
    t.equal((await ask(ann, 'DELETE', `/rooms/${room}/links/${link.id}`)).status, 204)
  })

  await t.test('what was answered to nobody may be asked again: bans', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann, { members: [bob] })
    for (const method of ['PUT', 'PUT', 'DELETE', 'DELETE'] as const) {
      t.same(await ask(ann, method, `/rooms/${room}/bans/${bob}`), { status: 204, body: {} })
      const listed = items((await ask(ann, 'GET', `/rooms/${room}/bans`)).body)
      t.equal(listed.length, method === 'PUT' ? 1 : 0)
    }
  })

  await t.test('invitations are declined, and taken back', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann)
    const send = async () => {
      const { body } = await ask(ann, 'POST', `/rooms/${room}/invitations`, { body: { users: [bob] } })
      return (body['invitations'] as { id: string }[])[0]!.id
    }
    const first = await send()
    const heard = await listen(ann)
    t.same(await ask(bob, 'POST', `/invitations/${first}/decline`), { status: 204, body: {} })
    while (heard.length === 0) await setImmediate()
    t.same(heard, ['invitation'], 'who sent it is told')
    t.equal((await ask(bob, 'POST', `/invitations/${first}/accept`)).body['code'], 'INVITATION_OVER')
    t.equal((await ask(ann, 'POST', `/invitations/${await send()}/revoke`)).status, 204)
    t.same(items((await ask(bob, 'GET', '/invitations')).body), [])
  })

  await t.test('quotas', async t => {
    const { ask } = await setUp(t, db, { ROOMS_PER_HOUR: 1, STRANGERS_PER_HOUR: 1, INVITATIONS_PER_HOUR: 1 })
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const body = { name: 'n', visibility: 'public' }
    const headers = { 'idempotency-key': 'quota' }
    const made = await ask(ann, 'POST', '/rooms', { body, headers })
    t.equal(made.status, 201)
    t.match(await ask(ann, 'POST', '/rooms', { body }), { status: 429, body: { code: 'TOO_MANY_ROOMS' } })
    t.same(await ask(ann, 'POST', '/rooms', { body, headers }), made, 'a repeat is answered, and counts no more')
    await ask(ann, 'DELETE', `/rooms/${made.body['id'] as string}`)
    t.match(await ask(ann, 'POST', '/rooms', { body }), { status: 429, body: { code: 'TOO_MANY_ROOMS' } })
    const users = [bob, cem]
    t.match(await ask(ann, 'POST', `/rooms/${await roomOf(db, ann)}/invitations`, { body: { users } }), {
      status: 429,
      body: { code: 'QUOTA_REACHED' },
    })
    t.equal((await ask(ann, 'POST', '/direct-rooms', { body: { user: bob } })).status, 201)
    t.match(await ask(ann, 'POST', '/direct-rooms', { body: { user: cem } }), {
      status: 429,
      body: { code: 'QUOTA_REACHED' },
    })
  })

  await t.test('every standing × every act, as the table of rights has it', async t => {
    const ids = await people(db, 'owner', 'admin', 'member', 'outsider', 'banned', 'other', 'guest')
    const [owner, admin, member, outsider, banned, other, guest] = ids
    const standings: readonly (readonly [Standing, string])[] = [
      ['owner', owner],
      ['admin', admin],
      ['member', member],
      ['outsider', outsider],
      ['banned', banned],
    ]
    const requests: readonly (readonly [Act, string, string, (object | undefined)?, Standing?])[] = [
      ['read', 'GET', ''],
      ['read', 'GET', '/members'],
      ['rename', 'PATCH', '', { name: 'other' }],
      ['describe', 'PATCH', '', { about: 'other' }],
      ['set-cap', 'PATCH', '', { maxMembers: 30 }],
      ['set-visibility', 'PATCH', '', { visibility: 'private' }],
      ['invite', 'POST', '/invitations', { users: [guest] }],
      ['link', 'GET', '/links'],
      ['link', 'POST', '/links', {}],
      ['moderate', 'GET', '/bans'],
      ['moderate', 'GET', '/invitations'],
      ['kick', 'DELETE', `/members/${other}`, undefined, 'member'],
      ['ban', 'PUT', `/bans/${other}`, undefined, 'member'],
      ['unban', 'DELETE', `/bans/${banned}`, undefined, 'banned'],
      ['promote', 'PUT', `/members/${other}/role`, { role: 'admin' }, 'member'],
      ['hand-on', 'PUT', `/members/${other}/role`, { role: 'owner' }, 'member'],
      ['leave', 'DELETE', '/membership'],
      ['delete', 'DELETE', ''],
    ]
    const make = async (visibility: 'public' | 'private'): Promise<string> => {
      const room = await roomOf(db, owner, { visibility, admins: [admin], members: [member, other] })
      await db.insertInto('bans').values({ room_id: room, user_id: banned }).execute()
      return room
    }
    for (const visibility of ['public', 'private'] as const) {
      for (const [mine, who] of standings) {
        let room = await make(visibility)
        for (const [act, method, path, body, theirs] of requests) {
          const answer = await ask(who, method as 'GET', `/rooms/${room}${path}`, body && { body })
          const code = !may('read', visibility, mine)
            ? 'NO_SUCH_ROOM'
            : act === 'leave' && mine === 'owner'
              ? 'OWNER_STAYS'
              : 'FORBIDDEN'
          const expected = may(act, visibility, mine, theirs) ? undefined : code
          t.equal(answer.body['code'], expected, `${mine}: ${act} in a ${visibility} room`)
          t.equal(answer.status < 300, expected === undefined)
          // What was refused has changed nothing.
          if (expected === undefined && method !== 'GET') room = await make(visibility)
        }
        const joined = await ask(who, 'PUT', `/rooms/${room}/membership`)
        t.equal(joined.status, may('read', visibility, mine) ? 200 : 404, `${mine} joins`)
      }
    }
  })
})
