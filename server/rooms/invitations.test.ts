import fc from 'fast-check'
import t from 'tap'
import { at, transaction, type Db, type Tx } from '../database/database.ts'
import { memorySignals } from '../drivers/memory/signals.ts'
import { HoofbeatError } from '../errors.ts'
import type { Telling } from '../people/index.ts'
import { hearing } from '../people/testkit/hearing.ts'
import { userChannel } from '../ports/signals.ts'
import { silent, testDatabases } from '../testkit/database.ts'
import { ban, unban } from './bans.ts'
import { kick } from './coming-and-going.ts'
import { expireInvitations, expireSome } from './expiry.ts'
import { accept, decline, invite, INVITATION_MS, revoke, stateAt } from './invitations.ts'
import type { InvitationState } from './settling.ts'
import { invitationsTo, myInvitations } from './lists.ts'
import { lockRow, standingOf } from './room.ts'
import { deleteRoom } from './removal.ts'
import { ended, people, rolesIn, roomOf, spendUpTo, told, unlimited } from './testkit/people.ts'

t.setTimeout(90_000)

const kinds = ['invite', 'accept', 'decline', 'revoke', 'ban', 'unban', 'kick', 'wait'] as const
const step = fc.record({
  kind: fc.constantFrom(...kinds, 'invite', 'accept'),
  /** Which of the invitations so far, and how long. */
  which: fc.nat({ max: 3 }),
  byAdmin: fc.boolean(),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** One room and one guest. */
interface Model {
  now: number
  standing: 'outsider' | 'member' | 'banned'
  readonly invitations: { id: string; state: InvitationState; expires: number }[]
}

const outcome = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work()
    return 'ok'
  } catch (error) {
    if (error instanceof HoofbeatError) return error.code
    throw error
  }
}

/** What `step` comes to, and what is different after it. */
const predict = (model: Model, { kind, which }: Step): string => {
  const { now, invitations, standing } = model
  const chosen = invitations[which]
  const state = chosen && stateAt({ state: chosen.state, expires_at: chosen.expires }, now)
  const settle = (to: InvitationState): string => {
    if (state !== 'pending' && state !== to) return 'INVITATION_OVER'
    chosen!.state = to
    return 'ok'
  }
  const change = (from: Model['standing'], to: Model['standing']): string => {
    if (standing !== from) return 'FORBIDDEN'
    model.standing = to
    return 'ok'
  }
  if (kind === 'invite') return standing === 'banned' ? 'FORBIDDEN' : 'ok'
  if (kind === 'unban') {
    if (standing === 'banned') model.standing = 'outsider'
    return 'ok'
  }
  if (kind === 'kick') return change('member', 'outsider')
  if (kind === 'ban') {
    model.standing = 'banned'
    for (const each of invitations) if (each.state === 'pending') each.state = 'revoked'
    return 'ok'
  }
  if (kind === 'wait') {
    model.now += which * (INVITATION_MS / 2)
    return 'ok'
  }
  if (!chosen) return 'NO_SUCH_INVITATION'
  if (kind === 'decline') return settle('declined')
  if (kind === 'revoke') return settle('revoked')
  if (state === 'accepted') return standing === 'member' ? 'ok' : 'INVITATION_OVER'
  if (state !== 'pending') return 'INVITATION_OVER'
  chosen.state = 'accepted'
  model.standing = 'member'
  return 'ok'
}

