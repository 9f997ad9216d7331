import type { Access, AccessChange, Identity } from '../ports/access.ts'
import { fail } from '../errors.ts'
import type { Db } from '../database/database.ts'
import type { Keys } from './keys.ts'
import { beginSession } from './sessions.ts'
import { holderOf, type SignInParts } from './sign-in.ts'
import { isJwt, verifyAccess, type Bearer } from './tokens.ts'
import type { Change, Watch } from './watch.ts'

export interface AccessParts extends SignInParts {
  readonly db: Db
  readonly keys: Keys
  readonly watch: Watch
  /** What somebody who is signed in may do. */
  readonly rights: Pick<Access, 'mayRead' | 'maySend'>
  /** Those who are told of rights that ended. */
  readonly listeners: Set<(change: AccessChange) => void>
  /** Epoch ms. */
  readonly now: () => number
}

/** Whom an access token names, as long as its session has not ended. */
export const bearerOf = async (
  { keys, watch, now }: Pick<AccessParts, 'keys' | 'watch' | 'now'>,
  token: string,
): Promise<Bearer> => {
  const bearer = await verifyAccess(keys, token, now())
  watch.here(bearer.session)
  return bearer
}

/** Accounts as the bridge sees them. */
export const accountAccess = (parts: AccessParts): Access => ({
  async authenticate({ login, passcode, token, address = '' }): Promise<Identity> {
    const jwt = token ?? (passcode !== undefined && isJwt(passcode) ? passcode : undefined)
    if (jwt !== undefined) return bearerOf(parts, jwt)
    if (!login || !passcode) throw fail('BAD_CREDENTIALS', 'login and passcode are needed, or a token')
    const { user, name, hash } = await holderOf(parts, { name: login, password: passcode, address })
    const { session } = await beginSession(
      parts.db,
      { user, hash, kind: 'connection', device: 'STOMP', address },
      parts.now(),
    )
    parts.watch.opened(session)
    return { user, name, session }
  },
  mayRead: (who, room) => parts.rights.mayRead(who, room),
  maySend: (who, room, record) => parts.rights.maySend(who, room, record),
  changes(listener) {
    parts.listeners.add(listener)
  },
  left({ session }) {
    if (session !== undefined) parts.watch.left(session)
  },
})

/** A change as the bridge is told of it: whose rights to look at again. */
export const toBridge = ({ kind, user, room, session, other }: Change): readonly AccessChange[] => {
  if (kind === 'session') return [{ session: session! }]
  // Of a block both sides are looked at.
  if (other !== undefined) return [{ user: user! }, { user: other }]
  return [{ ...(user !== undefined && { user }), ...(room !== undefined && { room }) }]
}
