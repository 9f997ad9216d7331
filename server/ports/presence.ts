import type { Identity } from './access.ts'

/** A connection that is logged in, as it is listed. */
export interface Client {
  /** Its id, which no other connection has. */
  readonly connection: string
  readonly user: string
  /** The session that it was signed in by; empty where there are none. */
  readonly device: string
  /** The node that it is on. */
  readonly node: string
  readonly address: string
  /** Epoch ms. */
  readonly since: number
  /** Those that it has subscribed to, or the first of them. */
  readonly rooms: readonly string[]
}

/** Somebody came, with their first connection, or went, with their last one. */
export interface Transition {
  readonly user: string
  readonly online: boolean
  /** Grows with everything that happens: of two that are about the same user the one with the larger `at` came later. */
  readonly at: number
}

/** How many clients or users one call takes, at most. */
export const PRESENCE_AT_ONCE = 500

/**
 * Who is there: all connections of all nodes, each for as long as its node says so. Of what changes by a call its answer
 * tells, and nobody else's: of all nodes one is told, once. Losing all of it at any time does no harm.
 *
 * All methods reject with PRESENCE_UNAVAILABLE where it cannot be reached now; then what was asked may have been done or not.
 */
export interface Presence {
  /**
   * Says that these connections are there, for as long as the driver was opened with. Those that it has lost together with
   * everything else, after an earlier touch of this driver, are no news.
   */
  touch(clients: readonly Client[]): Promise<readonly Transition[]>

  /** These connections have gone: that counts in so many ms, 0: at once. Those that are unknown change nothing. */
  off(clients: readonly Pick<Client, 'connection' | 'user'>[], after: number): Promise<readonly Transition[]>

  /**
   * Lets go of what has gone, and of what nobody has touched for too long, unless that may be because nobody could.
   * Rejects too where all that was touched has been lost: then it is to be touched again.
   */
  sweep(): Promise<readonly Transition[]>

  /** Who of `users` is there, and up to which `at` that tells everything. */
  of(users: readonly string[]): Promise<{ readonly at: number; readonly online: ReadonlySet<string> }>

  /** At most `limit` of all connections, in an order that stays, by their users; those after `after`. */
  list(after: Pick<Client, 'connection' | 'user'> | undefined, limit: number): Promise<readonly Client[]>
}

/** Whom the bridge tells of its connections. Returns at once, never throws. */
export interface Attendance {
  /** A connection has logged in. `rooms` are those that it is subscribed to, whenever that is asked. */
  arrived(connection: string, who: Identity, at: { readonly address: string; rooms(): Iterable<string> }): void
  /** It has gone; `ended`: because its session was ended. Connections that are unknown, or have gone before, do no harm. */
  left(connection: string, ended: boolean): void
}
