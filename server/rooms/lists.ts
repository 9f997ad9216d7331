import { sql, type SqlBool } from 'kysely'
import { LAST } from '../accounts/index.ts'
import { at, type Db } from '../database/database.ts'
import type { Role, Row } from '../database/schema.ts'
import type { Part } from '../http/api.ts'
import { unreadIn, unreadOf } from '../messages/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import type { Link } from './links.ts'
import { searchKey } from './names.ts'
import { demand, seen, type Room } from './room.ts'
import type { Invitation } from './settling.ts'

export type ListedRoom = Room & {
  /** Null: no member. */
  readonly role: Role | null
  /** In a direct room the other one; null in any other, and where that one's account is gone. */
  readonly other: string | null
  /** How many messages there are that `user` has not read; null: no member. */
  readonly unread: number | null
}

const otherOf = (user: string) => sql<string | null>`(
  select o.user_id from members o
  where rooms.visibility = 'direct' and o.room_id = rooms.id and o.user_id <> ${user})`

const otherIn = async (db: Db, { id, visibility }: Room, user: string): Promise<string | null> => {
  if (visibility !== 'direct') return null
  const members = db.selectFrom('members').select('user_id').where('room_id', '=', id)
  return (await members.where('user_id', '<>', user).executeTakeFirst())?.user_id ?? null
}

/** One room as `user` sees it. Rejects with NO_SUCH_ROOM. */
export const readRoom = async (db: Db, id: RoomId, user: string): Promise<ListedRoom> => {
  const { room, mine } = await seen(db, id, user)
  const role = mine === 'outsider' || mine === 'banned' ? null : mine
  const unread = role === null ? null : await unreadOf(db, id, user)
  return { ...room, role, other: await otherIn(db, room, user), unread }
}

/** Epoch ms of the last message, and the room. */
export type MinePlace = readonly [lastMessage: number, room: RoomId]

/** The rooms that `user` is a member of, direct ones too, the one with the newest message first. */
export const myRooms = (db: Db, user: string, { after, limit }: Part<MinePlace>): Promise<ListedRoom[]> => {
  const page = db
    .selectFrom('members')
    // Each by its key: where that is left to the database it may rather read all the rooms that there are.
    .innerJoinLateral(
      eb => eb.selectFrom('rooms').selectAll().whereRef('id', '=', 'members.room_id').offset(0).as('rooms'),
      join => join.onTrue(),
    )
    .selectAll('rooms')
    .select(['members.role', otherOf(user).as('other')])
    .where('members.user_id', '=', user)
    .$if(after !== undefined, query =>
      query.where(sql<SqlBool>`(rooms.last_message_at, rooms.id) < (${at(after![0])}, ${after![1]})`),
    )
    .orderBy('rooms.last_message_at', 'desc')
    .orderBy('rooms.id', 'desc')
    .limit(limit + 1)
  return db
    .selectFrom(page.as('page'))
    .selectAll()
    .select(unreadIn(sql.ref('page.id'), user).as('unread'))
    .orderBy('page.last_message_at', 'desc')
    .orderBy('page.id', 'desc')
    .execute()
}

/** What the list goes by, and an id that settles the order of those that share it. */
export type KeyPlace = readonly [key: string, id: string]

/** The public rooms whose name begins with `search`, those aside that `user` is banned from, by name. */
export const publicRooms = (
  db: Db,
  user: string,
  search: string,
  { after, limit }: Part<KeyPlace>,
): Promise<ListedRoom[]> => {
  const prefix = searchKey(search)
  const page = db
    .selectFrom('rooms')
    .leftJoin('members', join => join.onRef('members.room_id', '=', 'rooms.id').on('members.user_id', '=', user))
    .selectAll('rooms')
    .select(['members.role', sql<null>`null`.as('other')])
    .where('rooms.visibility', '=', 'public')
    .where('rooms.name_key', '>=', prefix)
    .where('rooms.name_key', '<', prefix + LAST)
    .where(sql<SqlBool>`not exists (select from bans where bans.room_id = rooms.id and bans.user_id = ${user})`)
    .$if(after !== undefined, query =>
      query.where(sql<SqlBool>`(rooms.name_key, rooms.id) > (${after![0]}, ${after![1]})`),
    )
    .orderBy('rooms.name_key')
    .orderBy('rooms.id')
    .limit(limit + 1)
  const unread = unreadIn(sql.ref('page.id'), user)
  return db
    .selectFrom(page.as('page'))
    .selectAll()
    .select(sql<number | null>`case when page.role is null then null else ${unread} end`.as('unread'))
    .orderBy('page.name_key')
    .orderBy('page.id')
    .execute()
}

