/** The end of invitations by time: of that, too, both sides are told. */

import { at, transaction, type Db } from '../database/database.ts'
import { Pace } from '../database/pace.ts'
import { tell, type Telling } from '../people/index.ts'
import type { Logger } from '../ports/logger.ts'
import type { Signals } from '../ports/signals.ts'
import { settle } from './settling.ts'

/** How often it is looked for them, ms, in how many rooms at once, and how many of one room are settled together. */
const EVERY = 5_000
const ROOMS_A_LOOK = 100
const AT_ONCE = 100

export interface ExpiryOptions {
  readonly db: Db
  readonly signals: Signals
  readonly logger: Logger
}

/** Settles invitations whose time has passed until it is closed, on whichever node comes to them first. */
export const expireInvitations = ({ db, signals, logger }: ExpiryOptions): Pace => {
  const pace = new Pace(EVERY, logger, async () => {
    const telling = await expireSome(db, Date.now())
    if (!telling) return
    tell(signals, telling)
    pace.hint()
  })
  return pace
}

/**
 * Settles invitations to one room whose time has passed at `now` (epoch ms); a room that somebody else is changing is left for
 * later. Resolves with whom to tell; undefined: there is nothing to do.
 */
export const expireSome = (db: Db, now: number): Promise<Telling[] | undefined> =>
  transaction(db, async tx => {
    const due = tx.selectFrom('invitations').where('state', '=', 'pending').where('expires_at', '<=', at(now))
    const first = due.select('room_id').orderBy('expires_at').limit(ROOMS_A_LOOK)
    const held = await tx
      .selectFrom(first.as('first'))
      .innerJoinLateral(
        eb =>
          eb
            .selectFrom('rooms')
            .select('id')
            .whereRef('id', '=', 'first.room_id')
            .forNoKeyUpdate()
            .skipLocked()
            .as('room'),
        join => join.onTrue(),
      )
      .select('room.id')
      .limit(1)
      .executeTakeFirst()
    if (!held) return undefined
    const telling: Telling[] = []
    for (const { id } of await due.select('id').where('room_id', '=', held.id).limit(AT_ONCE).execute()) {
      telling.push(...(await settle(tx, held.id, { id }, 'expired')))
    }
    return telling
  })