const course = async (db: Db, steps: readonly Step[]): Promise<void> => {
  const [ann, bob, guest] = await people(db, 'ann', 'bob', 'guest')
  const room = await roomOf(db, ann, { admins: [bob] })
  const model: Model = { now: Date.now(), standing: 'outsider', invitations: [] }
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => transaction(db, work)

  const sendInvitation = async (by: string): Promise<void> => {
    const { now, standing, invitations } = model
    const pending = invitations.find(({ state }) => state === 'pending')
    const { invitations: sent } = await write(tx => invite(tx, room, by, [guest], unlimited(now)))
    const holds = pending !== undefined && pending.expires > now
    if ((sent.length === 0) !== (standing === 'member')) throw new Error('members are left out, and nobody else')
    const [one] = sent
    if (!one) return
    if (holds !== (one.id === pending?.id)) throw new Error('one at a time')
    if (holds) return
    if (pending) pending.state = 'expired'
    invitations.push({ id: one.id, state: 'pending', expires: now + INVITATION_MS })
  }

  for (const step of steps) {
    const { kind, which, byAdmin } = step
    const by = byAdmin ? bob : ann
    const id = model.invitations[which]?.id ?? 'unknown'
    const { now } = model
    const expected = predict(model, step)
    const found = await outcome(async () => {
      if (kind === 'invite') return sendInvitation(by)
      if (kind === 'accept') return write(tx => accept(tx, id, guest, now))
      if (kind === 'decline') return write(tx => decline(tx, id, guest, now))
      if (kind === 'revoke') return write(tx => revoke(tx, id, by, now))
      if (kind === 'ban') return write(tx => ban(tx, room, by, guest))
      if (kind === 'unban') return write(tx => unban(tx, room, by, guest))
      if (kind === 'kick') return write(tx => kick(tx, room, by, guest))
    })
    if (found !== expected) throw new Error(`${kind}: ${found}, not ${expected}`)
  }
  const rows = await db.selectFrom('invitations').selectAll().where('room_id', '=', room).execute()
  const states = new Map(rows.map(row => [row.id, stateAt(row, model.now)]))
  for (const { id, state, expires } of model.invitations) {
    const expected = stateAt({ state, expires_at: expires }, model.now)
    if (states.get(id) !== expected) throw new Error(`${states.get(id)}, not ${expected}`)
  }
  if (rows.length !== model.invitations.length) throw new Error('an invitation too many')
  if ((await standingOf(db, room, guest)) !== model.standing) throw new Error(`is not ${model.standing}`)
  await rolesIn(db, room)
}

/** Who is told what. */
const brief = (telling: readonly Telling[]): string[] =>
  telling.map(({ user, event: { type, body } }) =>
    [user, type, ...(type === 'invitation' ? [(body as { state: string }).state] : [])].join(' '),
  )

