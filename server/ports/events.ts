import type { Identity } from './access.ts'
import type { UserEvent } from './signals.ts'

/** What concerns a user, for the bridge to hand on: at most once. */
export interface UserEvents {
  /**
   * Resolves with how to end it when it stands. Then, in a later turn, `tell` is called with what holds now, and after that
   * with what changes. Rejects with DRAINING once closed.
   * @param tell returns at once and never throws
   */
  subscribe(who: Identity, tell: (event: UserEvent) => void): Promise<() => void>
}
