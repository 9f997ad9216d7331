import { Type } from 'typebox'
import type { Tx } from '../database/database.ts'
import { Id, nothing, PageOf, PageQuery, Paging, TimePlace, type Api } from '../http/api.ts'
import type { Telling } from '../people/index.ts'
import { accept, decline, invite, revoke } from './invitations.ts'
import { invitationsTo, myInvitations, readRoom } from './lists.ts'
import { commit, commitOnce, commitOnly, type RouteParts } from './routes.ts'
import { IdParams, InvitationSchema, invitationsShown, RoomSchema, roomShown, SomeUsers } from './schemas.ts'

const minePages = new Paging('my-invitations', TimePlace)
const roomPages = new Paging('invitations', TimePlace)
const tags = ['invitations']

export const invitationRoutes = (api: Api, parts: RouteParts): void => {
  asking(api, parts)
  listing(api, parts)
  answering(api, parts)
}

const asking = (api: Api, parts: RouteParts): void => {
  api.post(
    '/rooms/:id/invitations',
    {
      config: { creates: true, errors: ['NO_SUCH_ROOM', 'FORBIDDEN', 'NO_SUCH_USER', 'QUOTA_REACHED'] },
      schema: {
        tags,
        summary: 'Invite people to a room',
        description: 'To a public one its members may, to a private one owner and admins. Members are left out.',
        params: IdParams,
        body: Type.Object({ users: SomeUsers }),
        response: { 201: Type.Object({ invitations: Type.Array(Type.Object({ id: Id, user: Id })) }) },
      },
    },
    (request, reply) =>
      commitOnce(parts, request, reply, async tx => {
        const { identity, params, body } = request
        const options = { spend: parts.spend, now: Date.now() }
        const { invitations, telling } = await invite(tx, params.id, identity.user, body.users, options)
        return { body: { invitations: invitations.map(({ id, invitee_id: user }) => ({ id, user })) }, telling }
      }),
  )
}

const listing = (api: Api, { db }: RouteParts): void => {
  api.get(
    '/invitations',
    {
      schema: {
        tags,
        summary: 'List your invitations',
        description: 'Those that wait for your answer, newest first.',
        querystring: PageQuery,
        response: { 200: PageOf(InvitationSchema) },
      },
    },
    async ({ identity, query }) => {
      const part = { after: minePages.after(query), limit: query.limit }
      const rows = await myInvitations(db, identity.user, Date.now(), part)
      return minePages.page(rows, query, await invitationsShown(db, rows), row => [row.created_at, row.id])
    },
  )
  api.get(
    '/rooms/:id/invitations',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN'] },
      schema: {
        tags,
        summary: 'List who is invited to a room',
        description: 'Newest first. Owner and admins see it.',
        params: IdParams,
        querystring: PageQuery,
        response: { 200: PageOf(InvitationSchema) },
      },
    },
    async ({ identity, params, query }) => {
      const part = { after: roomPages.after(query), limit: query.limit }
      const rows = await invitationsTo(db, params.id, identity.user, Date.now(), part)
      return roomPages.page(rows, query, await invitationsShown(db, rows), row => [row.created_at, row.id])
    },
  )
}

const answering = (api: Api, parts: RouteParts): void => {
  api.post(
    '/invitations/:id/accept',
    {
      config: { errors: ['NO_SUCH_INVITATION', 'INVITATION_OVER', 'ROOM_FULL'] },
      schema: {
        tags,
        summary: 'Accept an invitation',
        params: IdParams,
        response: { 200: RoomSchema },
      },
    },
    async ({ identity: { user }, params }) => enter(parts, user, tx => accept(tx, params.id, user, Date.now())),
  )
  for (const [path, summary, act] of [
    ['decline', 'Decline an invitation', decline],
    ['revoke', 'Take an invitation back', revoke],
  ] as const) {
    api.post(
      `/invitations/:id/${path}`,
      {
        config: { errors: ['NO_SUCH_INVITATION', 'INVITATION_OVER'] },
        schema: { tags, summary, params: IdParams, response: { 204: nothing('It is over') } },
      },
      ({ identity, params }, reply) =>
        commitOnly(parts, reply, async tx => (await act(tx, params.id, identity.user, Date.now())).telling),
    )
  }
}

/** Answers with the room that `work` has let `user` into. */
export const enter = async (
  parts: RouteParts,
  user: string,
  work: (tx: Tx) => Promise<{ readonly room: { readonly id: string }; readonly telling: readonly Telling[] }>,
) => {
  const { db } = parts
  let room = ''
  await commit(parts, async tx => {
    const entered = await work(tx)
    room = entered.room.id
    return entered.telling
  })
  return roomShown(db, await readRoom(db, room, user))
}