await testDatabases(t, async (t, { db, kind }) => {
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => transaction(db, work)
  const all = { after: undefined, limit: 100 }
  const now = Date.now()
  const ask = async (room: string, from: string, to: string, time = now) => {
    const { invitations, telling } = await write(tx => invite(tx, room, from, [to], unlimited(time)))
    return { invitation: invitations[0]!, told: brief(telling) }
  }
  const block = (user: string, blocked: string) =>
    db.insertInto('blocks').values({ user_id: user, blocked_id: blocked }).execute()

  await t.test('asked and accepted: a member, and the room sees it', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const room = await roomOf(db, ann)
    const { invitation, told: first } = await ask(room, ann, bob)
    t.same(first, [`${bob} notification`, `${bob} invitation pending`])
    t.match(invitation, { state: 'pending', inviter_id: ann, invitee_id: bob, expires_at: now + INVITATION_MS })
    t.match(await myInvitations(db, bob, now, all), [
      { id: invitation.id, room_id: room, name: 'a room', inviter_id: ann, invitee_id: bob },
    ])
    t.match(await invitationsTo(db, room, ann, now, all), [{ id: invitation.id }])
    const accepted = await write(tx => accept(tx, invitation.id, bob, now))
    t.equal(accepted.room.id, room)
    const both = [
      `${bob} membership`,
      `${ann} invitation accepted`,
      `${bob} notification`,
      `${bob} invitation accepted`,
    ]
    t.same(brief(accepted.telling), both, 'both sides are told')
    t.same(await rolesIn(db, room), { [ann]: 'owner', [bob]: 'member' })
    t.same(await told(db, room), [{ by: bob, event: 'joined', user: bob }])
    t.same(await myInvitations(db, bob, now, all), [])
    await t.resolves(
      write(tx => accept(tx, invitation.id, bob, now)),
      'again changes nothing',
    )
    t.equal((await told(db, room)).length, 1)
    t.same(await ended(db, room), [])
  })

  await t.test('declined, revoked, expired: over, and may be asked anew', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { admins: [cem] })
    const first = await ask(room, cem, bob)
    await write(tx => decline(tx, first.invitation.id, bob, now))
    await t.resolves(write(tx => decline(tx, first.invitation.id, bob, now)))
    for (const act of [
      () => write(tx => accept(tx, first.invitation.id, bob, now)),
      () => write(tx => revoke(tx, first.invitation.id, ann, now)),
    ]) {
      await t.rejects(act(), { code: 'INVITATION_OVER', message: /declined/ })
    }
    const second = await ask(room, cem, bob)
    t.not(second.invitation.id, first.invitation.id)
    await write(tx => revoke(tx, second.invitation.id, ann, now))
    await t.resolves(write(tx => revoke(tx, second.invitation.id, cem, now)))
    await t.rejects(
      write(tx => accept(tx, second.invitation.id, bob, now)),
      { code: 'INVITATION_OVER', message: /revoked/ },
    )
    const third = await ask(room, cem, bob)
    const later = now + INVITATION_MS
    t.match(await myInvitations(db, bob, later - 1, all), [{ id: third.invitation.id }])
    t.same(await myInvitations(db, bob, later, all), [])
    t.same(await invitationsTo(db, room, ann, later, all), [])
    await t.rejects(
      write(tx => accept(tx, third.invitation.id, bob, later)),
      { code: 'INVITATION_OVER', message: /expired/ },
    )
    const fourth = await ask(room, cem, bob, later)
    t.not(fourth.invitation.id, third.invitation.id)
    t.same(fourth.told, [
      `${cem} invitation expired`,
      `${bob} notification`,
      `${bob} invitation expired`,
      `${bob} notification`,
      `${bob} invitation pending`,
    ])
    await write(tx => accept(tx, fourth.invitation.id, bob, later))
    t.equal((await rolesIn(db, room))[bob], 'member')
    t.same(
      (await db.selectFrom('invitations').select('state').where('room_id', '=', room).execute())
        .map(({ state }) => state)
        .toSorted(),
      ['accepted', 'declined', 'expired', 'revoked'],
    )
  })

  await t.test('it is for nobody else, and an unknown one is the same', async t => {
    const [ann, bob, cem, eve] = await people(db, 'ann', 'bob', 'cem', 'eve')
    const room = await roomOf(db, ann, { members: [cem] })
    const { invitation } = await ask(room, ann, bob)
    for (const id of [invitation.id, 'unknown']) {
      for (const who of [cem, eve]) {
        await t.rejects(
          write(tx => accept(tx, id, who, now)),
          { code: 'NO_SUCH_INVITATION' },
        )
        await t.rejects(
          write(tx => decline(tx, id, who, now)),
          { code: 'NO_SUCH_INVITATION' },
        )
        await t.rejects(
          write(tx => revoke(tx, id, who, now)),
          { code: 'NO_SUCH_INVITATION' },
        )
      }
    }
    await t.rejects(
      write(tx => revoke(tx, invitation.id, bob, now)),
      { code: 'NO_SUCH_INVITATION' },
    )
    await write(tx => deleteRoom(tx, room, ann))
    await t.rejects(
      write(tx => accept(tx, invitation.id, bob, now)),
      { code: 'NO_SUCH_INVITATION' },
    )
  })

  await t.test('who may invite: to a private room those above, to a public one its members', async t => {
    const [ann, bob, cem, eve] = await people(db, 'ann', 'bob', 'cem', 'eve')
    const room = await roomOf(db, ann, { admins: [bob], members: [cem] })
    await ask(room, bob, eve)
    await t.rejects(ask(room, cem, eve), { code: 'FORBIDDEN' })
    await t.rejects(ask(room, eve, eve), { code: 'NO_SUCH_ROOM' })
    await t.rejects(invitationsTo(db, room, cem, now, all), { code: 'FORBIDDEN' })
    const open = await roomOf(db, ann, { members: [cem], visibility: 'public' })
    await ask(open, cem, eve)
    await t.rejects(ask(open, eve, bob), { code: 'FORBIDDEN' })
    const again = await ask(open, ann, eve)
    t.same(again.told, [], 'one at a time')
    t.equal(again.invitation.inviter_id, cem)
    t.same(
      await write(tx => invite(tx, open, ann, [cem, ann], unlimited(now))),
      { invitations: [], made: 0, telling: [] },
      'members are left out',
    )
    await t.rejects(ask(open, ann, 'nobody'), { code: 'NO_SUCH_USER' })
  })

  await t.test('blocked people: the one who blocks is not bothered, the other one does not notice', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann)
    await block(bob, ann)
    const { invitation, told } = await ask(room, ann, bob)
    t.same(told, [])
    t.same(await myInvitations(db, bob, now, all), [])
    t.match(await invitationsTo(db, room, ann, now, all), [{ id: invitation.id }])
    const revoked = await write(tx => revoke(tx, invitation.id, ann, now))
    t.same(brief(revoked.telling), [`${ann} invitation revoked`])
    await block(ann, cem)
    await t.rejects(ask(room, ann, cem), { code: 'FORBIDDEN' }, 'whom one has blocked oneself')
  })

  await t.test('an invitation that is not shown keeps nobody else from inviting', async t => {
    const [ann, bob, cem, dan, eve] = await people(db, 'ann', 'bob', 'cem', 'dan', 'eve')
    const room = await roomOf(db, ann, { admins: [bob, cem, dan] })
    const before = await ask(room, bob, eve)
    await block(eve, bob)
    await block(eve, dan)
    t.match(await ask(room, dan, eve), { invitation: { inviter_id: bob }, told: [] }, 'one who is not heard either')
    const later = now + INVITATION_MS / 2
    const { invitation, told } = await ask(room, cem, eve, later)
    t.match(invitation, { id: before.invitation.id, inviter_id: cem, created_at: later })
    t.equal(invitation.expires_at, later + INVITATION_MS)
    t.same(told, [`${eve} notification`, `${eve} invitation pending`])
    t.match(await myInvitations(db, eve, later, all), [{ id: invitation.id, inviter_id: cem }])
    const notified = await db.selectFrom('notifications').select('actor_id').where('user_id', '=', eve).execute()
    t.same(notified, [{ actor_id: cem }], 'of the other one nothing is left')
    t.same((await ask(room, ann, eve, later)).told, [], 'which stands as any other')
    const accepted = await write(tx => accept(tx, invitation.id, eve, later))
    t.notOk(
      brief(accepted.telling).some(each => each.startsWith(bob)),
      'and who was blocked is told of nothing',
    )
    const [fay] = await people(db, 'fay')
    await ask(room, bob, fay)
    await block(bob, fay)
    t.equal((await ask(room, cem, fay)).invitation.inviter_id, cem, 'a block by the inviter is one too')
  })

  await t.test('[S-69] time ends an invitation: both sides are told, and the notification goes', async t => {
    const [ann, bob, cem, dan] = await people(db, 'ann', 'bob', 'cem', 'dan')
    const [room, other] = [await roomOf(db, ann), await roomOf(db, ann)]
    const early = await ask(room, ann, bob, now - 2)
    await ask(room, ann, cem, now - 1)
    const another = await ask(other, ann, bob, now - 1)
    await block(dan, ann)
    const hidden = await ask(room, ann, dan, now - 2)
    const due = now - 1 + INVITATION_MS
    // What earlier tests have left.
    await db.deleteFrom('invitations').where('room_id', 'not in', [room, other]).execute()
    t.equal(await expireSome(db, due - 2), undefined)
    t.same(
      brief((await expireSome(db, due - 1)) ?? []).toSorted(),
      [
        `${ann} invitation expired`,
        `${ann} invitation expired`,
        `${bob} invitation expired`,
        `${bob} notification`,
      ].toSorted(),
      'the invitee who has not seen it aside',
    )
    t.equal(await expireSome(db, due - 1), undefined)
    const left = await db.selectFrom('notifications').select('subject').where('user_id', '=', bob).execute()
    t.same(left, [{ subject: another.invitation.id }])
    const ended = await db
      .selectFrom('invitations')
      .select('state')
      .where('id', 'in', [early.invitation.id, hidden.invitation.id])
      .execute()
    t.same(ended, [{ state: 'expired' }, { state: 'expired' }])
    const signals = memorySignals().port
    const [anns, bobs] = [hearing(), hearing()]
    await signals.subscribe(userChannel(ann), anns.listener)
    await signals.subscribe(userChannel(bob), bobs.listener)
    // What is left is due by the clock of the machine too.
    await db
      .updateTable('invitations')
      .set({ expires_at: at(now) })
      .where('state', '=', 'pending')
      .execute()
    const job = expireInvitations({ db, signals, logger: silent })
    t.match(await anns.until(2), [{ body: { state: 'expired' } }, { body: { state: 'expired' } }])
    const { id } = another.invitation
    t.match(await bobs.until(2), [
      { type: 'notification', body: { unread: 0 } },
      { type: 'invitation', body: { id, room: other, state: 'expired' } },
    ])
    await job.close()
  })

  await t.test('of a room that somebody is changing invitations end later, and of others now', async t => {
    if (kind === 'embedded') return
    const [ann, bob] = await people(db, 'ann', 'bob')
    const rooms = [await roomOf(db, ann), await roomOf(db, ann)] as const
    const [first, second] = [await ask(rooms[0], ann, bob, now - 2), await ask(rooms[1], ann, bob, now - 1)]
    const ended = async (): Promise<unknown> => {
      const telling = await expireSome(db, now + INVITATION_MS - 1)
      return telling?.map(({ event }) => (event.body as { id?: string }).id).findLast(id => id !== undefined)
    }
    await write(async tx => {
      await lockRow(tx, rooms[0])
      t.equal(await ended(), second.invitation.id)
      t.equal(await ended(), undefined)
    })
    t.equal(await ended(), first.invitation.id)
  })

  await t.test('quota: so many invitations per user within an hour', async t => {
    const [ann, ...guests] = await people(db, 'ann', 'bob', 'cem', 'dan')
    const room = await roomOf(db, ann)
    const spend = spendUpTo(2)
    const some = (people: readonly string[]) => write(tx => invite(tx, room, ann, people, { spend, now }))
    await t.rejects(some(guests), { code: 'QUOTA_REACHED' })
    t.same(await invitationsTo(db, room, ann, now, all), [], 'then none of them is sent, or counted')
    await some(guests.slice(0, 2))
    await t.rejects(some(guests.slice(2)), { code: 'QUOTA_REACHED' })
    await t.resolves(some(guests.slice(0, 2)), 'those that are there already do not count twice')
  })

  await t.test('lists of invitations, a page at a time', async t => {
    const [ann, bob] = await people(db, 'ann', 'bob')
    const ids: string[] = []
    for (let i = 0; i < 3; i++) {
      const { invitation } = await ask(await roomOf(db, ann), ann, bob, now - (i % 2) * 1000)
      ids.push(invitation.id)
    }
    const [first] = [ids[0]!, ids[2]!].toSorted().toReversed()
    const found = await myInvitations(db, bob, now, { after: undefined, limit: 1 })
    t.same(
      found.map(({ id }) => id),
      [ids[0]!, ids[2]!].toSorted().toReversed(),
    )
    const rest = await myInvitations(db, bob, now, { after: [now, first!], limit: 1 })
    t.same(
      rest.map(({ id }) => id),
      [[ids[0]!, ids[2]!].toSorted()[0], ids[1]],
    )
  })

  await t.test('any course of things comes to what a small model says', async t => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async steps => {
        await course(db, steps)
      }),
      { numRuns: 25 },
    )
    t.pass()
  })
})
