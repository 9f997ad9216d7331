import { Type } from 'typebox'
import type { Config } from '../config.ts'
import { transaction, type Db, type Tx } from '../database/database.ts'
import { createOnce, nothing, PageOf, PageQuery, Paging, type Api } from '../http/api.ts'
import { tell, type Telling } from '../people/index.ts'
import type { Signals } from '../ports/signals.ts'
import { createRoom, openDirect, type CreateOptions } from './create.ts'
import { myRooms, publicRooms, readRoom } from './lists.ts'
import { deleteRoom } from './removal.ts'
import {
  Id,
  NewAbout,
  NewCap,
  NewName,
  OpenVisibility,
  RoomParams,
  RoomSchema,
  roomShown,
  roomsShown,
  SomeUsers,
} from './schemas.ts'
import { changeRoom } from './settings.ts'

export interface RouteParts {
  readonly db: Db
  readonly signals: Signals
  readonly config: Pick<Config, 'ROOM_MAX_MEMBERS' | 'ROOMS_PER_HOUR' | 'STRANGERS_PER_HOUR' | 'INVITATIONS_PER_HOUR'>
  /** Rights were changed on this node, and rooms' logs are to say something: it is to be seen to now. */
  readonly hint: () => void
}

/** Does something in a transaction, and when it is committed tells whom it concerns. */
export const commit = async (
  { db, signals, hint }: Pick<RouteParts, 'db' | 'signals' | 'hint'>,
  work: (tx: Tx) => Promise<readonly Telling[]>,
): Promise<void> => {
  const telling = await transaction(db, work)
  tell(signals, telling)
  hint()
}

const SEARCHES_PER_MINUTE = 60
const minePages = new Paging('my-rooms', Type.Tuple([Type.Integer(), Type.String()]))
const publicPages = new Paging('public-rooms', Type.Tuple([Type.String(), Type.String()]))
const tags = ['rooms']

export const roomRoutes = (api: Api, parts: RouteParts): void => {
  making(api, parts)
  listing(api, parts)
  one(api, parts)
}

const making = (api: Api, parts: RouteParts): void => {
  const { db, signals, config, hint } = parts
  const optionsAt = (now: number): CreateOptions => ({
    mostMembers: config.ROOM_MAX_MEMBERS,
    roomsPerHour: config.ROOMS_PER_HOUR,
    invitationsPerHour: config.INVITATIONS_PER_HOUR,
    now,
  })
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
    async (request, reply) => {
      const { identity, body } = request
      let telling: readonly Telling[] = []
      const made = await createOnce(db, {
        request,
        reply,
        scope: identity.user,
        same: body,
        work: async tx => {
          const created = await createRoom(tx, identity.user, body, optionsAt(Date.now()))
          telling = created.telling
          return roomShown(tx, { ...created.room, role: 'owner', other: null })
        },
      })
      tell(signals, telling)
      hint()
      return made
    },
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
    (request, reply) => {
      const { identity, body } = request
      return createOnce(db, {
        request,
        reply,
        scope: identity.user,
        same: body,
        work: async tx => {
          const options = { strangersPerHour: config.STRANGERS_PER_HOUR, now: Date.now() }
          const { room, made } = await openDirect(tx, identity.user, body.user, options)
          if (!made) reply.code(200)
          return roomShown(tx, { ...room, role: 'member', other: body.user })
        },
      })
    },
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
        params: RoomParams,
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
        params: RoomParams,
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
        params: RoomParams,
        response: { 204: nothing('The room is gone') },
      },
    },
    async ({ identity, params }, reply) => {
      await commit(parts, async tx => {
        await deleteRoom(tx, params.id, identity.user)
        return []
      })
      return reply.code(204).send(null)
    },
  )
}
