/** People: friends, blocks, who is there, and what somebody is to know. */

import type { Db, Tx } from '../database/database.ts'
import type { Api } from '../http/api.ts'
import type { UserEvents } from '../ports/events.ts'
import type { Logger } from '../ports/logger.ts'
import type { Attendance, Presence } from '../ports/presence.ts'
import type { Signals } from '../ports/signals.ts'
import { blockRoutes } from './block-routes.ts'
import { ComingAndGoing } from './coming-and-going.ts'
import { userEvents } from './events.ts'
import { partFromAll } from './relations.ts'
import { Roll } from './roll.ts'
import { notificationRoutes } from './notification-routes.ts'
import { presenceRoutes } from './presence-routes.ts'
import { friendRoutes } from './routes.ts'
import type { Telling } from './telling.ts'

export { notify, notifyAll, withdraw, type News } from './notifications.ts'
export { readPair } from './relations.ts'
export { TOLD_UP_TO } from './sight.ts'
export { tell, type Telling } from './telling.ts'

export interface PeopleOptions {
  readonly db: Db
  readonly presence: Presence
  readonly signals: Signals
  /** What this node is called in the list of connections. */
  readonly node: string
  /** After so long without a sign of its node a connection counts as gone, ms. */
  readonly ttl: number
  /** Rights were changed on this node: it is to be told everybody now. */
  readonly hint: () => void
  readonly logger: Logger
}

export interface People {
  /** What the bridge hands on to each user. */
  readonly events: UserEvents
  /** Whom the bridge tells of its connections. */
  readonly attendance: Attendance
  /** Below /api. */
  readonly routes: (api: Api) => void
  /** What is done, in the same transaction, when an account is deleted. */
  readonly forget: (tx: Tx, user: string) => Promise<Telling[]>
  /** When all connections have gone: resolves when others have been told so. */
  close(): Promise<void>
}

export const openPeople = (options: PeopleOptions): People => {
  const comingAndGoing = new ComingAndGoing(options)
  const roll = new Roll({ ...options, changed: transitions => comingAndGoing.tell(transitions) })
  return {
    events: userEvents(options),
    attendance: roll,
    routes: api => {
      friendRoutes(api, options)
      blockRoutes(api, options)
      presenceRoutes(api, options)
      notificationRoutes(api, options)
    },
    forget: partFromAll,
    close: async () => {
      await roll.close()
      await comingAndGoing.settled()
    },
  }
}
