import { Type } from 'typebox'
import { Id, type Api } from '../http/api.ts'
import { onlineOf, type EventsOptions } from './events.ts'
import { LastSeen } from './schemas.ts'
import { seenBy } from './sight.ts'

const PRESENCE_MOST = 100

/** Who is there, for rooms that are too large to be told. */
export const presenceRoutes = (api: Api, { db, presence }: EventsOptions): void => {
  api.get(
    '/presence',
    {
      config: { errors: ['PRESENCE_UNAVAILABLE'] },
      schema: {
        tags: ['friends'],
        summary: 'Ask who is there',
        description:
          'Of these people those whom you may see: friends and members of your rooms. The others are left out.',
        querystring: Type.Object({ user: Type.Array(Id, { minItems: 1, maxItems: PRESENCE_MOST }) }),
        response: {
          200: Type.Object({
            items: Type.Array(Type.Object({ id: Id, online: Type.Boolean(), lastSeen: LastSeen })),
          }),
        },
      },
    },
    async ({ identity, query }) => {
      const seen = await seenBy(db, identity.user, query.user)
      const { online } = await onlineOf(
        presence,
        seen.map(({ id }) => id),
      )
      return {
        items: seen.map(({ id, lastSeen }) => ({
          id,
          online: online.has(id),
          ...(lastSeen !== null && { lastSeen }),
        })),
      }
    },
  )
}
