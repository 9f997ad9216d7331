/** The chat product put together: its capabilities on one database, with what they tell each other. */

import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { openAccounts } from './accounts/index.ts'
import type { Config } from './config.ts'
import { openDatabase } from './database/database.ts'
import { fleetRoutes, followOrders, type Node } from './fleet/index.ts'
import { openApi } from './http/api.ts'
import { openPeople, type People } from './people/index.ts'
import type { Access } from './ports/access.ts'
import type { Counters } from './ports/counters.ts'
import type { Driver } from './ports/driver.ts'
import type { Logger } from './ports/logger.ts'
import type { Presence } from './ports/presence.ts'
import type { RoomLog } from './ports/room-log.ts'
import type { Signals } from './ports/signals.ts'

/** ms */
const BEGUN_WITHIN = 1_000

export interface ProductOptions {
  readonly config: Config
  readonly log: RoomLog
  readonly signals: Signals
  readonly counters: Counters
  readonly presence: Presence
  /** Whether a page of this Origin may ask a node that was asked for as this Host. */
  readonly mayConnect: (origin: string, host: string) => boolean
  /** The node listens on loopback. */
  readonly loopback: boolean
  readonly version: string
  readonly logger: Logger
}

export interface Product {
  readonly access: Access
  /** What the bridge hands on to users, and whom it tells of its connections. */
  readonly people: Pick<People, 'events' | 'attendance'>
  /** Has the bridge do what admins ask of every node. */
  readonly follow: (node: Node) => Promise<void>
  /** Rejects, within `timeout` ms, with what is wrong with the database. */
  readonly check: (timeout: number) => Promise<void>
  /** Registers its routes. */
  readonly serve: (app: Parameters<typeof openApi>[0]) => Promise<void>
  close(): Promise<void>
}

/** Opens it. Rejects with what is wrong, having freed what it had opened. */
export const openProduct = async (options: ProductOptions): Promise<Product> => {
  const { config, counters, presence, signals, mayConnect, loopback, version, logger } = options
  const database = await openDatabase(config, logger)
  const { db } = database
  // Whoever is signed in may read and send in every room.
  const rights = { mayRead: async () => true, maySend: () => true }
  const opened: Pick<Driver<unknown>, 'close'>[] = [database]
  const close = async (): Promise<void> => {
    for (const each of opened.toReversed()) await each.close()
  }
  try {
    const people = openPeople({
      db,
      presence,
      signals,
      node: `${hostname()}/${process.pid}`,
      ttl: config.PRESENCE_TTL,
      hint: () => accounts.hint(),
      logger,
    })
    opened.push(people)
    const forget = [people.forget]
    const accounts = await openAccounts({ config, db, counters, rights, forget, mayConnect, logger })
    opened.push(accounts)
    // Before that no token is taken. A database that is away is not waited for longer.
    await Promise.race([accounts.begun, delay(BEGUN_WITHIN, undefined, { ref: false })])
    return {
      access: accounts.port,
      people,
      follow: async node => void (await followOrders(signals, node)),
      check: timeout => database.check(timeout),
      serve: app =>
        openApi(app, {
          config,
          db,
          loopback,
          version,
          identify: accounts.identify,
          routes: [accounts.routes, people.routes, api => fleetRoutes(api, { db, presence, signals })],
          published: [accounts.published],
        }),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
