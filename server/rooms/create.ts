import { sql } from 'kysely'
import { at, type Tx } from '../database/database.ts'
import { newId, sharedId } from '../database/ids.ts'
import { fail } from '../errors.ts'
import { readPair } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import { inviteTo, type InviteOptions, type Sent } from './invitations.ts'
import { addMember, holdUser } from './membership.ts'
import { aboutOf, nameOf } from './names.ts'
import type { Room } from './room.ts'

/** How many members a room takes where nobody says otherwise. */
const USUAL_MEMBERS = 100
const HOUR = 3_600_000

export interface NewRoom {
  readonly name: string
  readonly about?: string | undefined
  readonly visibility: 'public' | 'private'
  readonly maxMembers?: number | undefined
  /** Users to invite at once. */
  readonly invite?: readonly string[] | undefined
}

/** Times are epoch ms. */
export interface CreateOptions {
  /** The most that `maxMembers` may be. */
  readonly mostMembers: number
  readonly roomsPerHour: number
  readonly invitationsPerHour: number
  readonly now: number
}

/**
 * Makes a room that `actor` owns, and invites people to it. Its log is made when somebody first reads or writes in it. Rejects
 * with TOO_MANY_ROOMS, BAD_NAME, BAD_REQUEST, and as `invite` does; then there is no room.
 */
export const createRoom = async (
  tx: Tx,
  actor: string,
  { name: wanted, about = '', visibility, maxMembers, invite = [] }: NewRoom,
  { mostMembers, roomsPerHour, invitationsPerHour, now }: CreateOptions,
): Promise<{ readonly room: Room } & Sent> => {
  const { name, key } = nameOf(wanted)
  const most = maxMembers ?? Math.min(USUAL_MEMBERS, mostMembers)
  if (most < 1 || most > mostMembers) throw fail('BAD_REQUEST', `maxMembers takes 1 to ${mostMembers}`)
  await oneAtATime(tx, actor)
  const made = await madeSince(tx, actor, now - HOUR)
  if (made >= roomsPerHour) throw fail('TOO_MANY_ROOMS', `${roomsPerHour} an hour`)
  const room = await tx
    .insertInto('rooms')
    .values({
      id: newId(),
      visibility,
      name,
      name_key: key,
      about: aboutOf(about),
      max_members: most,
      created_by: actor,
      created_at: at(now),
      last_message_at: at(now),
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  await addMember(tx, room, actor, 'owner')
  const options: InviteOptions = { perHour: invitationsPerHour, now }
  const sent = await inviteTo(tx, { room, actor, mine: 'owner' }, invite, options)
  return { room: { ...room, member_count: 1 }, ...sent }
}

/** Holds back what the same user makes elsewhere at the same time, so that quotas count right. */
const oneAtATime = async (tx: Tx, user: string): Promise<void> => {
  const row = await tx
    .selectFrom('users')
    .select('id')
    .where('id', '=', user)
    .where('deleted_at', 'is', null)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (!row) throw fail('NO_SUCH_USER', user)
}

const madeSince = async (tx: Tx, user: string, since: number): Promise<number> => {
  const { made } = await tx
    .selectFrom('rooms')
    .select(sql<number>`count(*)::int`.as('made'))
    .where('created_by', '=', user)
    .where('created_at', '>', at(since))
    .where('visibility', '<>', 'direct')
    .executeTakeFirstOrThrow()
  return made
}

/** The room of two people: both find the same one, whoever asks first. */
export const directId = (one: string, other: string): RoomId => sharedId('direct', one, other)

/**
 * The direct room of `actor` and `other`, made where there is none yet. Rejects with BAD_REQUEST for oneself, NO_SUCH_USER,
 * FORBIDDEN where one has blocked the other, and QUOTA_REACHED where `actor` has opened one with too many strangers.
 */
export const openDirect = async (
  tx: Tx,
  actor: string,
  other: string,
  { strangersPerHour, now }: { readonly strangersPerHour: number; readonly now: number },
): Promise<{ readonly room: Room; readonly made: boolean }> => {
  if (actor === other) throw fail('BAD_REQUEST', 'a direct room is of two people')
  const id = directId(actor, other)
  const find = () => tx.selectFrom('rooms').selectAll().where('id', '=', id).executeTakeFirst()
  let known = await find()
  if (!known) {
    await oneAtATime(tx, actor)
    // On another device they have just opened it.
    known = await find()
  }
  if (known) return { room: known, made: false }
  const names = { [actor]: await holdUser(tx, actor), [other]: await holdUser(tx, other) }
  const { standing, blocking, blocked } = await readPair(tx, actor, other)
  if (blocking || blocked) throw fail('FORBIDDEN', 'to write to this user')
  if (standing !== 'friends') await demandQuota(tx, actor, strangersPerHour, now)
  const room = await tx
    .insertInto('rooms')
    .values({
      id,
      visibility: 'direct',
      member_count: 2,
      max_members: 2,
      created_by: actor,
      created_at: at(now),
      last_message_at: at(now),
    })
    .onConflict(conflict => conflict.doNothing())
    .returningAll()
    .executeTakeFirst()
  // The other one was faster.
  if (!room) return { room: (await find())!, made: false }
  const members = Object.entries(names).map(([user_id, name_key]) => ({ room_id: id, user_id, name_key }))
  await tx.insertInto('members').values(members).execute()
  return { room, made: true }
}

/** Of the direct rooms that somebody has opened within the hour, those with friends do not count. */
const demandQuota = async (tx: Tx, user: string, perHour: number, now: number): Promise<void> => {
  const { rows } = await sql<{ strangers: number }>`
    select count(*)::int as strangers from rooms r join members m on m.room_id = r.id and m.user_id <> ${user}
    where r.created_by = ${user} and r.visibility = 'direct' and r.created_at > ${at(now - HOUR)} and not exists (
      select from friendships f where f.state = 'accepted'
        and f.low_id = least(m.user_id, ${user}) and f.high_id = greatest(m.user_id, ${user}))`.execute(tx)
  if (rows[0]!.strangers >= perHour)
    throw fail('QUOTA_REACHED', `${perHour} direct rooms with people who are no friends`)
}
