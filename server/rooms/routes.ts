import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Config } from '../config.ts'
import { transaction, type Db, type Tx } from '../database/database.ts'
import { createOnce, Id, nothing, PageOf, PageQuery, Paging, TimePlace, type Api } from '../http/api.ts'
import { unreadOf } from '../messages/index.ts'
import { tell, type Telling } from '../people/index.ts'
import type { Signals } from '../ports/signals.ts'
import { createRoom, openDirect, type CreateOptions } from './create.ts'
import { myRooms, publicRooms, readRoom } from './lists.ts'
import type { Spend } from './quotas.ts'
import { deleteRoom } from './removal.ts'
import {
  IdParams,
  NewAbout,
  NewCap,
  NewName,
  OpenVisibility,
  RoomSchema,
  roomShown,
  roomsShown,
  SomeUsers,
} from './schemas.ts'
import { changeRoom } from './settings.ts'

export interface RouteParts {
  readonly db: Db
  readonly signals: Signals
  readonly config: Pick<Config, 'ROOM_MAX_MEMBERS'>
  readonly spend: Spend
  /** Rights were changed on this node, and rooms' logs are to say something: it is to be seen to now. */
  readonly hint: () => void
}

/** Does something in a transaction, and when it is committed tells whom it concerns. */
export const commit = async (
  { db, signals, hint }: RouteParts,
  work: (tx: Tx) => Promise<readonly Telling[]>,
): Promise<void> => {
  const telling = await transaction(db, work)
  tell(signals, telling)
  hint()
}

/** The same, answered with nothing. */
export const commitOnly = async (
  parts: RouteParts,
  reply: Pick<FastifyReply, 'statusCode'>,
  work: (tx: Tx) => Promise<readonly Telling[]>,
): Promise<null> => {
  await commit(parts, work)
  reply.statusCode = 204
  return null
}

/** The same for what makes something: once for each Idempotency-Key, answered with what `work` says of it. */
export const commitOnce = async <Body extends object>(
  { db, signals, hint }: RouteParts,
  request: Pick<FastifyRequest, 'identity' | 'headers' | 'method' | 'url' | 'body'>,
  reply: Pick<FastifyReply, 'statusCode'>,
  work: (tx: Tx) => Promise<{ readonly body: Body; readonly telling: readonly Telling[] }>,
): Promise<Body> => {
  let telling: readonly Telling[] = []
  const answer = await createOnce(db, {
    request,
    reply,
    scope: request.identity.user,
    same: request.body,
    work: async tx => {
      const done = await work(tx)
      telling = done.telling
      return done.body
    },
  })
  tell(signals, telling)
  hint()
  return answer
}

const SEARCHES_PER_MINUTE = 60
const minePages = new Paging('my-rooms', TimePlace)
const publicPages = new Paging('public-rooms', Type.Tuple([Type.String(), Type.String()]))
const tags = ['rooms']

export const roomRoutes = (api: Api, parts: RouteParts): void => {
  making(api, parts)
  listing(api, parts)
  one(api, parts)
}

const making = (api: Api, parts: RouteParts): void => {
  const { config, spend } = parts
  const options = (): CreateOptions => ({ mostMembers: config.ROOM_MAX_MEMBERS, spend, now: Date.now() })
  api.post(
    '/rooms',
    {
      config: { creates: true, errors: ['BAD_NAME', 'TOO_MANY_ROOMS', 'NO_SUCH_USER', 'FORBIDDEN', 'QUOTA_REACHED'] },
      schema: {
        tags,
        summary: 'Make a room',
        description: 'You own it. Those of `invite` are invited at once.',
        body: Type.Object({
          name: NewName,
          about: Type.Optional(NewAbout),
          visibility: OpenVisibility,
          maxMembers: Type.Optional(NewCap),
          invite: Type.Optional(SomeUsers),
        }),
        response: { 201: RoomSchema },
      },
    },
    (request, reply) =>
      commitOnce(parts, request, reply, async tx => {
        const { room, telling } = await createRoom(tx, request.identity.user, request.body, options())
        return { body: await roomShown(tx, { ...room, role: 'owner', other: null, unread: 0 }), telling }
      }),
  )
  api.post(
    '/direct-rooms',
    {
      config: { creates: true, errors: ['NO_SUCH_USER', 'FORBIDDEN', 'QUOTA_REACHED'] },
      schema: {
        tags,
        summary: 'Open the direct room with somebody',
        description: 'There is one for each two people, whoever asks for it, and however often.',
        body: Type.Object({ user: Id }),
        response: { 200: RoomSchema, 201: RoomSchema },
      },
    },
    (request, reply) =>
      commitOnce(parts, request, reply, async tx => {
        const { user } = request.body
        const { room, made, telling } = await openDirect(tx, request.identity.user, user, options())
        if (!made) reply.code(200)
        const unread = made ? 0 : await unreadOf(tx, room.id, request.identity.user)
        return { body: await roomShown(tx, { ...room, role: 'member', other: user, unread }), telling }
      }),
  )
}