/** The members of a room that `user` may read, by name. Rejects with NO_SUCH_ROOM. */
export const membersOf = async (
  db: Db,
  id: RoomId,
  user: string,
  { after, limit }: Part<KeyPlace>,
): Promise<Row<'members'>[]> => {
  await seen(db, id, user)
  return db
    .selectFrom('members')
    .selectAll()
    .where('room_id', '=', id)
    .$if(after !== undefined, query => query.where(sql<SqlBool>`(name_key, user_id) > (${after![0]}, ${after![1]})`))
    .orderBy('name_key')
    .orderBy('user_id')
    .limit(limit + 1)
    .execute()
}

/** Who is banned from a room, by id. Rejects with NO_SUCH_ROOM and FORBIDDEN. */
export const bansOf = async (
  db: Db,
  id: RoomId,
  user: string,
  { after, limit }: Part<string>,
): Promise<Row<'bans'>[]> => {
  demand(await seen(db, id, user), 'moderate')
  return db
    .selectFrom('bans')
    .selectAll()
    .where('room_id', '=', id)
    .$if(after !== undefined, query => query.where('user_id', '>', after!))
    .orderBy('user_id')
    .limit(limit + 1)
    .execute()
}

export type ListedInvitation = Invitation & { readonly name: string | null; readonly about: string }
/** Epoch ms of its making, and the invitation. */
export type InvitationPlace = readonly [created: number, id: string]

const pending = (db: Db, now: number, { after, limit }: Part<InvitationPlace>) =>
  db
    .selectFrom('invitations as i')
    .innerJoin('rooms as r', 'r.id', 'i.room_id')
    .selectAll('i')
    .select(['r.name', 'r.about'])
    .where('i.state', '=', 'pending')
    .where('i.expires_at', '>', at(now))
    .$if(after !== undefined, query =>
      query.where(sql<SqlBool>`(i.created_at, i.id) < (${at(after![0])}, ${after![1]})`),
    )
    .orderBy('i.created_at', 'desc')
    .orderBy('i.id', 'desc')
    .limit(limit + 1)

/** The invitations that wait for `user`, newest first; none of somebody whom they block, or who blocks them. */
export const myInvitations = (
  db: Db,
  user: string,
  now: number,
  part: Part<InvitationPlace>,
): Promise<ListedInvitation[]> =>
  pending(db, now, part)
    .where('i.invitee_id', '=', user)
    .where(
      sql<SqlBool>`not exists (select from blocks b where (b.user_id = i.invitee_id and b.blocked_id = i.inviter_id)
        or (b.user_id = i.inviter_id and b.blocked_id = i.invitee_id))`,
    )
    .execute()

/** The invitations to a room that wait for an answer, newest first. Rejects with NO_SUCH_ROOM and FORBIDDEN. */
export const invitationsTo = async (
  db: Db,
  id: RoomId,
  user: string,
  now: number,
  part: Part<InvitationPlace>,
): Promise<ListedInvitation[]> => {
  demand(await seen(db, id, user), 'moderate')
  return pending(db, now, part).where('i.room_id', '=', id).execute()
}

/** The links of a room, those too by which nobody can join any more, in the order of their ids. Rejects as `bansOf` does. */
export const linksOf = async (db: Db, id: RoomId, user: string, { after, limit }: Part<string>): Promise<Link[]> => {
  demand(await seen(db, id, user), 'link')
  return db
    .selectFrom('invitation_links')
    .selectAll()
    .where('room_id', '=', id)
    .$if(after !== undefined, query => query.where('id', '>', after!))
    .orderBy('id')
    .limit(limit + 1)
    .execute()
}
