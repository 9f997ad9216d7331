import { at, type Tx } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import { fail } from '../errors.ts'
import { readPair, type Telling } from '../people/index.ts'
import { inviteTo, type Sent } from './invitations.ts'
import { addMember, holdUser, placeNews } from './membership.ts'
import { aboutOf, nameOf } from './names.ts'
import type { Spend } from './quotas.ts'
import type { Room } from './room.ts'

/** How many members a room takes where nobody says otherwise. */
const USUAL_MEMBERS = 100

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
  readonly spend: Spend
  readonly now: number
}

/**
 * Makes a room that `actor` owns, and invites people to it. Its log is made when somebody first reads or writes in it. Rejects
 * with TOO_MANY_ROOMS, BAD_NAME, BAD_REQUEST, NO_SUCH_USER, and as `invite` does; then there is no room.
 */
export const createRoom = async (
  tx: Tx,
  actor: string,
  { name: wanted, about = '', visibility, maxMembers, invite = [] }: NewRoom,
  { mostMembers, spend, now }: CreateOptions,
): Promise<{ readonly room: Room } & Sent> => {
  const { name, key } = nameOf(wanted)
  const most = maxMembers ?? Math.min(USUAL_MEMBERS, mostMembers)
  if (most < 1 || most > mostMembers) throw fail('BAD_REQUEST', `maxMembers takes 1 to ${mostMembers}`)
  await holdUser(tx, actor)
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
  const own = await addMember(tx, room, actor, 'owner')
  const sent = await inviteTo(tx, { room, actor, mine: 'owner' }, invite, now)
  await spend(actor, 'rooms')
  await spend(actor, 'invitations', sent.made)
  return { room: { ...room, member_count: 1 }, ...sent, telling: [...own, ...sent.telling] }
}

/**
 * The direct room of `actor` and `other`, the same for both, made where there is none; then both are to be told. Rejects with
 * BAD_REQUEST for oneself, NO_SUCH_USER, FORBIDDEN where one has blocked the other, and QUOTA_REACHED where `actor` has opened
 * one with too many strangers.
 */
export const openDirect = async (
  tx: Tx,
  actor: string,
  other: string,
  { spend, now }: Pick<CreateOptions, 'spend' | 'now'>,
): Promise<{ readonly room: Room; readonly made: boolean; readonly telling: readonly Telling[] }> => {
  if (actor === other) throw fail('BAD_REQUEST', 'a direct room is of two people')
  const pair = [actor, other].toSorted().join(' ')
  const find = () => tx.selectFrom('rooms').selectAll().where('pair', '=', pair).executeTakeFirst()
  const known = await find()
  if (known) return { room: known, made: false, telling: [] }
  const names = { [actor]: await holdUser(tx, actor), [other]: await holdUser(tx, other) }
  const { standing, blocking, blocked } = await readPair(tx, actor, other)
  if (blocking || blocked) throw fail('FORBIDDEN', 'to write to this user')
  const room = await tx
    .insertInto('rooms')
    .values({
      id: newId(),
      visibility: 'direct',
      pair,
      member_count: 2,
      max_members: 2,
      created_by: actor,
      created_at: at(now),
      last_message_at: at(now),
    })
    .onConflict(conflict => conflict.doNothing())
    .returningAll()
    .executeTakeFirst()
  // The other one was faster, or another device.
  if (!room) return { room: (await find())!, made: false, telling: [] }
  const members = Object.entries(names).map(([user_id, name_key]) => ({ room_id: room.id, user_id, name_key }))
  await tx.insertInto('members').values(members).execute()
  if (standing !== 'friends') await spend(actor, 'strangers')
  return { room, made: true, telling: [actor, other].map(user => placeNews(user, room.id, 'member')) }
}
