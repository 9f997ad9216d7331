import { Type } from 'typebox'
import { nothing, PageOf, PageQuery, Paging, type Api } from '../http/api.ts'
import { ban, unban } from './bans.ts'
import { join, kick, leave } from './coming-and-going.ts'
import { bansOf, membersOf, readRoom } from './lists.ts'
import { setRole } from './roles.ts'
import { commit, commitOnly, type RouteParts } from './routes.ts'
import {
  BanSchema,
  GivenRole,
  IdParams,
  MemberParams,
  MemberSchema,
  peopleOf,
  RoomSchema,
  roomShown,
} from './schemas.ts'

const memberPages = new Paging('members', Type.Tuple([Type.String(), Type.String()]))
const banPages = new Paging('bans', Type.String())
const tags = ['members']

export const memberRoutes = (api: Api, parts: RouteParts): void => {
  own(api, parts)
  others(api, parts)
  bans(api, parts)
}

const own = (api: Api, parts: RouteParts): void => {
  const { db } = parts
  api.put(
    '/rooms/:id/membership',
    {
      config: { errors: ['NO_SUCH_ROOM', 'ROOM_FULL'] },
      schema: {
        tags,
        summary: 'Join a public room',
        params: IdParams,
        response: { 200: RoomSchema },
      },
    },
    async ({ identity, params }) => {
      await commit(parts, tx => join(tx, params.id, identity.user))
      return roomShown(db, await readRoom(db, params.id, identity.user))
    },
  )
  api.delete(
    '/rooms/:id/membership',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN', 'OWNER_STAYS'] },
      schema: {
        tags,
        summary: 'Leave a room',
        description: 'The owner first hands it on. Nobody leaves a direct room.',
        params: IdParams,
        response: { 204: nothing('You are no member any more') },
      },
    },
    ({ identity, params }, reply) => commitOnly(parts, reply, tx => leave(tx, params.id, identity.user)),
  )
}

const others = (api: Api, parts: RouteParts): void => {
  const { db } = parts
  api.get(
    '/rooms/:id/members',
    {
      config: { errors: ['NO_SUCH_ROOM'] },
      schema: {
        tags,
        summary: 'List the members of a room',
        description: 'By name.',
        params: IdParams,
        querystring: PageQuery,
        response: { 200: PageOf(MemberSchema) },
      },
    },
    async ({ identity, params, query }) => {
      const part = { after: memberPages.after(query), limit: query.limit }
      const rows = await membersOf(db, params.id, identity.user, part)
      const person = await peopleOf(
        db,
        rows.map(({ user_id }) => user_id),
      )
      return memberPages.page(
        rows,
        query,
        ({ user_id, role, joined_at }) => ({ person: person(user_id), role, joinedAt: joined_at }),
        row => [row.name_key, row.user_id],
      )
    },
  )
  api.delete(
    '/rooms/:id/members/:user',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN'] },
      schema: {
        tags,
        summary: 'Kick a member',
        description: 'Owner and admins, those below them. Whoever was kicked may come back.',
        params: MemberParams,
        response: { 204: nothing('They are no member any more') },
      },
    },
    ({ identity, params }, reply) => commitOnly(parts, reply, tx => kick(tx, params.id, identity.user, params.user)),
  )
  api.put(
    '/rooms/:id/members/:user/role',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN'] },
      schema: {
        tags,
        summary: 'Give a member another role',
        description: 'Only the owner may. `FORBIDDEN` also where they have it already.',
        params: MemberParams,
        body: Type.Object({ role: GivenRole }),
        response: { 204: nothing('They have the role') },
      },
    },
    ({ identity, params, body }, reply) =>
      commitOnly(parts, reply, tx => setRole(tx, params.id, identity.user, params.user, body.role)),
  )
}

const bans = (api: Api, parts: RouteParts): void => {
  const { db } = parts
  api.get(
    '/rooms/:id/bans',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN'] },
      schema: {
        tags,
        summary: 'List who is banned from a room',
        description: 'Owner and admins see it.',
        params: IdParams,
        querystring: PageQuery,
        response: { 200: PageOf(BanSchema) },
      },
    },
    async ({ identity, params, query }) => {
      const part = { after: banPages.after(query), limit: query.limit }
      const rows = await bansOf(db, params.id, identity.user, part)
      const person = await peopleOf(
        db,
        rows.map(({ user_id }) => user_id),
      )
      return banPages.page(
        rows,
        query,
        ({ user_id, created_at }) => ({ person: person(user_id), bannedAt: created_at }),
        row => row.user_id,
      )
    },
  )
  api.put(
    '/rooms/:id/bans/:user',
    {
      config: { errors: ['NO_SUCH_ROOM', 'NO_SUCH_USER', 'FORBIDDEN'] },
      schema: {
        tags,
        summary: 'Ban somebody from a room',
        description:
          'A member or not: they neither read nor join until the ban is lifted, not by an invitation either.',
        params: MemberParams,
        response: { 204: nothing('They are banned') },
      },
    },
    ({ identity, params }, reply) => commitOnly(parts, reply, tx => ban(tx, params.id, identity.user, params.user)),
  )
  api.delete(
    '/rooms/:id/bans/:user',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN'] },
      schema: {
        tags,
        summary: 'Lift a ban',
        params: MemberParams,
        response: { 204: nothing('They may come back') },
      },
    },
    ({ identity, params }, reply) => commitOnly(parts, reply, tx => unban(tx, params.id, identity.user, params.user)),
  )
}
