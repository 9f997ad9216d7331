/** What goes over HTTP, as the document shows it. */

import { Type, type Static } from 'typebox'
import { PersonSchema, readPeople, type Person } from '../accounts/index.ts'
import type { Db, Tx } from '../database/database.ts'
import { Id, Time } from '../http/api.ts'
import { UNREAD_MOST } from '../messages/index.ts'
import type { ListedInvitation, ListedRoom } from './lists.ts'
import { linkStateAt, type Link } from './links.ts'

export const IdParams = Type.Object({ id: Id })
export const MemberParams = Type.Object({ id: Id, user: Id })

const oneOf = <const Values extends readonly string[]>(values: Values, description: string) =>
  Type.Unsafe<Values[number]>(Type.String({ enum: [...values], description, examples: [values[0]] }))

export const OpenVisibility = oneOf(
  ['private', 'public'],
  '`public`: anyone who is signed in and not banned reads and joins; `private`: members alone',
)
export const GivenRole = oneOf(
  ['admin', 'member', 'owner'],
  '`owner` hands the room on: whoever had it becomes an admin',
)
const Role = oneOf(['member', 'admin', 'owner'], 'Left out where you are no member')

/** Longer than any that is taken: what is wrong with one is said better by the rules of names. */
export const NewName = Type.String({ maxLength: 400, description: 'Up to 80 characters', examples: ['Riders'] })
export const NewAbout = Type.String({
  maxLength: 2000,
  description: 'Up to 500 characters',
  examples: ['All about horses'],
})
export const NewCap = Type.Integer({
  minimum: 1,
  maximum: 50_000,
  description: 'Members that it takes',
  examples: [100],
})
export const SomeUsers = Type.Array(Id, { maxItems: 100, description: 'Users, by their ids' })

export const RoomSchema = Type.Object({
  id: Id,
  visibility: oneOf(['private', 'public', 'direct'], '`direct`: of two people'),
  name: Type.Optional(Type.String({ description: 'Direct rooms have none', examples: ['Riders'] })),
  about: Type.String({ examples: ['All about horses'] }),
  memberCount: Type.Integer({ examples: [3] }),
  maxMembers: Type.Integer({ examples: [100] }),
  role: Type.Optional(Role),
  other: Type.Optional(PersonSchema),
  createdAt: Time(),
  lastMessageAt: Time('Epoch ms; where there is none, when it was made'),
  unread: Type.Optional(
    Type.Integer({
      maximum: UNREAD_MOST,
      description: `Messages of others behind the last one that you have read, at most ${UNREAD_MOST}. Left out where you are no member`,
      examples: [7],
    }),
  ),
})
type ShownRoom = Static<typeof RoomSchema>

/** How rooms are shown, with the people of direct ones. */
export const roomsShown = async (
  db: Db | Tx,
  rooms: readonly ListedRoom[],
): Promise<(room: ListedRoom) => ShownRoom> => {
  const people = await readPeople(
    db,
    rooms.flatMap(({ other }) => other ?? []),
  )
  return room => {
    const other = people.get(room.other ?? '')
    return {
      id: room.id,
      visibility: room.visibility,
      ...(room.name !== null && { name: room.name }),
      about: room.about,
      memberCount: room.member_count,
      maxMembers: room.max_members,
      ...(room.role !== null && { role: room.role }),
      ...(other && { other }),
      createdAt: room.created_at,
      lastMessageAt: room.last_message_at,
      ...(room.unread !== null && { unread: room.unread }),
    }
  }
}

export const roomShown = async (db: Db | Tx, room: ListedRoom): Promise<ShownRoom> =>
  (await roomsShown(db, [room]))(room)

export const MemberSchema = Type.Object({
  person: PersonSchema,
  role: oneOf(['member', 'admin', 'owner'], 'What they may do'),
  joinedAt: Time(),
})
export const BanSchema = Type.Object({ person: PersonSchema, bannedAt: Time() })

export const InvitationSchema = Type.Object({
  id: Id,
  room: Type.Object({ id: Id, name: Type.String({ examples: ['Riders'] }), about: Type.String() }),
  inviter: PersonSchema,
  invitee: PersonSchema,
  createdAt: Time(),
  expiresAt: Time(),
})
type ShownInvitation = Static<typeof InvitationSchema>

/** How invitations are shown, with whom they are of. */
export const invitationsShown = async (
  db: Db,
  invitations: readonly ListedInvitation[],
): Promise<(invitation: ListedInvitation) => ShownInvitation> => {
  const people = await peopleOf(
    db,
    invitations.flatMap(({ inviter_id, invitee_id }) => [inviter_id, invitee_id]),
  )
  return ({ id, room_id, name, about, inviter_id, invitee_id, created_at, expires_at }) => ({
    id,
    // Nobody is invited to a direct room, which alone has no name.
    room: { id: room_id, name: name!, about },
    inviter: people(inviter_id),
    invitee: people(invitee_id),
    createdAt: created_at,
    expiresAt: expires_at,
  })
}

/** Reads people; those whose account ends meanwhile are shown without a name. */
export const peopleOf = async (db: Db, ids: readonly string[]): Promise<(id: string) => Person> => {
  const people = await readPeople(db, ids)
  return id => people.get(id) ?? { id, name: '', displayName: '', statusText: '' }
}

export const LinkSchema = Type.Object({
  id: Id,
  state: oneOf(['open', 'revoked', 'expired', 'used up'], 'Whether anyone can join by it'),
  uses: Type.Integer({ examples: [0] }),
  maxUses: Type.Optional(Type.Integer({ description: 'Left out: any number', examples: [10] })),
  expiresAt: Type.Optional(Time('Epoch ms; left out: until it is revoked')),
  createdAt: Time(),
})

export const linkShown = (link: Link, now: number): Static<typeof LinkSchema> => ({
  id: link.id,
  state: linkStateAt(link, now),
  uses: link.uses,
  ...(link.max_uses !== null && { maxUses: link.max_uses }),
  ...(link.expires_at !== null && { expiresAt: link.expires_at }),
  createdAt: link.created_at,
})
