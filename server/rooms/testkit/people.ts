import { transaction, type Db } from '../../database/database.ts'
import { newId } from '../../database/ids.ts'
import { eraseSome, forgetMessages } from '../../messages/erasure.ts'
import type { Telling } from '../../people/index.ts'
import { memoryCounters } from '../../drivers/memory/counters.ts'
import type { RoomId } from '../../ports/room-log.ts'
import { forgetInRooms, leaveBehind } from '../coming-and-going.ts'
import { createRoom, type CreateOptions, type NewRoom } from '../create.ts'
import { quotas, type Spend } from '../quotas.ts'
import { lockRow } from '../room.ts'
import { addMember } from '../membership.ts'

/** Accounts of these names, which are theirs alone however often it is called. Resolves with their ids. */
export const people = async <Names extends readonly string[]>(
  db: Db,
  ...names: Names
): Promise<{ [Name in keyof Names]: string }> => {
  const ids: string[] = []
  for (const name of names) {
    const id = newId()
    const unique = `${name}.${id}`
    const user = { id, name: unique, name_key: unique.toLowerCase(), display_name: name, password_hash: 'x' }
    await db.insertInto('users').values(user).execute()
    ids.push(id)
  }
  return ids as { [Name in keyof Names]: string }
}

/** Limits that no test reaches by accident. */
export const limits = (now = Date.now()): CreateOptions => ({ mostMembers: 50_000, ...unlimited(now) })

/** So often an hour, by counters that nobody else has. */
export const spendUpTo = (most: number): Spend =>
  quotas(memoryCounters().port, { ROOMS_PER_HOUR: most, STRANGERS_PER_HOUR: most, INVITATIONS_PER_HOUR: most })

/** As often as anybody likes. */
export const unlimited = (now = Date.now()): Pick<CreateOptions, 'spend' | 'now'> => ({ spend: async () => {}, now })

/** A room of `owner`, with these members. */
export const roomOf = async (
  db: Db,
  owner: string,
  room: Partial<NewRoom> & { readonly members?: readonly string[]; readonly admins?: readonly string[] } = {},
): Promise<RoomId> => {
  const { members = [], admins = [], ...rest } = room
  return transaction(db, async tx => {
    const made = await createRoom(tx, owner, { name: 'a room', visibility: 'private', ...rest }, limits())
    const { id } = made.room
    for (const user of [...admins, ...members]) {
      await addMember(tx, (await lockRow(tx, id))!, user, admins.includes(user) ? 'admin' : 'member')
    }
    // What a test looks for happens after this.
    await tx.deleteFrom('outbox').where('room_id', '=', id).execute()
    return id
  })
}

/** What the room's log is to be told, in order. */
export const told = async (db: Db, room: RoomId): Promise<object[]> => {
  const rows = await db.selectFrom('outbox').selectAll().where('room_id', '=', room).orderBy('id').execute()
  return rows.map(({ act, sender, body }) =>
    act === 'append' ? { by: sender, ...(JSON.parse(body!.toString()) as object) } : { act },
  )
}

/** The rights that have ended since the start. */
export const ended = async (db: Db, room: RoomId): Promise<object[]> => {
  const rows = await db.selectFrom('access_changes').selectAll().where('room_id', '=', room).orderBy('id').execute()
  return rows.map(({ kind, user_id }) => ({ kind, ...(user_id !== null && { user: user_id }) }))
}

/** Each member with their role; the count that the room keeps is held against it. */
export const rolesIn = async (db: Db, room: RoomId): Promise<Record<string, string>> => {
  const rows = await db.selectFrom('members').select(['user_id', 'role']).where('room_id', '=', room).execute()
  const { member_count: count } = await db
    .selectFrom('rooms')
    .select('member_count')
    .where('id', '=', room)
    .executeTakeFirstOrThrow()
  if (count !== rows.length) throw new Error(`${rows.length} members, and a count of ${count}`)
  return Object.fromEntries(rows.map(({ user_id, role }) => [user_id, role]))
}

/** Has `user`, whose account ends, leave everything. Resolves with whom to tell. */
export const depart = async (db: Db, user: string): Promise<Telling[]> => {
  const telling = await transaction(db, async tx => {
    await forgetMessages(tx, user)
    return forgetInRooms(tx, user)
  })
  for (;;) {
    const more = await eraseSome(db, leaveBehind)
    if (!more) return telling
    telling.push(...more)
  }
}
