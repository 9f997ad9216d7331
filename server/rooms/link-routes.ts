import { Type } from 'typebox'
import { transaction } from '../database/database.ts'
import { Id, nothing, PageOf, PageQuery, Paging, Time, type Api } from '../http/api.ts'
import { enter } from './invitation-routes.ts'
import { joinByLink, makeLink, revokeLink } from './links.ts'
import { linksOf } from './lists.ts'
import type { RouteParts } from './routes.ts'
import { IdParams, LinkSchema, linkShown, RoomSchema } from './schemas.ts'

const linkPages = new Paging('links', Type.String())
const tags = ['invitations']

export const linkRoutes = (api: Api, parts: RouteParts): void => {
  making(api, parts)
  joining(api, parts)
}

const making = (api: Api, parts: RouteParts): void => {
  const { db } = parts
  api.post(
    '/rooms/:id/links',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN', 'TOO_MANY_LINKS'] },
      schema: {
        tags,
        summary: 'Make a link to a room',
        description:
          'Whoever has the token joins, as long as who made the link is owner or admin. It is shown this once and kept nowhere, so there is no `Idempotency-Key` here: where the answer is lost, revoke the link and make another.',
        params: IdParams,
        body: Type.Object({
          maxUses: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000, examples: [10] })),
          expiresAt: Type.Optional(Time()),
        }),
        response: {
          201: Type.Object({ link: LinkSchema, token: Type.String({ examples: ['q1Zb0m7Tj3x9vK4sR8wYcA'] }) }),
        },
      },
    },
    async ({ identity, params, body }, reply) => {
      const given = { maxUses: body.maxUses, expires: body.expiresAt }
      const { link, token } = await transaction(db, tx => makeLink(tx, params.id, identity.user, given))
      reply.code(201)
      return { link: linkShown(link, Date.now()), token }
    },
  )
  api.get(
    '/rooms/:id/links',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN'] },
      schema: {
        tags,
        summary: 'List the links to a room',
        description: 'Owner and admins see them.',
        params: IdParams,
        querystring: PageQuery,
        response: { 200: PageOf(LinkSchema) },
      },
    },
    async ({ identity, params, query }) => {
      const part = { after: linkPages.after(query), limit: query.limit }
      const rows = await linksOf(db, params.id, identity.user, part)
      const now = Date.now()
      return linkPages.page(
        rows,
        query,
        row => linkShown(row, now),
        ({ id }) => id,
      )
    },
  )
  api.delete(
    '/rooms/:id/links/:link',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN', 'NO_SUCH_INVITATION'] },
      schema: {
        tags,
        summary: 'Revoke a link',
        params: Type.Object({ id: Id, link: Id }),
        response: { 204: nothing('Nobody joins by it any more') },
      },
    },
    async ({ identity, params }, reply) => {
      await transaction(db, tx => revokeLink(tx, params.id, identity.user, params.link, Date.now()))
      return reply.code(204).send(null)
    },
  )
}

const joining = (api: Api, parts: RouteParts): void => {
  api.post(
    '/links/join',
    {
      config: { errors: ['NO_SUCH_INVITATION', 'INVITATION_OVER', 'ROOM_FULL'] },
      schema: {
        tags,
        summary: 'Join a room by a link',
        body: Type.Object({ token: Type.String({ maxLength: 64, examples: ['q1Zb0m7Tj3x9vK4sR8wYcA'] }) }),
        response: { 200: RoomSchema },
      },
    },
    async ({ identity: { user }, body }) => enter(parts, user, tx => joinByLink(tx, body.token, user, Date.now())),
  )
}
