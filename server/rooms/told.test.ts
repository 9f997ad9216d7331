import t from 'tap'
import { transaction, type Tx } from '../database/database.ts'
import { TOLD_UP_TO, type Telling } from '../people/index.ts'
import { testDatabases } from '../testkit/database.ts'
import { ban, unban } from './bans.ts'
import { join, kick, leave } from './coming-and-going.ts'
import { createRoom, openDirect } from './create.ts'
import { accept, decline, invite } from './invitations.ts'
import { joinByLink, makeLink } from './links.ts'
import { deleteRoom } from './removal.ts'
import { setRole } from './roles.ts'
import { depart, limits, people, roomOf, unlimited } from './testkit/people.ts'

/** Whom lists of rooms, invitations and notifications are to change for, and how. */
const brief = (telling: readonly Telling[]): string[] =>
  telling.map(({ user, event: { type, body } }) => {
    const { role = '', state = '' } = body as { role?: string; state?: string }
    return `${user} ${type} ${role}${state}`.trimEnd()
  })

await testDatabases(t, async (t, { db }) => {
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => transaction(db, work)
  const now = Date.now()

  await t.test('whoever’s place in a room is another one is told, by whatever it came', async t => {
    const [ann, bob, cem, dan] = await people(db, 'ann', 'bob', 'cem', 'dan')
    const does = async (work: (tx: Tx) => Promise<readonly Telling[]>) => brief(await write(work))
    const made = await write(tx => createRoom(tx, ann, { name: 'n', visibility: 'public' }, limits()))
    t.same(brief(made.telling), [`${ann} membership owner`])
    const { id } = made.room
    t.same(await does(tx => join(tx, id, bob)), [`${bob} membership member`])
    t.same(await does(tx => join(tx, id, bob)), [], 'nothing has changed')
    const { invitations } = await write(tx => invite(tx, id, ann, [cem], unlimited(now)))
    const accepted = await write(tx => accept(tx, invitations[0]!.id, cem, now))
    t.ok(brief(accepted.telling).includes(`${cem} membership member`))
    const { token } = await write(tx => makeLink(tx, id, ann, {}))
    t.same(brief((await write(tx => joinByLink(tx, token, dan, now))).telling), [`${dan} membership member`])
    t.same(await does(tx => setRole(tx, id, ann, bob, 'admin')), [`${bob} membership admin`])
    t.same(await does(tx => setRole(tx, id, ann, bob, 'owner')), [`${ann} membership admin`, `${bob} membership owner`])
    t.same(await does(tx => leave(tx, id, ann)), [`${ann} membership none`])
    t.same(await does(tx => kick(tx, id, bob, cem)), [`${cem} membership none`])
    t.same(await does(tx => ban(tx, id, bob, dan)), [`${dan} membership none`])
    t.same(await does(tx => ban(tx, id, bob, ann)), [], 'who was not there')
    t.same(await does(tx => unban(tx, id, bob, ann)), [])
    const direct = await write(tx => openDirect(tx, ann, bob, unlimited()))
    t.same(brief(direct.telling), [`${ann} membership member`, `${bob} membership member`])
    t.same((await write(tx => openDirect(tx, bob, ann, unlimited()))).telling, [], 'it is there already')
  })

  await t.test('the end of a room: its members, and between whom an invitation was', async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { members: [bob] })
    await write(tx => invite(tx, room, ann, [cem], unlimited(now)))
    const told = brief(await write(tx => deleteRoom(tx, room, ann)))
    const invited = [`${ann} invitation revoked`, `${cem} notification`, `${cem} invitation revoked`]
    t.same(told.slice(0, 3), invited)
    t.same(told.slice(3).toSorted(), [`${ann} membership none`, `${bob} membership none`].toSorted())
  })

  await t.test('of a room of more than 200 members its end is not told to each', async t => {
    const [ann] = await people(db, 'ann')
    for (const [count, told] of [
      [TOLD_UP_TO, 1],
      [TOLD_UP_TO + 1, 0],
    ] as const) {
      const room = await roomOf(db, ann, { maxMembers: 1000 })
      await db.updateTable('rooms').set({ member_count: count }).where('id', '=', room).execute()
      t.equal((await write(tx => deleteRoom(tx, room, ann))).length, told)
    }
  })

  await t.test('the end of an account: who goes on with its rooms, whom it wrote with, who had invited it', async t => {
    const [ann, bob, cem, dan] = await people(db, 'ann', 'bob', 'cem', 'dan')
    await roomOf(db, ann, { members: [bob] })
    await write(tx => openDirect(tx, ann, cem, unlimited()))
    const theirs = await roomOf(db, dan)
    await write(tx => invite(tx, theirs, dan, [ann], unlimited(now)))
    const declined = await roomOf(db, cem)
    const { invitations } = await write(tx => invite(tx, declined, cem, [ann], unlimited(now)))
    await write(tx => decline(tx, invitations[0]!.id, ann, now))
    const told = brief(await depart(db, ann)).filter(each => !each.startsWith(ann))
    t.same(
      told.toSorted(),
      [`${bob} membership owner`, `${cem} membership member`, `${dan} invitation declined`].toSorted(),
    )
  })
})
