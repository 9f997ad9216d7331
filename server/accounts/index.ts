/** Accounts and sessions: who somebody is. */

import type { Config } from '../config.ts'
import type { Db } from '../database/database.ts'
import { fail } from '../errors.ts'
import type { Telling } from '../people/index.ts'
import type { Api, SignedIn } from '../http/api.ts'
import type { Access, AccessChange } from '../ports/access.ts'
import type { Counters } from '../ports/counters.ts'
import type { Driver } from '../ports/driver.ts'
import type { Logger } from '../ports/logger.ts'
import type { Signals } from '../ports/signals.ts'
import { accountAccess, bearerOf, toBridge } from './access.ts'
import type { Forget } from './closing.ts'
import { deviceRoutes } from './device-routes.ts'
import { Erased } from './erased.ts'
import { Keys } from './keys.ts'
import { Passwords } from './passwords.ts'
import { accountRoutes, keyRoutes } from './routes.ts'
import { readSecrets } from './secret.ts'
import { sessionRoutes } from './session-routes.ts'
import { Tries } from './tries.ts'
import { Watch, type Change } from './watch.ts'

export { hasAdmin, makeAdmin } from './admin.ts'
export { deleteAccount, type Forget } from './closing.ts'
export { LAST, nameKey } from './names.ts'
export { personOf, readAccount, readPeople, type Person } from './profile.ts'
export { PersonSchema } from './schemas.ts'
export type { Change } from './watch.ts'

export interface AccountsOptions {
  readonly config: Pick<Config, 'SESSION_SECRET' | 'DATA_DIR' | 'SIGN_UPS_PER_HOUR' | 'LOGIN_TRIES'>
  readonly db: Db
  readonly counters: Counters
  /** By which nodes tell each other that rights were changed. */
  readonly signals: Signals
  /** What somebody who is signed in may do in rooms. */
  readonly rights: Pick<Access, 'mayRead' | 'maySend'>
  /** Told of each change before the bridge is: for what others keep of rights. It returns at once. */
  readonly onChange?: (change: Change) => void
  /** What others do when an account is deleted. */
  readonly forget?: readonly Forget[]
  /** Tells people what concerns them, on whichever nodes they are. */
  readonly tell: (telling: readonly Telling[]) => void
  /** Whether a page of this Origin may ask a node that was asked for as this Host. */
  readonly mayConnect: (origin: string, host: string) => boolean
  readonly logger: Logger
  /** Epoch ms. */
  readonly now?: () => number
}

export interface Accounts extends Driver<Access> {
  /** Resolves when it is known which sessions have ended and who is gone: before that nobody is let in. */
  readonly begun: Promise<void>
  /** Whom an access token names. */
  readonly identify: (token: string) => Promise<SignedIn>
  /** Below /api. */
  readonly routes: (api: Api) => void
  /** Beside it. */
  readonly published: (api: Api) => void
  /** Rights were changed on this node: tell everybody now. */
  readonly hint: () => void
}

/** Opens accounts. A database that is away is waited for by whoever asks. Rejects where the secret cannot be read. */
export const openAccounts = async (options: AccountsOptions): Promise<Accounts> => {
  const { config, db, counters, signals, logger, rights, onChange, now = Date.now } = options
  const secrets = await readSecrets(config)
  const keys = new Keys({ db, sealing: secrets.sealing, logger, now })
  const passwords = new Passwords()
  const tries = new Tries({ counters, logins: config.LOGIN_TRIES, signUps: config.SIGN_UPS_PER_HOUR })
  const listeners = new Set<(change: AccessChange) => void>()
  const tell = (change: AccessChange): void => {
    for (const listener of listeners) listener(change)
  }
  const erased = new Erased({ db, logger, listener: user => tell({ user, erased: true }) })
  const watch = new Watch({
    db,
    signals,
    logger,
    now,
    listener: change => {
      onChange?.(change)
      toBridge(change).forEach(tell)
      if (change.kind === 'user') erased.look(change.user)
    },
  })
  const parts = { db, keys, passwords, tries, watch, now, rights, listeners }
  const access = accountAccess(parts)
  let closing: Promise<void> | undefined
  const open = (): void => {
    if (closing) throw fail('DRAINING')
  }
  const checkKnown = (): void => {
    if (!erased.known) throw fail('DATABASE_UNAVAILABLE')
  }
  const routeParts = {
    ...parts,
    refreshKey: secrets.refresh,
    forget: options.forget ?? [],
    tell: options.tell,
    mayConnect: options.mayConnect,
  }
  return {
    port: {
      ...access,
      authenticate: async credentials => {
        open()
        checkKnown()
        return access.authenticate(credentials)
      },
      mayRead: (who, room) => {
        open()
        return access.mayRead(who, room)
      },
      maySend: (who, room, record) => {
        open()
        return access.maySend(who, room, record)
      },
      erased: user => erased.has(user),
    },
    check: async () => {
      open()
      checkKnown()
      await keys.published()
    },
    close: () => (closing ??= Promise.all([watch.close(), erased.close()]).then(() => undefined)),
    begun: Promise.all([watch.begun, erased.begun]).then(() => undefined),
    identify: async token => {
      const { user, session } = await bearerOf(parts, token)
      return { user, session }
    },
    routes: api => {
      accountRoutes(api, routeParts)
      sessionRoutes(api, routeParts)
      deviceRoutes(api, routeParts)
    },
    published: api => keyRoutes(api, keys),
    hint: () => watch.hint(),
  }
}
