/** The chat product put together: its capabilities on one database, with what they tell each other. */

import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { hasAdmin, openAccounts, type Change } from './accounts/index.ts'
import type { Config } from './config.ts'
import { openDatabase, type Db } from './database/database.ts'
import { sweepOutbox } from './database/outbox.ts'
import { fleetRoutes, followOrders, type Node } from './fleet/index.ts'
import { forgetCreations, openApi } from './http/api.ts'
import { forgetMessages, Hints, openArchive } from './messages/index.ts'
import { openPeople, tell, type People } from './people/index.ts'
import type { Access } from './ports/access.ts'
import type { Counters } from './ports/counters.ts'
import type { Driver } from './ports/driver.ts'
import type { Logger } from './ports/logger.ts'
import type { Presence } from './ports/presence.ts'
import type { RoomLog } from './ports/room-log.ts'
import type { Signals } from './ports/signals.ts'
import {
  expireInvitations,
  forgetInRooms,
  leaveBehind,
  logOfRooms,
  readingRoutes,
  roomRights,
  roomsApi,
} from './rooms/index.ts'

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
  /** The log as the bridge is to use it: of the rooms that there are. */
  readonly log: RoomLog
  /** What the bridge hands on to users, and whom it tells of its connections. */
  readonly people: Pick<People, 'events' | 'attendance'>
  /** Has the bridge do what admins ask of every node. */
  readonly follow: (node: Node) => Promise<void>
  /** Rejects, within `timeout` ms, with what is wrong with the database. */
  readonly check: (timeout: number) => Promise<void>
  /** Registers its routes, and from then on has the rooms' logs show what SQL decides. */
  readonly serve: (app: Parameters<typeof openApi>[0]) => Promise<void>
  close(): Promise<void>
}

/** Opens it. Rejects with what is wrong, having freed what it had opened. */
export const openProduct = async (options: ProductOptions): Promise<Product> => {
  const { config, log, counters, presence, signals, mayConnect, loopback, version, logger } = options
  const database = await openDatabase(config, logger)
  const { db } = database
  const hints = new Hints(signals)
  const rights = roomRights({ db, log, cached: config.RIGHTS_CACHED })
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
    const forget = [forgetInRooms, people.forget, forgetMessages, forgetCreations]
    const onChange = (change: Change): void => rights.ended(change)
    const accounts = await openAccounts({
      config,
      db,
      counters,
      signals,
      rights,
      onChange,
      forget,
      tell: telling => tell(signals, telling),
      mayConnect,
      logger,
    })
    opened.push(accounts)
    // Before that no token is taken. A database that is away is not waited for longer.
    await Promise.race([accounts.begun, delay(BEGUN_WITHIN, undefined, { ref: false })])
    return {
      access: accounts.port,
      log: hints.of(logOfRooms(db, log)),
      people,
      follow: async node => void (await followOrders(signals, node)),
      check: async timeout => {
        await database.check(timeout)
        await accounts.check(timeout)
      },
      serve: async app => {
        void tellOfNoAdmin(db, config, logger)
        const sweep = sweepOutbox({ db, log: hints.of(log), logger })
        const archive = openArchive({ db, log, signals, leave: leaveBehind, logger })
        opened.push(sweep, archive, expireInvitations({ db, signals, logger }))
        await hints.follow(room => archive.hint(room))
        const hint = (): void => {
          accounts.hint()
          sweep.hint()
        }
        return openApi(app, {
          config,
          db,
          loopback,
          version,
          identify: accounts.identify,
          routes: [
            accounts.routes,
            people.routes,
            roomsApi({ db, signals, counters, config, hint }),
            api => readingRoutes(api, { db, log, signals }),
            api => fleetRoutes(api, { db, presence, signals, forget, hint }),
          ],
          published: [accounts.published],
        })
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Whoever has just set it up may not know what comes next. */
const tellOfNoAdmin = async (db: Db, { DATABASE_URL }: Config, logger: Logger): Promise<void> => {
  // A database that is away is told of elsewhere.
  if (await hasAdmin(db).catch(() => true)) return
  const embedded = 'stop the node, and run: make admin NAME=...'
  const advice = DATABASE_URL === undefined ? embedded : 'run: make admin NAME=... DATABASE_URL=...'
  logger.info({ advice }, 'there is no admin yet')
}
