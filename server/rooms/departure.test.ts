import { sql } from 'kysely'
import t from 'tap'
import { testDatabase } from '../testkit/database.ts'
import { startNode } from '../testkit/node.ts'
import { PASSWORD, person, productEnv, type Person } from '../testkit/product.ts'
import { people, rolesIn } from './testkit/people.ts'

t.setTimeout(120_000)
/** Of one statement, ms: far less than it takes to leave all the rooms. */
const DATABASE_TIMEOUT = '1500'

const { db, env } = await testDatabase(t, 'postgres')
const node = await startNode(t, { ...productEnv, ...env, DATABASE_TIMEOUT })

/** So many rooms that the first of them owns, all the others are members of, and nobody has written in. */
const roomsOf = async (count: number, ...members: readonly Person[]): Promise<string[]> => {
  const [start] = await people(db, 'start')
  const ids = Array.from({ length: count }, (_, i) => `${start}.${i}`)
  const key = ({ name }: Person): string => name.toLowerCase()
  await sql`insert into rooms (id, visibility, name, name_key, member_count)
    select id, 'private', 'a room', 'a room', ${members.length}::int from unnest(${ids}::text[]) as id`.execute(db)
  for (const [i, member] of members.entries()) {
    await sql`insert into members (room_id, user_id, name_key, role)
      select id, ${member.id}, ${key(member)}, ${i === 0 ? 'owner' : 'admin'} from unnest(${ids}::text[]) as id`.execute(
      db,
    )
  }
  return ids
}
const allLeft = async (): Promise<void> => {
  while ((await db.selectFrom('erasures').select('id').execute()).length > 0);
}
/** What each of these rooms has of members. */
const standing = (rooms: readonly string[]): Promise<Record<string, string>[]> =>
  Promise.all(rooms.map(room => rolesIn(db, room)))

/** Renames the rooms one after the other, over and over, until `over`; resolves with what was answered. */
const act = async (who: Person, rooms: readonly string[], over: () => boolean): Promise<Set<number>> => {
  const answers = new Set<number>()
  for (let n = 0; !over() || n < rooms.length; n++) {
    const { status } = await who.tries(node, 'PATCH', `/rooms/${rooms[n % rooms.length]!}`, { name: `name ${n}` })
    answers.add(status)
  }
  return answers
}

void t.test('an account in hundreds of rooms goes while others act there: nobody is in anybody’s way', async t => {
  const [ann, bob, cem] = [await person(node, 'ann'), await person(node, 'bob'), await person(node, 'cem')]
  const rooms = await roomsOf(300, ann, bob, cem)
  let over = false
  const acting = [act(bob, rooms, () => over), act(cem, rooms.toReversed(), () => over)]
  t.equal((await ann.tries(node, 'POST', '/me/deletion', { password: PASSWORD })).status, 204)
  t.match(await ann.tries(node, 'GET', `/rooms/${rooms.at(-1)!}`), { status: 401 }, 'their rights have ended')
  await allLeft()
  over = true
  for (const answers of await Promise.all(acting)) t.same([...answers], [200])
  const expected = { [bob.id]: 'owner', [cem.id]: 'admin' }
  t.same(
    await standing(rooms),
    rooms.map(() => expected),
  )
})

void t.test('all members of many rooms go at once: none is left', async t => {
  const all = await Promise.all(Array.from({ length: 9 }, (_, i) => person(node, `m${i}`)))
  await roomsOf(30, ...all)
  const gone = await Promise.all(all.map(each => each.tries(node, 'POST', '/me/deletion', { password: PASSWORD })))
  t.same(
    gone.map(({ status }) => status),
    all.map(() => 204),
  )
  await allLeft()
  t.same(await db.selectFrom('rooms').select('id').where('name', '=', 'a room').execute(), [])
})
