import { Type } from 'typebox'
import { transaction } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { Id, nothing, PageOf, PageQuery, Paging, Time, TimePlace, type Api } from '../http/api.ts'
import { forgetToken } from './refresh-cookie.ts'
import type { SessionRouteParts } from './session-routes.ts'
import { endSession, endSessions, listSessions } from './sessions.ts'

const tags = ['sessions']
const SessionSchema = Type.Object({
  id: Id,
  kind: Type.Union([Type.Literal('device'), Type.Literal('connection')]),
  device: Type.String({ description: 'As it named itself', examples: ['Firefox on Linux'] }),
  address: Type.String({ examples: ['203.0.113.9'] }),
  createdAt: Time(),
  lastSeenAt: Time(),
  current: Type.Boolean({ description: 'Whether it is the one that asks' }),
})
const listed = new Paging('sessions', TimePlace)

/** Where somebody is signed in, and how to end that. */
export const deviceRoutes = (api: Api, { db, watch, now }: SessionRouteParts): void => {
  api.get(
    '/sessions',
    {
      schema: {
        tags,
        summary: 'List your sessions',
        description: 'Devices, and connections that gave a password themselves; the newest first.',
        querystring: PageQuery,
        response: { 200: PageOf(SessionSchema) },
      },
    },
    async ({ identity, query }) => {
      const rows = await listSessions(db, identity.user, { now: now(), after: listed.after(query), limit: query.limit })
      return listed.page(
        rows,
        query,
        row => shown(row, identity.session),
        row => [row.created_at, row.id],
      )
    },
  )
  api.delete(
    '/sessions/:id',
    {
      config: { errors: ['NO_SUCH_SESSION'] },
      schema: {
        tags,
        summary: 'End one of your sessions',
        params: Type.Object({ id: Id }),
        response: { 204: nothing('It has ended, everywhere') },
      },
    },
    async (request, reply) => {
      const { identity, params } = request
      await endSession(db, identity.user, params.id)
      watch.ended([params.id])
      if (params.id === identity.session) forgetToken(request, reply)
      return reply.code(204).send(null)
    },
  )
  api.delete(
    '/sessions/others',
    {
      schema: {
        tags,
        summary: 'End all your other sessions',
        description: 'This one goes on.',
        response: { 204: nothing('They have ended, everywhere') },
      },
    },
    async ({ identity: { user, session } }, reply) => {
      watch.ended(await transaction(db, tx => endSessions(tx, user, session)))
      return reply.code(204).send(null)
    },
  )
  api.delete(
    '/sessions',
    {
      schema: {
        tags,
        summary: 'End all your sessions',
        description: 'This one too.',
        response: { 204: nothing('They have ended, everywhere') },
      },
    },
    async (request, reply) => {
      watch.ended(await transaction(db, tx => endSessions(tx, request.identity.user)))
      forgetToken(request, reply)
      return reply.code(204).send(null)
    },
  )
}

const shown = ({ id, kind, device, address, created_at, last_seen_at }: Row<'sessions'>, current: string) => ({
  id,
  kind,
  device,
  address,
  createdAt: created_at,
  lastSeenAt: last_seen_at,
  current: id === current,
})
