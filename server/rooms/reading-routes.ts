import { Type } from 'typebox'
import { transaction, type Db } from '../database/database.ts'
import type { Api } from '../http/api.ts'
import { moveRead, readPlaceOf, UNREAD_MOST, unreadOf } from '../messages/index.ts'
import { tell } from '../people/index.ts'
import type { RoomLog } from '../ports/room-log.ts'
import type { Signals } from '../ports/signals.ts'
import { demand, seen } from './room.ts'
import { IdParams } from './schemas.ts'

export interface ReadingParts {
  readonly db: Db
  readonly log: Pick<RoomLog, 'bounds'>
  readonly signals: Signals
}

/** How far somebody has read, which their other devices are told. */
export const readingRoutes = (api: Api, { db, log, signals }: ReadingParts): void => {
  api.post(
    '/rooms/:id/read',
    {
      config: { errors: ['NO_SUCH_ROOM', 'FORBIDDEN', 'LOG_UNAVAILABLE'] },
      schema: {
        tags: ['rooms'],
        summary: 'Say how far you have read',
        description:
          'Up to and with `message`. What is before it counts as read; to say less than before changes nothing.',
        params: IdParams,
        body: Type.Object({
          message: Type.String({
            minLength: 1,
            maxLength: 128,
            description: 'A `message-id`',
            examples: ['3f0a0b1e-42'],
          }),
        }),
        response: {
          200: Type.Object({
            unread: Type.Integer({ maximum: UNREAD_MOST, description: `At most ${UNREAD_MOST}`, examples: [0] }),
          }),
        },
      },
    },
    async ({ identity: { user }, params: { id: room }, body: { message } }) => {
      demand(await seen(db, room, user), 'mark')
      const place = await readPlaceOf(db, log, room, message)
      const { moved, unread } = await transaction(db, async tx => ({
        moved: await moveRead(tx, room, user, place),
        unread: await unreadOf(tx, room, user),
      }))
      if (moved) tell(signals, [{ user, event: { type: 'read', body: { room, message, unread } } }])
      return { unread }
    },
  )
}