const listing = (api: Api, { db }: RouteParts): void => {
  api.get(
    '/rooms',
    {
      schema: {
        tags,
        summary: 'List your rooms',
        description: 'Direct ones too, the one with the newest message first.',
        querystring: PageQuery,
        response: { 200: PageOf(RoomSchema) },
      },
    },
    async ({ identity, query }) => {
      const rows = await myRooms(db, identity.user, { after: minePages.after(query), limit: query.limit })
      return minePages.page(rows, query, await roomsShown(db, rows), row => [row.last_message_at, row.id])
    },
  )
  api.get(
    '/rooms/public',
    {
      config: { perMinute: SEARCHES_PER_MINUTE },
      schema: {
        tags,
        summary: 'Browse public rooms',
        description: 'Those whose name begins with what is searched for, by name.',
        querystring: Type.Object({
          ...PageQuery.properties,
          search: Type.Optional(Type.String({ maxLength: 200, examples: ['ri'] })),
        }),
        response: { 200: PageOf(RoomSchema) },
      },
    },
    async ({ identity, query }) => {
      const part = { after: publicPages.after(query), limit: query.limit }
      const rows = await publicRooms(db, identity.user, query.search ?? '', part)
      return publicPages.page(rows, query, await roomsShown(db, rows), row => [row.name_key!, row.id])
    },
  )
}

const one = (api: Api, parts: RouteParts): void => {
  const { db, config } = parts
  api.get(
    '/rooms/:id',
    {
      config: { errors: ['NO_SUCH_ROOM'] },
      schema: {
        tags,
        summary: 'Read a room',
        description: 'One that you may not see is `NO_SUCH_ROOM`, as one that there is not.',
        params: IdParams,
        response: { 200: RoomSchema },
      },
    },
    async ({ identity, params }) => roomShown(db, await readRoom(db, params.id, identity.user)),
  )
  api.patch(
    '/rooms/:id',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN', 'BAD_NAME'] },
      schema: {
        tags,
        summary: 'Change a room',
        description: 'Name and `about`: owner and admins. Visibility and cap: the owner. What is left out stays.',
        params: IdParams,
        body: Type.Object({
          name: Type.Optional(NewName),
          about: Type.Optional(NewAbout),
          visibility: Type.Optional(OpenVisibility),
          maxMembers: Type.Optional(NewCap),
        }),
        response: { 200: RoomSchema },
      },
    },
    async ({ identity, params, body }) => {
      await commit(parts, async tx => {
        await changeRoom(tx, params.id, identity.user, body, config.ROOM_MAX_MEMBERS)
        return []
      })
      return roomShown(db, await readRoom(db, params.id, identity.user))
    },
  )
  api.delete(
    '/rooms/:id',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN'] },
      schema: {
        tags,
        summary: 'Delete a room',
        description: 'With its messages. Only the owner may.',
        params: IdParams,
        response: { 204: nothing('The room is gone') },
      },
    },
    ({ identity, params }, reply) => commitOnly(parts, reply, tx => deleteRoom(tx, params.id, identity.user)),
  )
}
