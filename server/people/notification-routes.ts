import { Type } from 'typebox'
import { PersonSchema, readPeople } from '../accounts/index.ts'
import { transaction } from '../database/database.ts'
import { Id, PageOf, PageQuery, Paging, Time, TimePlace, type Api } from '../http/api.ts'
import type { EventsOptions } from './events.ts'
import { markRead, notificationsOf, unreadOf, UNREAD_MOST } from './notifications.ts'
import { tell } from './telling.ts'

const pages = new Paging('notifications', TimePlace)
const tags = ['notifications']
const Unread = Type.Object({ unread: Type.Integer({ maximum: UNREAD_MOST, description: `At most ${UNREAD_MOST}` }) })

export const notificationRoutes = (api: Api, { db, signals }: EventsOptions): void => {
  const NotificationSchema = Type.Object({
    id: Id,
    kind: Type.Enum(['invited', 'requested', 'mentioned']),
    subject: Type.String({ description: 'The invitation, who asks, or the message' }),
    actor: Type.Optional(PersonSchema),
    room: Type.Optional(Id),
    createdAt: Time(),
    read: Type.Boolean(),
  })
  api.get(
    '/notifications',
    {
      schema: {
        tags,
        summary: 'List your notifications',
        description: 'The newest first.',
        querystring: PageQuery,
        response: { 200: PageOf(NotificationSchema) },
      },
    },
    async ({ identity, query }) => {
      const [createdAt, id] = pages.after(query) ?? []
      const after = createdAt === undefined ? undefined : ([createdAt, id!] as const)
      const rows = await notificationsOf(db, identity.user, { after, limit: query.limit })
      const people = await readPeople(
        db,
        rows.flatMap(({ actor }) => actor ?? []),
      )
      return pages.page(
        rows,
        query,
        ({ actor, room, ...rest }) => {
          const person = actor === null ? undefined : people.get(actor)
          return { ...rest, ...(person && { actor: person }), ...(room !== null && { room }) }
        },
        ({ createdAt, id }) => [createdAt, id],
      )
    },
  )
  api.get(
    '/notifications/unread',
    {
      schema: { tags, summary: 'Count your unread notifications', response: { 200: Unread } },
    },
    async ({ identity }) => ({ unread: await unreadOf(db, identity.user) }),
  )
  api.post(
    '/notifications/read',
    {
      schema: {
        tags,
        summary: 'Mark notifications as read',
        description: 'Those with these ids; without ids all.',
        body: Type.Object({ ids: Type.Optional(Type.Array(Id, { maxItems: 100 })) }),
        response: { 200: Unread },
      },
    },
    async ({ identity, body }) => {
      const telling = await transaction(db, tx => markRead(tx, identity.user, body.ids ?? 'all'))
      if (telling) tell(signals, [telling])
      return { unread: await unreadOf(db, identity.user) }
    },
  )
}
